"""What workers need of a plan, in a folder: the payload pool and the schedules, both made from the plan alone, so that
any host makes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from mmload.errors import FolderError
from mmload.model.plan import Plan
from mmload.plan.arrivals import RunSchedule, pool_size
from mmload.plan.payloads import prepare
from mmload.plan.pool import Pool


class Digests(msgspec.Struct, frozen=True):
    """By which it is told whether two hosts prepared the same. schedule_sha256: None in a closed loop."""

    schedule_sha256: str | None
    payloads_sha256: str


def prepare_load(
    plan: Plan,
    schedule: RunSchedule | None,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Pool, Digests]:
    """Write the pool and the schedules of `plan` into `folder`. Raises ConfigError or FolderError."""
    pool = prepare(plan, pool_size(plan, schedule), pool_folder(folder), progress)
    for segment, part in (schedule._asdict() if schedule is not None else {}).items():
        if part is not None:
            part.save(folder / f"{segment}.npy")
    return pool, Digests(schedule.main.sha256() if schedule is not None else None, pool.sha256)


def pool_folder(folder: Path) -> Path:
    return folder / "pool"


def schedule_files(folder: Path) -> dict[str, str]:
    """Segment -> its schedule's file. Raises FolderError where the folder is gone."""
    if not folder.is_dir():
        raise FolderError(f"nothing is prepared in {folder}")
    return {file.stem: str(file) for file in sorted(folder.glob("*.npy"))}
