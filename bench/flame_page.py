"""The flame page with 50,000 distinct stacks in headless Chromium: its size, when it is shown, how long a zoom takes.

    python bench/flame_page.py [--stacks N]

Shown: from the start of the navigation until the picture and the table are in the page. What a person does then is
timed around the call that does it, drawing included; the median of several, and the worst beside it.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from common import Figure, parser_of, report, scratch
from planted_flames import Planter, made_stacks
from playwright.sync_api import Page, sync_playwright

from mmload.show.flame_page import flame_page

FRAME_MS = 1000 / 60
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
VIEW = "mmload.flameViews.flame"
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
SHOWN = "performance.getEntriesByName('flame-shown')[0].startTime"
ACTIONS = {  # what is done -> how, and in how many milliseconds
    "draw": (f"{VIEW}.stage.draw()", FRAME_MS),
    "zoom": (f"{VIEW}.zoomTo(round % 2 ? 0 : {VIEW}.tree.kids(1)[0])", 3 * FRAME_MS),  # the table too
    "hide a phase": (f"{VIEW}.set({{hide: round % 2 ? '' : 'idle-poll'}})", 1000),
    "search": (f"{VIEW}.set({{find: `step_${{round}}`}})", 200),
}
ROUNDS = 12


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--stacks", type=int, default=50_000)
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium on this host: make browser installs Debian's")
    began_s = time.perf_counter()
    page = _page(arguments.stacks)
    took_s = time.perf_counter() - began_s
    figures = [
        Figure("page without data", len(_page(0)) / 1e3, "kB", at_most=300),
        Figure("page", len(page) / 1e6, "MB", at_most=5),
        Figure("made in", took_s, "s", at_most=15, note="the planted document too"),
    ]
    with scratch() as folder:
        file = folder / "flame.html"
        file.write_bytes(page)
        figures += _looked_at(file, chromium)
    return report(figures, as_json=arguments.json)


def _page(stacks: int) -> bytes:
    planter = Planter(is_diff=True)
    return flame_page(planter.document([planter.view("all-ranks", made_stacks(stacks))])).encode()


def _looked_at(file: Path, chromium: str) -> Iterator[Figure]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        tab = browser.new_page(reduced_motion="reduce", viewport={"width": 1600, "height": 1000})
        tab.goto(file.as_uri())
        tab.wait_for_selector(".flame-table table")
        yield Figure("nodes", tab.evaluate(f"{VIEW}.tree.count"))
        yield Figure("boxes drawn", tab.evaluate(f"{VIEW}.rectangles().length"))
        yield Figure("first paint", tab.evaluate(PAINT), "ms", at_most=1000)
        yield Figure("shown", tab.evaluate(SHOWN), "ms", at_most=1000)
        for name, (action, most_ms) in ACTIONS.items():
            times_ms = _times_ms(tab, action)
            yield Figure(name, median(times_ms), "ms", at_most=most_ms, note=f"at worst {max(times_ms):.0f} ms")
        browser.close()


def _times_ms(tab: Page, action: str) -> list[float]:
    script = f"""() => {{
        const times = [];
        for (let round = 0; round < {ROUNDS}; round++) {{
            const before = performance.now();
            {action};
            times.push(performance.now() - before);
        }}
        return times;
    }}"""
    times_ms: list[float] = tab.evaluate(script)
    return times_ms


if __name__ == "__main__":
    sys.exit(main())
