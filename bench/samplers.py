"""What seeing costs: the process sampler, as a share of a core; discovery, a call; py-spy, a process.

    python bench/samplers.py [PROCESSES] [HZ] [SECONDS]

Looks at children with 40 threads each, as an SGLang rank has. Fails when the sampler takes above 1 % of a core.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mmload.discover import discover, from_pids
from mmload.model.plan import ProfilePlan
from mmload.observe.cpu import ProcessSampler
from mmload.observe.stacks import Profiler
from mmload.store.append import create_run_folder

_CHILD = """
import sys, threading
for _ in range(int(sys.argv[1])):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print(flush=True)
sys.stdin.read()
"""
_BUDGET = 0.01


def main(processes: int = 8, hz: float = 10, seconds: float = 10) -> int:
    children = [_child(threads=40) for _ in range(processes)]
    plain = _child(threads=0)
    try:
        share = _sampler_share([child.pid for child in children], hz, seconds)
        discovery_ms = _cpu_ms_a_call(lambda: discover(1))
        spy_shares = [_py_spy_share(child.pid, seconds=5) for child in (plain, children[0])]
    finally:
        for child in (plain, *children):
            child.communicate()
    print(f"sampler, {processes} processes at {hz:g} Hz: {share:.2%} of a core (budget {_BUDGET:.0%})")
    print(f"discover, of the whole host: {discovery_ms:.2f} ms CPU a call")
    print("py-spy at 100 Hz: {:.1%} of a core on 1 Python thread, {:.1%} on 41".format(*spy_shares))
    return int(share > _BUDGET)


def _child(threads):
    command = [sys.executable, "-c", _CHILD, str(threads)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    return child


def _sampler_share(pids: list[int], hz: float, seconds: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        files = (Path(folder, "processes.jsonl"), Path(folder, "host.jsonl"))
        sampler = ProcessSampler(from_pids(pids), *files, interval_s=1 / hz)
        sampler.start()
        time.sleep(seconds)
        sampler.stop()
        samples = len(files[0].read_bytes().splitlines())
    print(f"{samples} samples, {sampler.cpu_s / samples * 1e6:.0f} us CPU each (the host's share included)")
    return sampler.cpu_s / seconds


def _py_spy_share(pid, seconds):
    with tempfile.TemporaryDirectory() as folder:
        profiler = Profiler(from_pids([pid]), create_run_folder(Path(folder), "run"), ProfilePlan(rate_hz=100))
        before = _children_cpu_s()
        profiler.start()
        profiler.wait_until_sampling()
        time.sleep(seconds)
        profiler.stop()
    return (_children_cpu_s() - before) / seconds


def _children_cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)  # of those that have ended
    return usage.ru_utime + usage.ru_stime


def _cpu_ms_a_call(function, calls: int = 50) -> float:
    before = time.process_time()
    for _ in range(calls):
        function()
    return (time.process_time() - before) / calls * 1000


if __name__ == "__main__":
    sys.exit(main(*(float(word) if "." in word else int(word) for word in sys.argv[1:])))
