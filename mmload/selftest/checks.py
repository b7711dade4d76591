"""The rows of the selftest: what is planted, and what the tool must say of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from mmload.errors import UsageError
from mmload.plan.config_hints import nearest
from mmload.selftest import looks_failures as failures
from mmload.selftest import looks_figures as figures
from mmload.selftest import plants
from mmload.selftest.seen import Seen
from mmload.selftest.workbench import Workbench

Look = Callable[[Workbench], Seen]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One row. planted: False for a control, which has no fault that the tool may find. quick: what is expected of the
    short form, where that is another word. long: it is no part of the short form."""

    name: str
    planted: bool
    truth: str
    expected: str
    look: Look
    quick: str = ""
    long: bool = False

    def expects(self, *, quick: bool) -> str:
        return self.quick if quick and self.quick else self.expected


CHECKS = (
    Check(
        name="clean",
        planted=False,
        truth="nothing: a healthy server before a gate with wide limits",
        expected="PASS",
        look=figures.clean_gate,
    ),
    Check(
        name="same-variant",
        planted=False,
        truth="nothing: a variant beside itself, started in turn",
        expected="no difference seen",
        quick="no FAIL",
        look=figures.same_variant,
    ),
    Check(
        name="clean-memory",
        planted=False,
        truth="nothing: memory of the healthy server",
        expected="PASS",
        look=figures.clean_memory,
    ),
    Check(
        name="slow-start",
        planted=False,
        truth=f"the first {plants.SLOW_FIRST} requests take {plants.SLOW_FIRST_DELAY_S:g} s, all within the warm-up",
        expected="PASS",
        look=figures.slow_start,
        long=True,
    ),
    Check(
        name="busy-host",
        planted=False,
        truth="other work burns every core, and the generator keeps its time",
        expected="a warning",
        look=failures.busy_host,
        long=True,
    ),
    Check(
        name="slow-tail",
        planted=True,
        truth=f"P99 is 1.10 times the baseline's: {plants.TAIL_SHARE:.0%} of the items take as much longer",
        expected="FAIL",
        look=figures.slow_tail,
    ),
    Check(
        name="errors",
        planted=True,
        truth=f"every {plants.ERRORS_EVERY}th request fails, the limit is 0.1 %",
        expected="FAIL",
        quick="INCONCLUSIVE",
        look=figures.errors,
    ),
    Check(
        name="leak",
        planted=True,
        truth=f"rank {plants.LEAKING_RANK} keeps {plants.LEAK_BYTES / 1e3:g} kB of each request",
        expected="FAIL",
        look=figures.leak,
    ),
    Check(
        name="wrong-output",
        planted=True,
        truth=f"{len(plants.WRONG_OUTPUTS)} identity items are answered without their images",
        expected="FAIL",
        look=figures.wrong_output,
    ),
    Check(
        name="slow-rank",
        planted=True,
        truth=f"rank {plants.SLOW_RANK} burns {1e3 * plants.SLOW_RANK_CPU_S:g} ms more for each request",
        expected="named",
        look=failures.slow_rank,
    ),
    Check(
        name="lost-rank",
        planted=True,
        truth=f"rank {plants.LOST_RANK} is killed in mid-run",
        expected="exit 5",
        look=failures.lost_rank,
    ),
    Check(
        name="lying-variant",
        planted=True,
        truth=f"asked for optimized, rank {plants.LYING_RANK} runs commit",
        expected="exit 5",
        look=failures.lying_variant,
    ),
    Check(
        name="starved-generator",
        planted=True,
        truth="the load generator is stopped for 1 s",
        expected="INVALID",
        look=failures.starved_generator,
    ),
    Check(
        name="frozen-server",
        planted=True,
        truth="all processes of the server are stopped for 2 s",
        expected="FAIL",
        look=failures.frozen_server,
    ),
    Check(
        name="cut-records",
        planted=True,
        truth="100 records of a clean run are taken away",
        expected="INVALID",
        look=failures.cut_records,
    ),
)


def chosen(only: Sequence[str], *, quick: bool) -> list[Check]:
    """The rows of the short or the long form; those named in `only` whatever the form. Raises UsageError."""
    names = [check.name for check in CHECKS]
    for name in only:
        if name not in names:
            raise UsageError(f"--only {name!r} is no row of the selftest", nearest(name, names))
    return [check for check in CHECKS if (check.name in only if only else not (quick and check.long))]
