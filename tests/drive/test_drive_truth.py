"""The measures that the benches hold the load generator against: they tell a true arrival process from a bent one, and
a perfect open loop from a patient one."""

import numpy as np
import pytest
from arrivals import FALSE_ALARM, chance_of, dispersion, ks_distances, simulated_distances, variation
from common import Figure, Wire, report
from freezing_server import answered_ns

GAPS = 1999
RATE_NS = 10_000_000  # 100/s


@pytest.fixture(scope="module")
def simulated():
    return simulated_distances(GAPS)


def poisson_ns(seed):
    return np.cumsum(np.random.default_rng(seed).exponential(RATE_NS, GAPS + 1)).astype(np.int64)


def chance(times_ns, simulated):
    return chance_of(float(ks_distances(np.diff(times_ns)[np.newaxis].astype(float))[0]), simulated)


def test_the_test_of_gaps_raises_a_false_alarm_as_often_as_it_says(simulated):
    alarms = sum(chance(poisson_ns(seed), simulated) < FALSE_ALARM for seed in range(1000))
    assert 2 <= alarms <= 22  # binomial(1000, 0.01): outside with a chance of 1 in 2,000, and the seeds are fixed


@pytest.mark.parametrize(
    "bent",
    [
        lambda times: -(-times // 1_000_000) * 1_000_000,  # wakes on whole milliseconds
        lambda times: -(-times // 50_000_000) * 50_000_000,  # ticks
        lambda times: np.maximum.accumulate(times + 4_000_000 * (np.arange(len(times)) % 2)),  # each second one late
        lambda times: np.arange(len(times)) * RATE_NS,  # constant
    ],
)
def test_a_bent_poisson_process_is_found_out(simulated, bent):
    assert chance(bent(poisson_ns(1)), simulated) < FALSE_ALARM


def test_counts_of_a_poisson_process_vary_as_their_mean_and_those_of_bursts_do_not():
    assert 0.7 < dispersion(poisson_ns(2)) < 1.3
    assert dispersion(np.repeat(10 * poisson_ns(2)[:200], 10)) > 3
    assert dispersion(np.arange(2000) * RATE_NS) < 0.1


def test_constant_arrivals_have_no_variation():
    assert variation(np.arange(100) * RATE_NS) == 0
    assert variation(poisson_ns(3)) == pytest.approx(1, abs=0.1)


def a_wire(tmp_path, *frozen):
    file = tmp_path / "wire"
    file.write_text("".join(f"- frozen 0 {start} {end}\n" for start, end in frozen) + "r1 ok 9 5 6 7 8\n")
    return Wire(file)


@pytest.mark.parametrize(
    ("due_ms", "answered_ms"),
    [
        (100, 150),  # before the standstill
        (960, 2000),  # read before it, answered after it
        (1500, 2050),  # came in it
        (1999, 2050),
        (2000, 2050),  # it is over
    ],
)
def test_a_perfect_open_loop_waits_for_the_standstill_and_no_longer(tmp_path, due_ms, answered_ms):
    wire = a_wire(tmp_path, (1000 * 10**6, 2000 * 10**6))
    assert answered_ns(due_ms * 10**6, wire) == answered_ms * 10**6


def test_what_the_server_saw_is_read_back_as_it_was_written(tmp_path):
    wire = a_wire(tmp_path, (1, 2))
    assert wire.frozen == [(1, 2)]
    (seen,) = wire.seen
    assert (seen.id, seen.planted, seen.body_bytes) == ("r1", "ok", 9)
    assert (seen.first_ns, seen.last_ns, seen.out_ns) == (5, 6, [7, 8])


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("f", 1.0), ""),
        (Figure("f", None, at_most=1.0), ""),
        (Figure("f", 1.0, at_most=1.0), "pass"),
        (Figure("f", 1.1, at_most=1.0), "short"),
        (Figure("f", 0.9, at_least=1.0), "short"),
        (Figure("f", -1.5, at_least=-1, at_most=1), "short"),
    ],
)
def test_a_figure_falls_short_when_it_lies_outside_its_limits(figure, verdict, capsys):
    assert figure.verdict == verdict
    assert report([figure], as_json=False) == (verdict == "short")
    assert (verdict or "f") in capsys.readouterr().out
