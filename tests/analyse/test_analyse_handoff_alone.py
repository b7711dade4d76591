"""From readings of the handoff to figures with intervals."""

import math

import msgspec
import numpy as np
import pytest
from handoff_made import CELL, observed, reading
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.handoff_alone import Measured, estimate
from mmload.model.handoff import Observation

POSITIVE = st.lists(st.floats(0.01, 1e4), min_size=5, max_size=20)


def figures(*readings, cell=CELL):
    observation = Observation(variant="commit", cell=cell, round=0, readings=list(readings))
    (row,) = Measured([observation]).rows()
    return {name: each.value for name, each in row.figures.items()}


def test_a_reading_becomes_figures_per_request():
    cell = msgspec.structs.replace(CELL, batch=5)
    found = figures(reading(wall_ms=100, cpu_ms=200, build_ms=50, broadcasts=20, shm_bytes=100e6), cell=cell)
    assert found == pytest.approx(
        {
            "wall_ms": 20,
            "cpu_ms": 40,
            "ranks_cpu_ms": 30,
            "tokenizer_cpu_ms": 10,
            "build_cpu_ms": 10,
            "handoff_cpu_ms": 14,
            "throughput_rps": 50,
            "moved_mb": 100,
            "broadcasts": 1,
        }
    )


def test_modelled_cpu_is_in_no_measured_figure():
    cell = msgspec.structs.replace(CELL, batch=5, build_ms=500.0)
    modelled = figures(reading(wall_ms=2600, build_ms=1, objects_built=20), cell=cell)
    real = figures(reading(wall_ms=2600, build_ms=1, objects_built=20), cell=msgspec.structs.replace(CELL, batch=5))
    assert modelled.pop("modelled_cpu_ms") == pytest.approx(2000)
    assert modelled.pop("overhead_ms") == pytest.approx(20)
    assert modelled == real


def test_the_first_of_several_readings_warms_up():
    assert figures(reading(wall_ms=900), reading(wall_ms=20), reading(wall_ms=40))["wall_ms"] == pytest.approx(30)
    assert figures(reading(wall_ms=900))["wall_ms"] == pytest.approx(900)


def test_rows_go_from_small_cells_to_large_ones():
    small = msgspec.structs.replace(CELL, size_bytes=1000)
    modelled = msgspec.structs.replace(small, build_ms=500.0)
    seen = [
        *observed("shm", [1], cell=modelled),
        *observed("shm", [1]),
        *observed("original", [1]),
        *observed("shm", [1], cell=small),
    ]
    places = [(row.variant, row.cell) for row in Measured(seen).rows()]
    assert places == [("shm", small), ("shm", CELL), ("original", CELL), ("shm", modelled)]


@given(POSITIVE)
def test_an_interval_holds_its_figure_and_the_figure_lies_among_the_values(values):
    found = estimate(values)
    assert found.low is not None
    assert found.low <= found.value * (1 + 1e-9)
    assert found.value <= found.high * (1 + 1e-9)
    assert min(values) * (1 - 1e-9) <= found.value <= max(values) * (1 + 1e-9)


@given(POSITIVE, st.floats(0.1, 10))
def test_another_unit_changes_nothing_but_the_unit(values, factor):
    one, other = estimate(values), estimate([factor * value for value in values])
    for name in ("value", "low", "high"):
        assert getattr(other, name) == pytest.approx(factor * getattr(one, name), rel=1e-6)


def test_fewer_than_five_rounds_have_no_interval():
    assert estimate([1, 2, 3, 4]).low is None
    assert estimate([1, 2, 3, 4, 5]).low is not None


def test_what_never_changes_has_an_interval_of_no_width():
    found = estimate([400.0] * 7)
    assert found.low == pytest.approx(400)
    assert found.high == pytest.approx(400)
    assert estimate([0.0] * 7).value == 0


@pytest.mark.parametrize("rounds", [5, 7, 20])
def test_nineteen_of_twenty_intervals_hold_the_truth(rounds):
    rng = np.random.default_rng(7)
    trials = [estimate(np.exp(rng.normal(math.log(50), 0.2, rounds))) for _ in range(2000)]
    held = sum(each.low <= 50 <= each.high for each in trials) / len(trials)
    assert 0.935 < held < 0.965  # three standard errors of the simulation: 0.015


def test_a_ratio_knows_that_a_slow_round_is_slow_for_both():
    slowness = [1, 1, 4, 1, 2, 1, 1]
    measured = Measured(
        [*observed("commit", [100 * slow for slow in slowness]), *observed("shm", [25 * slow for slow in slowness])]
    )
    ratio = measured.ratio(("shm", CELL), ("commit", CELL), "wall_ms")
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((0.25, 0.25, 0.25))
    wall = estimate(measured.figure(("shm", CELL), "wall_ms").values())
    assert wall.high / wall.low > 2


def test_a_ratio_takes_only_rounds_that_both_have():
    measured = Measured([*observed("commit", [100, 100, 100]), *observed("shm", [50, 25])])
    assert measured.ratio(("shm", CELL), ("commit", CELL), "wall_ms").value == pytest.approx(math.sqrt(0.125))
    assert measured.ratio(("shm", CELL), ("delta", CELL), "wall_ms") is None


def test_fallbacks_are_counted_by_variant():
    measured = Measured(observed("delta", [1, 1], fallbacks=3))
    assert measured.fallbacks["delta"] == 6
