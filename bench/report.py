"""The report of a long run, made up: a million requests and 50,000 distinct stacks. Seconds, memory, the page's size;
in headless Chromium when its plots are there and how long a zoom of all of them takes.

    python bench/report.py [--requests 1000000] [--stacks 50000] [--no-browser]

The page is made by `mmload report` in a process of its own, whose peak of memory is the kernel's (VmHWM, all that it
imports included). Writing the run takes a minute or two before that.
"""

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from common import Figure, parser_of, report, scratch
from flame_page import FLAGS
from made_runs import write_run
from planted_flames import made_stacks

from mmload.model.manifest import Phase, ProfileFile, ProfileInfo
from mmload.store.append import write_document
from mmload.store.layout import RunLayout
from mmload.store.read import Run

PROCESSES = ("tokenizer", "scheduler_TP0", "scheduler_TP1", "scheduler_TP2", "scheduler_TP3")
MADE = """
import sys
from mmload.cli import main
sys.argv = ["mmload", "report", sys.argv[1], "--output", sys.argv[2], "--json"]
try:
    main()
finally:
    peak = open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]
    print(peak, file=sys.stderr)
"""


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--stacks", type=int, default=50_000)
    parser.add_argument("--no-browser", action="store_true")
    arguments = parser.parse_args()
    with scratch() as folder:
        layout, _ = write_run(folder, 2, arguments.requests, tokens=1)
        plant_stacks(layout, arguments.stacks)
        page = folder / "report.html"
        figures = [*made(layout, page), *([] if arguments.no_browser else looked_at(page))]
    return report(figures, as_json=arguments.json)


def plant_stacks(layout: RunLayout, count: int) -> None:
    """As many distinct stacks over the tokenizer and the ranks, and a profile window behind the measured one."""
    each, files = count // len(PROCESSES), []
    for number, process in enumerate(PROCESSES):
        rng = random.Random(number)
        stacks = made_stacks(each, seed=number)
        lines = (f"{';'.join(with_line(frame, rng) for frame in stack.frames)} {stack.samples}\n" for stack in stacks)
        layout.folded(process).write_text("".join(lines), encoding="utf-8")
        files.append(ProfileFile(process=process, pid=100 + number, samples=sum(s.samples for s in stacks), errors=0))
    manifest = Run(layout.path).manifest
    measured = manifest.phases[0]
    profiled = Phase(name="profile", start_ns=measured.end_ns, end_ns=measured.end_ns + 10_000_000_000)
    profile = ProfileInfo(mode="active", rate_hz=100, samples=sum(file.samples for file in files), files=files)
    write_document(layout.manifest, msgspec.structs.replace(manifest, phases=[measured, profiled], profile=profile))


def with_line(frame: str, rng: random.Random) -> str:
    """A function is seen on a few of its lines."""
    return f"{frame[:-1]}:{rng.randint(1, 5)})"


def made(layout: RunLayout, page: Path) -> list[Figure]:
    began_s = time.monotonic()
    command = [sys.executable, "-c", MADE, str(layout.path), str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    took_s = time.monotonic() - began_s
    return [
        Figure("made in", took_s, "s", at_most=15),
        Figure("peak of memory", int(done.stderr.split()[-1]) * 1024 / 1e9, "GB", at_most=1),
        Figure("page", json.loads(done.stdout)["bytes"] / 1e6, "MB", at_most=5),
    ]


def looked_at(page: Path) -> list[Figure]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (only with a browser)

    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        tab = browser.new_page(reduced_motion="reduce", viewport={"width": 1400, "height": 1000})
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-drawn=yes]")
        paint_ms = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        drawn_ms = tab.evaluate("performance.getEntriesByName('report-drawn')[0].startTime")
        zooms = """() => [1, 2, 3, 4, 5, 6].map((round) => {
            const before = performance.now();
            mmload.report.axis.zoom(100 * round, 100 * round + (round % 2 ? 300 : 9000));
            document.body.getBoundingClientRect();
            return performance.now() - before;
        })"""
        zoom_ms = max(tab.evaluate(zooms))
        browser.close()
    return [
        Figure("first paint", paint_ms, "ms", at_most=1000),
        Figure("plots drawn", drawn_ms, "ms", at_most=2000),
        Figure("zoom of all plots", zoom_ms, "ms", at_most=200, note="the worst of six, layout included"),
    ]


if __name__ == "__main__":
    sys.exit(main())
