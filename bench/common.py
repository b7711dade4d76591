"""What the benches against a known truth share: the exact server, a run of mmload, the wire, and the table at the end.

A bench prints one table of figures, each with the limit that it is held against: `pass`, `short`, or nothing where the
figure only says how things are. `--json` prints the same as a list. The exit code is 1 if a figure fell short.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

from mmload.model.records import RequestRecord
from mmload.store.read import read_lines

HERE = Path(__file__).parent
BODIES = {"133 kB": 224, "1.34 MB": 712}  # side of a noise JPEG of quality 100, in pixels


class Figure(msgspec.Struct, frozen=True):
    """value: None if it could not be had; `note` says why, or how it is meant. limit: `at_most` or `at_least` it."""

    name: str
    value: float | None
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """pass, short, or nothing where there is no limit or no value."""
        if self.value is None or (self.at_most is None and self.at_least is None):
            return ""
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return "pass" if low <= self.value <= high else "short"

    @property
    def limit(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least:g} to {self.at_most:g}"
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"


def report(figures: Sequence[Figure], *, as_json: bool) -> int:
    """Print them; returns the exit code."""
    if as_json:
        print(json.dumps([{**msgspec.to_builtins(figure), "verdict": figure.verdict} for figure in figures], indent=1))
    else:
        width = max(len(figure.name) for figure in figures)
        print(f"{'figure':{width}} {'measured':>14} {'limit':>14} {'':5}")
        for figure in figures:
            value = "not had" if figure.value is None else f"{figure.value:,.4g} {figure.unit}".strip()
            line = f"{figure.name:{width}} {value:>14} {figure.limit:>14} {figure.verdict:5} {figure.note}"
            print(line.rstrip())
    return int(any(figure.verdict == "short" for figure in figures))


def parser_of(about: str | None) -> argparse.ArgumentParser:
    """A parser with `--json`, its help the module's docstring."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    return parser


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory, so that no disk is measured."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="mmload-bench-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


class Server:
    """The exact server, running; `wire()` once it has ended."""

    def __init__(self, url: str, wire_file: Path) -> None:
        self.url = url
        self._wire_file = wire_file

    def wire(self) -> Wire:
        return Wire(self._wire_file)


@contextmanager
def exact_server(folder: Path, delay_s: float, *options: str) -> Iterator[Server]:
    wire_file = folder / "wire"
    command = [sys.executable, str(HERE / "exact_server.py"), str(delay_s), str(wire_file), *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}", wire_file)
    finally:
        process.stdin.close()
        process.wait(60)


class Seen(msgspec.Struct, frozen=True):
    """A request as the server saw it. out_ns: when each piece of its answer went out; empty if none ever did."""

    id: str
    planted: str
    body_bytes: int
    first_ns: int
    last_ns: int
    out_ns: list[int]


class Wire:
    """What the server saw. `seen`: in order of arrival (of each process). frozen: (start, end) of each standstill."""

    def __init__(self, file: Path) -> None:
        self.seen: list[Seen] = []
        self.frozen: list[tuple[int, int]] = []
        for line in file.read_text(encoding="ascii").splitlines():
            request, planted, *numbers = line.split()
            body_bytes, first_ns, last_ns, *out_ns = map(int, numbers)
            if planted == "frozen":
                self.frozen.append((first_ns, last_ns))
            else:
                self.seen.append(Seen(request, planted, body_bytes, first_ns, last_ns, out_ns))

    @property
    def by_id(self) -> dict[str, Seen]:
        return {one.id: one for one in self.seen}


class CpuWatch:
    """CPU seconds of a process and its children over time, read four times a second."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._spent: dict[int, float] = {}
        self._at: list[tuple[int, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def between(self, start_ns: int, end_ns: int) -> float:
        """CPU seconds in a stretch of time (ns of CLOCK_MONOTONIC), interpolated."""
        times, spent = zip(*self._at, strict=True)
        first, last = np.interp([start_ns, end_ns], times, spent)
        return float(last - first)

    def _look(self) -> None:
        while not self._stop.wait(0.25):
            try:
                for process in (self._root, *self._root.children(recursive=True)):
                    user_s, system_s, *_ = process.cpu_times()
                    self._spent[process.pid] = user_s + system_s
            except psutil.Error:  # one has just ended: what it spent is kept
                pass
            self._at.append((time.monotonic_ns(), sum(self._spent.values())))


class Run:
    """A finished run of mmload. `records`: all of them; `measured`: those of the measure window, by due time. cpu:
    of all its processes over time."""

    def __init__(self, folder: Path, cpu: CpuWatch) -> None:
        self.cpu = cpu
        self.summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        self.records = list(read_lines(folder / "requests.jsonl", RequestRecord))
        measured = (record for record in self.records if record.phase == "measure")
        self.measured = sorted(measured, key=lambda record: record.due_ns)
        self.folder = folder


def mmload_run(folder: Path, url: str, *options: str) -> Run:
    """`mmload run` without a profile against `url`. Ends the bench where there is no run; an INVALID one is one."""
    command = [sys.executable, "-m", "mmload", "run", "--url", url, "--no-profile", "--json"]
    command += ["--out", str(folder / "profiles"), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    cpu = CpuWatch(process.pid)
    output, errors = process.communicate()
    cpu.stop()
    if process.returncode not in (0, 4):
        sys.exit(errors)
    return Run(Path(json.loads(output)["run_dir"]), cpu)


def of_one_size(folder: Path, side_px: int) -> Path:
    """A workload file whose bodies all have the same size."""
    file = folder / f"noise-{side_px}.toml"
    item = f'[[items]]\nmodality = "image"\nwidth_px = {side_px}\nquality = 100\n'
    file.write_text(f'about = "a body of one size"\nrate_rps = 100\n{item}')
    return file


def body_of(folder: Path, side_px: int) -> bytes:
    """One body of that workload, for tools that can't make it."""
    command = [sys.executable, "-m", "mmload", "workload", "show", str(of_one_size(folder, side_px))]
    subprocess.run([*command, "--save", str(folder / "saved"), "--count", "1"], check=True, capture_output=True)
    return next((folder / "saved").glob(f"noise-{side_px}*.body.json")).read_bytes()


def percentile(values: Iterable[float], share: float) -> float:
    """The order statistic of rank ceil(share n), as the summary has it. Raises IndexError without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
