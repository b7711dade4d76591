"""How long the payloads take to make: one body of each shipped workload's kinds, then 2,000 default ones in a pool.

python bench/payloads.py
"""

import tempfile
import time
from pathlib import Path

import msgspec

from mmload.model.plan import OpenLoop, Plan
from mmload.plan import config
from mmload.plan.arrivals import PoolSize
from mmload.plan.payloads import prepare
from mmload.plan.payloads_body import encode
from mmload.plan.payloads_made import make
from mmload.plan.randomness import Purpose
from mmload.plan.workload import load_workload

BODIES = 8
POOL = 2000


def one_by_one() -> None:
    print(f"{'workload':22}{'kind':10}{'body kB':>10}{'CPU ms':>10}   one thread, {BODIES} bodies")
    for name in config.names("workloads"):
        workload = load_workload(name)[1]
        for item in workload.items:
            kind = msgspec.structs.replace(workload, items=(item,))
            encode(make(kind, Purpose.LOAD_ITEM, BODIES, 0), kind, "default")  # the first opens codecs
            start = time.process_time_ns()
            sizes = [len(encode(make(kind, Purpose.LOAD_ITEM, n, 0), kind, "default")) for n in range(BODIES)]
            cpu_ms = (time.process_time_ns() - start) / 1e6 / BODIES
            print(f"{name:22}{item.__struct_config__.tag:10}{sum(sizes) / BODIES / 1e3:10.1f}{cpu_ms:10.2f}")


def pool() -> None:
    name, workload = load_workload("images-small")
    plan = Plan(
        variant=None,
        workload_name=name,
        workload=msgspec.to_builtins(workload),
        load=OpenLoop(rate_rps=100),
    )
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.monotonic(), time.process_time()
        made = prepare(plan, PoolSize(POOL, POOL), Path(folder))
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    print(f"\npool of {made.load} {name}: {made.body_bytes / 1e6:.0f} MB in {wall:.2f} s, {cpu:.2f} s of CPU")


if __name__ == "__main__":
    one_by_one()
    pool()
