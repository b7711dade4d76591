"""Does the tool still tell good from bad? Planted truths against the stand-in: real processes, runs and verdicts.

    checks.py      the rows: what is planted, and what must be said of it
    looks_*.py     one function a row: makes its runs, has them judged, looks for the right reason
    plants.py      variants with a fault of known size, which the stand-in runs
    faults.py      what is done to the processes of a run from outside; hogs.py: to the host
    workbench.py   makes the runs, each once, and has them judged
    rows.py        from checks to rows, and to the exit code
    simulate.py    how often the gate's bounds err where the truth is known

A row says what was planted, which word must come of it, which came, and why in the tool's own words.
"""
