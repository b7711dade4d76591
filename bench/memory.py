"""What a worker keeps of its own when the payload pool holds 2 GB and it sends all of it.

    python bench/memory.py [--gigabytes 2] [--json]

Stops by itself within a minute; wants that much room in /dev/shm. The pool is a file that workers map. The kernel
counts a page of it as private while only one process maps it, as shared from the second on: this process maps it too
and touches every page, as a second worker would. Private is what smaps_rollup says of the worker then (Private_Clean
and Private_Dirty), at its peak, four times a second while it sends; anonymous memory is the part that no file stands
behind. The last line is the same worker without the second mapping, for those who look at RSS or USS alone.
"""

from __future__ import annotations

import mmap
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import BODIES, Figure, body_of, exact_server, parser_of, report, scratch

from mmload.drive.fleet import Fleet
from mmload.drive.job import Closed, Endpoint, Job
from mmload.model.plan import ClosedLoop, Plan
from mmload.plan.pool import Body, PoolWriter
from mmload.store.append import create_run_folder

IN_FLIGHT = 16
LIMIT_MB = 150.0
WORKLOAD = {"about": "bodies of one size", "rate_rps": 100, "items": [{"modality": "image"}]}


def smaps_mb(pid: int) -> dict[str, float]:
    """The kernel's account of a process's memory, in MB (10^6 bytes)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines}


def private_mb(found: dict[str, float]) -> float:
    return found["Private_Clean"] + found["Private_Dirty"]


@contextmanager
def mapped(file: Path) -> Iterator[None]:
    """Every page of the file is in this process's page table."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        sum(pages[:: mmap.PAGESIZE])
        yield


def make_pool(folder: Path, body: bytes, size_bytes: float) -> int:
    """Returns how many bodies it holds."""
    count = round(size_bytes / len(body))
    with PoolWriter(folder / "pool") as writer:
        for number in range(count):
            writer.add(f"item-{number}", Body("image", body), digested=False)
        writer.seal(identity=0, wanted=count)
    return count


@contextmanager
def worker(folder: Path, url: str) -> Iterator[Fleet]:
    """One worker that has mapped the pool and waits for its command."""
    layout = create_run_folder(folder, "run")
    plan = Plan(variant=None, workload_name="one", workload=WORKLOAD, load=ClosedLoop(concurrency=IN_FLIGHT))
    job = Job(
        worker=0,
        workers=1,
        plan=plan,
        endpoint=Endpoint(url=url, path="/v1/chat/completions", timeout_s=30.0),
        pool=str(folder / "pool"),
        schedules={},
        run_folder=str(layout.path),
        run_tag="memory",
    )
    fleet = Fleet.of_children([job], layout, folder)
    try:
        while not fleet.is_ready:
            fleet.poll(0.05)
        yield fleet
    finally:
        fleet.close()


def send_all(fleet: Fleet, pid: int, count: int) -> list[dict[str, float]]:
    """Send every body once; returns what the kernel said meanwhile."""
    start_ns = time.monotonic_ns() + 100_000_000
    phases = [("measure", 1e9)]
    fleet.command(Closed(segment="main", start_ns=start_ns, concurrency=IN_FLIGHT, phases=phases, requests=count))
    found = []
    while not fleet.is_drained("main"):
        fleet.poll(0.25)
        found.append(smaps_mb(pid))
    return found


def measure(folder: Path, gigabytes: float) -> list[Figure]:
    body = body_of(folder, BODIES["1.34 MB"])
    count = make_pool(folder, body, gigabytes * 1e9)
    with exact_server(folder, 0.0) as server, worker(folder, server.url) as fleet:
        (pid,) = fleet.pids.values()
        idle = smaps_mb(pid)
        with mapped(folder / "pool" / "bodies.bin"):
            found = send_all(fleet, pid, count)
        alone = smaps_mb(pid)
    missing = count - len(server.wire().seen)
    return [
        Figure("pool", count * len(body) / 1e6, "MB", note=f"{count} bodies"),
        Figure("bodies that the server did not get", missing, at_most=0),
        Figure("private before the first request", private_mb(idle), "MB"),
        Figure("private, peak", max(map(private_mb, found)), "MB", at_most=LIMIT_MB),
        Figure("anonymous, peak", max(one["Anonymous"] for one in found), "MB", at_most=LIMIT_MB),
        Figure("private and written to, peak", max(one["Private_Dirty"] for one in found), "MB"),
        Figure("resident, peak", max(one["Rss"] for one in found), "MB", note="the pool's pages included"),
        Figure("private if nobody else maps the pool", private_mb(alone), "MB", note="the pool's pages included"),
    ]


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    arguments = parser.parse_args()
    with scratch() as folder:
        figures = measure(folder, arguments.gigabytes)
    return report(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
