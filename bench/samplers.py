"""What looking costs: the process sampler, discovery and py-spy, and how far py-spy slows what it looks at.

    python bench/samplers.py [--processes 8] [--hz 10] [--seconds 10] [--rounds 8] [--json]

The sampler looks at children with 40 threads each, as an SGLang rank has. How far py-spy slows a process is measured by
a fixed piece of work, about a second of Python: with and without py-spy in the order off, on, on, off (ABBA), so that a
host that grows slower is in neither; a round gives one ratio, the interval is Student's t over their logarithms. The
mode `native` stops the process for each sample, which its CPU time does not show.

Fails when the sampler takes above 1 % of a core, or nonblocking py-spy makes the work take 1 % more CPU, or longer by
more than 1 % for sure (the lower bound: on a busy host the upper one says nothing).
"""

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from common import Figure, parser_of, report

from mmload.analyse.blocks import TWO_SIDED_95
from mmload.analyse.cpu import Interval
from mmload.analyse.distributions import t_quantile
from mmload.discover import discover, from_pids
from mmload.model.plan import ProfileMode, ProfilePlan
from mmload.observe.cpu import ProcessSampler
from mmload.observe.stacks import Profiler
from mmload.store.append import create_run_folder

_CHILD = """
import sys, threading, time
for _ in range(int(sys.argv[1])):
    threading.Thread(target=threading.Event().wait, daemon=True).start()

def work(turns):
    for _ in range(turns):
        sum(range(1000))

print(flush=True)
for line in sys.stdin:
    wall_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns()
    work(int(line))
    print(time.monotonic_ns() - wall_ns, time.process_time_ns() - cpu_ns, flush=True)
"""
_WORK_S = 1.0
_OTHER_THREADS = 40


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--hz", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    figures = [
        *sampling(options.processes, options.hz, options.seconds),
        Figure("discover, of the whole host", cpu_ms_a_call(lambda: discover(1)), "ms CPU a call"),
    ]
    for threads in (0, _OTHER_THREADS):
        for mode in ("active", "native"):
            figures += slowing(mode, threads, options.rounds)
    return report(figures, as_json=options.json)


@contextmanager
def child(threads: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _CHILD, str(threads)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    try:
        yield process
    finally:
        process.communicate()


def sampling(processes: int, hz: float, seconds: float) -> list[Figure]:
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        children = [stack.enter_context(child(_OTHER_THREADS)) for _ in range(processes)]
        files = (Path(folder, "processes.jsonl"), Path(folder, "host.jsonl"))
        sampler = ProcessSampler(from_pids(process.pid for process in children), *files, interval_s=1 / hz)
        sampler.start()
        time.sleep(seconds)
        sampler.stop()
        samples = len(files[0].read_bytes().splitlines())
    return [
        Figure(f"sampler, {processes} processes at {hz:g} Hz", 100 * sampler.cpu_s / seconds, "% of a core", at_most=1),
        Figure("a sample, with its part of the host's", 1e6 * sampler.cpu_s / samples, "us CPU"),
    ]


def slowing(mode: ProfileMode, threads: int, rounds: int) -> list[Figure]:
    """How much longer the work takes under py-spy at 100 Hz, and what py-spy takes meanwhile."""
    trials = []
    with child(threads) as process:
        turns = round(10_000 * _WORK_S / worked(process, 10_000).wall_s)
        for _ in range(rounds):
            before = worked(process, turns)
            profiled = [profiled_work(process, turns, mode) for _ in range(2)]
            trials.append((before, *profiled, worked(process, turns)))
    name = f"py-spy, {mode}, {threads + 1} thread{'s' * (threads > 0)}"
    wall, cpu = (
        slowed([[getattr(work, clock) for work in trial] for trial in trials]) for clock in ("wall_s", "cpu_s")
    )
    watched = [work for _, *profiled, _ in trials for work in profiled]
    share = sum(work.py_spy_cpu_s for work in watched) / sum(work.py_spy_s for work in watched)
    limit = 1 if mode == "active" else None
    return [
        Figure(f"{name}: the work takes longer by", wall.value, "%", note=_span(wall)),
        Figure(f"{name}: at least by", wall.low, "%", at_most=limit),
        Figure(f"{name}: more CPU by", cpu.value, "%", at_most=limit, note=_span(cpu)),
        Figure(f"{name}: takes", 100 * share, "% of a core"),
    ]


class Work(NamedTuple):
    """A piece of work: how long it took and what it burnt; the same of the py-spy that watched it, if one did."""

    wall_s: float
    cpu_s: float
    py_spy_s: float = 0.0
    py_spy_cpu_s: float = 0.0


def slowed(rounds: list[list[float]]) -> Interval:
    """Percent more in the second and third of each four than in the first and last."""
    ratios = [math.log(first_on * second_on / (before * after)) / 2 for before, first_on, second_on, after in rounds]
    half = t_quantile(TWO_SIDED_95, len(ratios) - 1) * stdev(ratios) / math.sqrt(len(ratios))
    return Interval(*(100 * math.expm1(fmean(ratios) + off) for off in (0, -half, half)))


def worked(process: subprocess.Popen[str], turns: int) -> Work:
    process.stdin.write(f"{turns}\n")
    process.stdin.flush()
    return Work(*(int(word) / 1e9 for word in process.stdout.readline().split()))


def profiled_work(process: subprocess.Popen[str], turns: int, mode: ProfileMode) -> Work:
    with tempfile.TemporaryDirectory() as folder:
        plan = ProfilePlan(rate_hz=100, mode=mode, duration_s=60)
        profiler = Profiler(from_pids([process.pid]), create_run_folder(Path(folder), "run"), plan, segment_s=60)
        profiler.start()
        assert profiler.wait_until_sampling()
        work = worked(process, turns)
        (file,) = profiler.stop().files
    (segment,) = file.segments
    assert segment.error is None, segment.error
    return work._replace(py_spy_s=(segment.end_ns - segment.start_ns) / 1e9, py_spy_cpu_s=segment.cpu_s)


def _span(interval: Interval) -> str:
    return f"95 % interval {interval.low:.2f} to {interval.high:.2f}"


def cpu_ms_a_call(function: Callable[[], object], calls: int = 50) -> float:
    before = time.process_time()
    for _ in range(calls):
        function()
    return (time.process_time() - before) / calls * 1000


if __name__ == "__main__":
    sys.exit(main())
