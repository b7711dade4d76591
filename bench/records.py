"""Records by the million: what writing, following, reading and judging them costs, and whether memory stays flat.

    python bench/records.py [--requests 1000000] [--tokens 1]       stored runs, made up: a minute or two per million
    python bench/records.py --run [--requests 1000000]              a run of so many requests, as fast as they go

The first part writes three run folders with mmload's own writer, follows one as the driver does, and summarises and
judges them in processes of their own, whose peak of memory is the kernel's (VmHWM). The second sends the requests with
64 in flight from one worker to bench/exact_server.py and samples worker and driver while it does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from common import Figure, exact_server, parser_of, report, scratch
from made_runs import RATE_RPS, VARIANTS, write_run

from mmload.analyse.summary import summarise
from mmload.judge.choice import choose_runs
from mmload.judge.definition import load_gate
from mmload.judge.gate import judge
from mmload.model.manifest import Phase
from mmload.session.tracker import Tracker
from mmload.store.layout import RunLayout
from mmload.store.read import Run, list_runs


def peak_bytes() -> int:
    """The most memory that this process ever had, as the kernel counts it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def in_process(task: str, folder: Path) -> dict[str, float]:
    """Seconds and the memory above that of the imports, of one task done in a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--task", task, str(folder)]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def do(task: str, folder: Path) -> None:
    before, wall_s, cpu_s = peak_bytes(), time.monotonic(), time.process_time()
    TASKS[task](folder)
    took = {"seconds": time.monotonic() - wall_s, "cpu_s": time.process_time() - cpu_s}
    print(json.dumps({**took, "peak_bytes": peak_bytes() - before}))


def gate_of_all(out: Path) -> None:
    gate = load_gate("release")
    judge(gate, choose_runs([], gate, also=list_runs(out)))


def follow(folder: Path) -> None:
    """As the driver after a pause: the whole file is there at once."""
    tracker = Tracker(RunLayout(folder).requests)
    tracker.enter("measure")
    tracker.take_in()


TASKS: dict[str, Callable[[Path], object]] = {
    "summarise": lambda folder: summarise(Run(folder)),
    "gate": gate_of_all,
    "follow": follow,
}


def stored(requests: int, tokens: int) -> list[Figure]:
    """What stored runs of so many requests cost."""
    millions = requests / 1e6
    with scratch() as out:
        made = [write_run(out, number, requests, tokens) for number in range(len(VARIANTS))]
        layout, cpu_s = made[-1]
        sizes = [
            Figure(f"{path.name}, per million", path.stat().st_size / 1e6 / millions, "MB")
            for path in sorted(layout.path.glob("*.jsonl"))
        ]
        summarising, judging = in_process("summarise", layout.path), in_process("gate", out)
        following = in_process("follow", layout.path)
    at_once = 1e6 * following["cpu_s"] / requests
    written = 1e6 * cpu_s / requests
    return [
        *sizes,
        Figure("encode and write, per 1,000", written, "ms CPU"),
        Figure("writing at 100/s", RATE_RPS * written / 1e4, "% core", at_most=5.0),
        *costs("summarise", summarising, requests, tokens),
        *costs("gate over three runs", judging, len(VARIANTS) * requests, tokens),
        Figure("driver following, per 1,000", at_once, "ms CPU"),
        Figure("driver following at 10,000/s", at_once, "% core", at_most=5.0),
        Figure("driver after a pause, memory", following["peak_bytes"] / 1e6, "MB", at_most=16.0),
    ]


def costs(name: str, took: dict[str, float], requests: int, tokens: int) -> list[Figure]:
    longest_s, most = (8.0, 300.0) if tokens == 1 else (None, None)
    return [
        Figure(f"{name}, per million", took["seconds"] / requests * 1e6, "s", at_most=longest_s),
        Figure(f"{name}, peak per record", took["peak_bytes"] / requests, "bytes", at_most=most),
    ]


def fast_run(requests: int) -> list[Figure]:
    """A run as fast as it goes; the driver's memory is sampled from outside, the worker's by mmload itself."""
    with scratch() as folder, exact_server(folder, 0.0) as server:
        words = folder / "words.toml"
        words.write_text('about = "words"\nrate_rps = 100\n[[items]]\nmodality = "text"\n')
        command = [sys.executable, "-m", "mmload", "run", "--url", server.url, "--workload", str(words), "--json"]
        command += ["--concurrency", "64", "--requests", str(requests), "--warmup", "1s", "--no-profile"]
        summary, driver = watched([*command, "--out", str(folder / "profiles")])
        run = Run(Path(summary["run_dir"]))
        phase = next(phase for phase in run.manifest.phases if phase.name == "measure")
        worker = [(sample.t_ns, sample.rss_bytes) for sample in run.processes if sample.role == "generator"]
    sealing = [size for t_ns, size in driver if t_ns > phase.end_ns]
    return [
        Figure("requests", summary["requests"], at_least=requests, note=f"in {summary['duration_s']:.0f} s"),
        Figure("achieved rate, 64 in flight", summary["achieved_rate_rps"], "req/s"),
        growth("worker", worker, phase),
        growth("driver", driver, phase),
        Figure("driver while it seals", max(sealing) / 1e6, "MB", note=f"{(driver[-1][0] - phase.end_ns) / 1e9:.1f} s"),
    ]


def watched(command: list[str]) -> tuple[dict[str, Any], list[tuple[int, int]]]:
    """The summary of a run, and (ns, bytes) of its driver four times a second."""
    samples = []
    with tempfile.TemporaryFile("w+") as output:
        driver = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, text=True)
        while driver.poll() is None:
            pages = Path(f"/proc/{driver.pid}/statm").read_text(encoding="ascii").split()[1]
            samples.append((time.monotonic_ns(), int(pages) * os.sysconf("SC_PAGE_SIZE")))
            time.sleep(0.25)
        output.seek(0)
        return json.loads(output.read()), samples


def growth(name: str, series: list[tuple[int, int]], window: Phase) -> Figure:
    """From the first to the last quarter of the window, by their medians."""
    quarter_ns = (window.end_ns - window.start_ns) // 4
    quarters = ((window.start_ns, window.start_ns + quarter_ns), (window.end_ns - quarter_ns, window.end_ns))
    within = [[size / 1e6 for t_ns, size in series if start_ns <= t_ns <= end_ns] for start_ns, end_ns in quarters]
    if not all(within):
        return Figure(f"{name}, memory grown", None, note="the run was too short")
    first, last = map(median, within)
    return Figure(f"{name}, memory grown", last - first, "MB", at_most=5.0, note=f"{first:.1f} to {last:.1f} MB")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--tokens", type=int, default=1)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--task", nargs=2, metavar=("TASK", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        do(arguments.task[0], Path(arguments.task[1]))
        return
    figures = fast_run(arguments.requests) if arguments.run else stored(arguments.requests, arguments.tokens)
    sys.exit(report(figures, as_json=arguments.json))


if __name__ == "__main__":
    main()
