"""The stand-in's collective beside real gloo: the same objects, in the same processes, by turns.

    python bench/collective.py [--tp 2 4] [--mb 1 10 50 100] [--rounds 13] [--handoff 0] [--json]

Wants torch (the extra `torch`). A request with its features goes from rank 0 to all others, and the first and the last
of its features are looked at:

    standin        pickled, its size and its bytes over the stand-in's tree of sockets
    gloo           the same over gloo: what `mmload handoff --collective gloo` does
    object list    torch's broadcast_object_list, as the commit sends built objects
    pyobj          as SGLang's broadcast_pyobj sends requests: a size and a byte tensor, copied to bytes by who receives

Wall is from the first rank's start to the last one's end, CPU that of all ranks and all their threads. A figure is the
median over rounds of (that way / standin), with the interval of order statistics that holds it in 95 % of cases. Ways
take turns within each round, so what else keeps the machine busy hits all alike; one round before them is a warm-up.

`--handoff ROUNDS` adds the whole handoff by gloo / by the stand-in's collective, as `mmload handoff` measures it, for a
few variants: half a minute a round for TP 4. Its wall times have no limit: they are those of more processes than cores.
"""

from __future__ import annotations

import math
import multiprocessing
import pickle
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from common import Figure, parser_of, report, scratch
from msgspec.structs import replace

from mmload.analyse.handoff_alone import Measured
from mmload.handoff.counters import Counters
from mmload.model.handoff import CollectiveName, Observation
from mmload.plan.handoff import MB, HandoffPlan, Part, in_turn
from mmload.session.handoff import measure
from mmload.standin.collective import Collective, parent_of
from mmload.standin.gloo import GlooCollective, join_groups
from mmload.standin.host import ObjectChannel
from mmload.standin.memory import keep_freed_memory
from mmload.standin.messages import GenerateRequest, Segment

WAYS = ("standin", "gloo", "object list", "pyobj")
FACTOR, FACTOR_FROM_MB = 4.0, 10  # of less, the time is that of waking threads: no limit
HANDOFF_FACTOR = 2.0
REPEAT_BYTES = 20 * MB
VARIANTS = ("original", "commit", "optimized", "shm")
Seen = tuple[float, float]  # wall and CPU of one broadcast, ms


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--tp", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--mb", type=int, nargs="+", default=[1, 10, 50, 100])
    parser.add_argument("--rounds", type=int, default=13)
    parser.add_argument("--handoff", type=int, default=0, metavar="ROUNDS")
    arguments = parser.parse_args()
    if find_spec("torch") is None:
        parser.error("torch is not installed: it comes with mmload's extra `torch`")
    figures = []
    for tp in arguments.tp:
        with ranks(tp) as pipes:
            for size_mb in arguments.mb:
                rounds = [
                    {way: broadcast(pipes, way, size_mb * MB) for way in in_turn(WAYS, number)}
                    for number in range(1 + arguments.rounds)
                ]
                figures += compared(tp, size_mb, rounds[1:])
        if arguments.handoff:
            figures += handed_over(tp, arguments.mb, arguments.handoff)
    return report(figures, as_json=arguments.json)


def compared(tp: int, size_mb: int, rounds: list[dict[str, Seen]]) -> Iterator[Figure]:
    for place, what in enumerate(("wall", "CPU")):
        for way in WAYS[1:]:
            ratios = sorted(seen[way][place] / seen["standin"][place] for seen in rounds)
            medians = (median(seen[one][place] for seen in rounds) for one in (way, "standin"))
            yield Figure(
                name=f"TP {tp}, {size_mb} MB, {what}: {way} / standin",
                value=median(ratios),
                note=interval(ratios) + "{:.1f} / {:.1f} ms".format(*medians),
                **within(FACTOR, size_mb),
            )


def within(factor: float, size_mb: float) -> dict[str, float]:
    return {"at_least": 1 / factor, "at_most": factor} if size_mb >= FACTOR_FROM_MB else {}


def interval(ordered: list[float]) -> str:
    """Of the median, in 95 % of cases, by order statistics; nothing of fewer than six values."""
    spare, beyond = -1, 0.0
    while (beyond := beyond + math.comb(len(ordered), spare + 1) / 2 ** len(ordered)) <= 0.025:
        spare += 1
    return f"{ordered[spare]:.2f} to {ordered[-1 - spare]:.2f}; " if spare >= 0 else ""


def handed_over(tp: int, sizes_mb: list[int], rounds: int) -> Iterator[Figure]:
    """The whole handoff by gloo / by the stand-in's collective; processes are started anew for each turn."""
    seen: list[Observation] = []

    def part(variant: str, collective: CollectiveName) -> Part:
        sizes = tuple(size_mb * MB for size_mb in sorted(sizes_mb))
        cells = {"tp": tp, "sizes_bytes": sizes, "batches": (1,), "build_ms": None, "collective": collective}
        return Part(variants=(variant,), rounds=1, **cells)

    for number in range(rounds):
        turns = [part(variant, by) for variant in VARIANTS for by in in_turn(("standin", "gloo"), number)]
        measure(HandoffPlan(parts=tuple(turns)), lambda one, number=number: seen.append(replace(one, round=number)))
    measured = Measured(seen)
    for variant, cell in measured.places:
        for what, name in (("wall", "wall_ms"), ("CPU", "cpu_ms")):
            ratio = measured.ratio((variant, replace(cell, collective="gloo")), (variant, cell), name)
            if cell.collective == "standin" and ratio is not None:
                size_mb = cell.size_bytes // MB
                yield Figure(
                    name=f"TP {tp}, {size_mb} MB, {what}: whole handoff, {variant}",
                    value=ratio.value,
                    note="" if ratio.low is None else f"{ratio.low:.2f} to {ratio.high:.2f}",
                    **(within(HANDOFF_FACTOR, size_mb) if what == "CPU" else {}),
                )


def broadcast(pipes: list[Connection], way: str, size_bytes: int) -> Seen:
    """Several times where it is small; the first time of several is a warm-up."""
    times = 1 + math.ceil(REPEAT_BYTES / size_bytes) if size_bytes < REPEAT_BYTES else 1
    seen = []
    for _ in range(times):
        for pipe in pipes:
            pipe.send((way, size_bytes))
        starts_ns, ends_ns, cpus_s = zip(*(pipe.recv() for pipe in pipes), strict=True)
        seen.append(((max(ends_ns) - min(starts_ns)) / 1e6, sum(cpus_s) * 1e3))
    walls_ms, cpus_ms = zip(*(seen[1:] or seen), strict=True)
    return sum(walls_ms) / len(walls_ms), sum(cpus_ms) / len(cpus_ms)


@contextmanager
def ranks(size: int) -> Iterator[list[Connection]]:
    """The driver's ends of pipes to `size` ranks, which end with them."""
    spawn = multiprocessing.get_context("spawn")
    edges = {rank: socket.socketpair() for rank in range(1, size)}
    pipes = [spawn.Pipe() for _ in range(size)]
    with scratch() as folder:
        processes = []
        for rank in range(size):
            parent = edges[rank][1] if rank else None
            children = {child: ends[0] for child, ends in edges.items() if parent_of(child) == rank}
            arguments = (rank, size, parent, children, folder / "gloo", pipes[rank][1])
            processes.append(spawn.Process(target=take_part, args=arguments, daemon=True))
            processes[-1].start()
        for _, end in pipes:
            end.close()
        yield [mine for mine, _ in pipes]
        for mine, _ in pipes:
            mine.close()
        for process in processes:
            process.join(20)


def take_part(
    rank: int,
    size: int,
    parent: socket.socket | None,
    children: Mapping[int, socket.socket],
    store: Path,
    pipe: Connection,
) -> None:
    """One rank: (way, bytes) comes, (start, end, CPU seconds) goes."""
    keep_freed_memory()
    (group,) = join_groups(rank, size, store, count=1)
    tree = Collective(rank, parent, children)
    by = ways(rank == 0, tree, GlooCollective(rank, parent, children, group), group)
    while True:
        try:
            way, size_bytes = pipe.recv()
        except EOFError:
            return
        obj = request(size_bytes) if rank == 0 else None
        meet(tree)
        start_ns, start_s = time.monotonic_ns(), time.process_time()
        got = by[way](obj)
        end_ns = time.monotonic_ns()
        meet(tree)
        cpu_s = time.process_time() - start_s
        feature = got.mm_inputs["mm_items"][0]["feature"]
        assert (feature[0, 0], feature[0, -1], feature.nbytes) == (1.0, 2.0, size_bytes)
        pipe.send((start_ns, end_ns, cpu_s))


def ways(is_entry: bool, tree: Collective, gloo: Collective, group: Any) -> dict[str, Callable[[Any], Any]]:
    """Each by its name: rank 0's object to all."""
    import torch  # noqa: PLC0415 - in ranks alone
    from torch import distributed  # noqa: PLC0415

    def object_list(obj: Any) -> Any:
        objects = [obj]
        distributed.broadcast_object_list(objects, src=0, group=group)
        return objects[0]

    def pyobj(obj: Any) -> Any:
        data = torch.frombuffer(pickle.dumps(obj), dtype=torch.uint8) if is_entry else None
        size = torch.tensor([0 if data is None else data.numel()])
        distributed.broadcast(size, src=0, group=group)
        if data is None:
            data = torch.empty(int(size.item()), dtype=torch.uint8)
        distributed.broadcast(data, src=0, group=group)
        return obj if is_entry else pickle.loads(bytes(data.numpy()))

    by_tree, by_gloo = ObjectChannel(tree, Counters()), ObjectChannel(gloo, Counters())
    return dict(zip(WAYS, (by_tree.broadcast_object, by_gloo.broadcast_object, object_list, pyobj), strict=True))


def request(size_bytes: int) -> GenerateRequest:
    feature = np.ones((1, size_bytes // 4), np.float32)
    feature[0, -1] = 2.0
    item = {"modality": "IMAGE", "feature": feature, "grid": None}
    return GenerateRequest("rid", b"", [Segment(1, key=None)], 1, 1, {"mm_items": [item]})


def meet(tree: Collective) -> None:
    """All ranks go on together."""
    tree.gather(b"")
    tree.broadcast_size(b"m")


if __name__ == "__main__":
    raise SystemExit(main())
