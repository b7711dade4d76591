"""One run, from a plan to a sealed folder.

run.py         the stages in order: server and payloads, identity, warm-up and measure, drain, profile, seal
crew.py        what is alive meanwhile, and the loop turn in which it is heard, watched and shown
profile.py     when the profilers attach and let go
handoff.py     the handoff alone: variants in turn, round by round
ledger.py      the manifest as it grows, and the folder's last word: status, validity, summary
watch.py       ends a run early when the server died, lost a rank or hangs
tracker.py     what the live display shows
interrupt.py   Ctrl-C, SIGTERM and a hang-up, obeyed between two steps
"""
