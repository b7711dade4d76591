"""One run, from a plan to a sealed folder.

run.py         the stages in order: server and payloads, identity, warm-up and measure, drain, profile, seal
crew.py        what is alive meanwhile, and the loop turn in which it is heard, watched and shown
observers.py   who looks at the server's processes: this process, or an agent on their host
profile.py     when the profilers attach and let go
profile_alone.py  a profile without load
looking.py     what looking costs on this side
handoff.py     the handoff alone: variants in turn, round by round
ledger.py      the manifest as it grows, and the folder's last word: status, validity, summary
watch.py       ends a run early when the server died, lost a rank or hangs
stall.py       a server that stands still is caught in the act: noticed by quiet.py and held.py, dumped by dumping.py
ranks.py       the ranks of a server as the manifest names them
tracker.py     what the live display shows
interrupt.py   Ctrl-C, SIGTERM and a hang-up, obeyed between two steps
"""
