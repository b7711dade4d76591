"""What seeing costs: the process sampler, per sample and as a share of a core; discovery, per call.

    python bench/samplers.py [PROCESSES] [HZ] [SECONDS]

Samples children that hold 40 threads each, as an SGLang rank does. Fails above 1 % of a core.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mmload.discover import discover, from_pids
from mmload.observe.cpu import ProcessSampler

_CHILD = """
import sys, threading
for _ in range(40):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print(flush=True)
sys.stdin.read()
"""
_BUDGET = 0.01


def main(processes: int = 8, hz: float = 10, seconds: float = 10) -> int:
    children = [
        subprocess.Popen([sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(processes)
    ]
    try:
        for child in children:
            child.stdout.readline()
        share = _sampler_share([child.pid for child in children], hz, seconds)
        discovery_ms = _cpu_ms_a_call(lambda: discover(1))
    finally:
        for child in children:
            child.communicate()
    print(f"sampler, {processes} processes at {hz:g} Hz: {share:.2%} of a core (budget {_BUDGET:.0%})")
    print(f"discover, of the whole host: {discovery_ms:.2f} ms CPU a call")
    return int(share > _BUDGET)


def _sampler_share(pids: list[int], hz: float, seconds: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        files = (Path(folder, "processes.jsonl"), Path(folder, "host.jsonl"))
        sampler = ProcessSampler(from_pids(pids), [], *files, interval_s=1 / hz)
        sampler.start()
        time.sleep(seconds)
        sampler.stop()
        samples = len(files[0].read_bytes().splitlines())
    print(f"{samples} samples, {sampler.cpu_s / samples * 1e6:.0f} us CPU each (the host's share included)")
    return sampler.cpu_s / seconds


def _cpu_ms_a_call(function, calls: int = 50) -> float:
    before = time.process_time()
    for _ in range(calls):
        function()
    return (time.process_time() - before) / calls * 1000


if __name__ == "__main__":
    sys.exit(main(*(float(word) if "." in word else int(word) for word in sys.argv[1:])))
