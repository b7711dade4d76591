"""What is claimed of the handoff, against what was measured."""

import msgspec
import pytest
from handoff_made import CELL, observed
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.handoff_alone import Measured
from mmload.handoff.registry import STRATEGIES
from mmload.judge.claims import judge_claims, report_of, word
from mmload.plan.claims import Claim, Claims

STEADY = [0.99, 1.0, 1.01, 1.0, 0.995, 1.005]
PLENTY, FEW = 16, 2
BOUNDS = st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)).map(sorted)


def walls(value):
    return [value * each for each in STEADY]


def judged(claims, seen, cores=PLENTY, this_host=False):
    file = Claims(name="mine", about="mine", this_host=this_host, claims=claims)
    return judge_claims([file], Measured(seen), cores)


def only(claim, seen, **how):
    (result,), unmeasured = judged([claim], seen, **how)
    assert unmeasured == 0
    return result


@pytest.mark.parametrize(
    ("op", "value", "tolerance", "low", "high", "expected"),
    [
        ("about", 100, 2, 60, 190, "SUPPORTED"),
        ("about", 100, 2, 50, 200, "SUPPORTED"),
        ("about", 100, 2, 40, 190, "CANNOT TELL"),
        ("about", 100, 2, 60, 210, "CANNOT TELL"),
        ("about", 100, 2, 10, 400, "CANNOT TELL"),
        ("about", 100, 2, 10, 49, "REFUTED"),
        ("about", 100, 2, 201, 400, "REFUTED"),
        ("<=", 0.35, 1, 0.2, 0.35, "SUPPORTED"),
        ("<=", 0.35, 1, 0.2, 0.36, "CANNOT TELL"),
        ("<=", 0.35, 1, 0.36, 0.4, "REFUTED"),
        (">=", 3, 1, 3, 5, "SUPPORTED"),
        (">=", 3, 1, 2.9, 5, "CANNOT TELL"),
        (">=", 3, 1, 1, 2.9, "REFUTED"),
    ],
)
def test_a_claim_stands_when_the_whole_interval_says_so_and_falls_when_none_of_it_does(
    op, value, tolerance, low, high, expected
):
    assert word(op, value, tolerance, low, high) == expected


@given(st.floats(0.1, 100), st.floats(1, 3), st.floats(1, 3), BOUNDS)
def test_more_tolerance_never_speaks_against_a_claim(value, tolerance, more, bounds):
    order = ["REFUTED", "CANNOT TELL", "SUPPORTED"]
    strict, loose = (word("about", value, each, *bounds) for each in (tolerance, tolerance * more))
    assert order.index(loose) >= order.index(strict)


@given(st.sampled_from(["about", "<=", ">="]), st.floats(0.1, 100), BOUNDS, BOUNDS)
def test_a_narrower_interval_never_takes_a_word_back(op, value, bounds, inner):
    low, high = bounds
    narrow = [low + (high - low) * each / 1e3 for each in inner]
    wide = word(op, value, 2.0, low, high)
    assert wide == "CANNOT TELL" or word(op, value, 2.0, *narrow) == wide


def test_a_figure_is_judged_by_its_interval():
    claim = Claim(figure="wall_ms", variant="commit", size_mb=100, value=301.53, tolerance=2)
    assert only(claim, observed("commit", walls(300))).verdict == "SUPPORTED"
    assert only(claim, observed("commit", walls(900))).verdict == "REFUTED"
    assert only(claim, observed("commit", [100, 900, 100, 900, 100, 900])).verdict == "CANNOT TELL"


def test_a_ratio_is_judged_within_rounds():
    claim = Claim(figure="wall_ms", variant="shm", versus="commit", size_mb=100, op="<=", value=0.25)
    slow = [1, 3, 1, 4, 1, 1]
    seen = [
        *observed("commit", [100 * each for each in slow]),
        *observed("shm", [24 * each for each in slow]),
    ]
    result = only(claim, seen)
    assert (result.verdict, result.versus) == ("SUPPORTED", "commit")
    assert result.measured.value == pytest.approx(0.24)


def test_the_fastest_of_all_is_faster_than_the_one_that_comes_nearest():
    claim = Claim(figure="wall_ms", variant="shm", versus="others", op="<=", value=1)
    slow = set(STRATEGIES) - {"shm", "delta", "stock", "rollback"}
    rivals = [
        *observed("delta", walls(140)),
        *(seen for variant in sorted(slow) for seen in observed(variant, walls(200))),
    ]
    ahead = only(claim, [*rivals, *observed("shm", walls(120))])
    assert (ahead.verdict, ahead.versus) == ("SUPPORTED", "delta")
    behind = only(claim, [*rivals, *observed("shm", walls(160))])
    assert (behind.verdict, behind.versus) == ("REFUTED", "delta")


def test_nothing_is_the_fastest_of_all_while_others_were_not_measured():
    claim = Claim(figure="wall_ms", variant="shm", versus="others", op="<=", value=1)
    ahead = only(claim, [*observed("commit", walls(300)), *observed("shm", walls(120))])
    assert (ahead.verdict, ahead.note) == ("CANNOT TELL", "9 rivals unmeasured")
    assert only(claim, [*observed("commit", walls(100)), *observed("shm", walls(120))]).verdict == "REFUTED"


def test_one_rival_that_is_surely_faster_refutes_the_fastest_of_all():
    """Whatever a rival that varies wildly may be."""
    claim = Claim(figure="wall_ms", variant="shm", versus="others", op="<=", value=1)
    rivals = [*observed("original", walls(100)), *observed("delta", [40, 400, 40, 400, 40, 400])]
    result = only(claim, [*rivals, *observed("shm", walls(120))])
    assert (result.verdict, result.versus) == ("REFUTED", "original")


def test_too_few_rounds_decide_nothing():
    claim = Claim(figure="wall_ms", variant="commit", value=100, tolerance=2)
    result = only(claim, observed("commit", [100] * 4))
    assert (result.verdict, result.note) == ("CANNOT TELL", "needs 5 rounds")
    assert result.low is None


def test_a_claim_without_a_size_is_judged_at_each():
    claim = Claim(figure="wall_ms", variant="commit", value=100, tolerance=2)
    other = msgspec.structs.replace(CELL, size_bytes=1000)
    results, _ = judged([claim], [*observed("commit", walls(100)), *observed("commit", walls(1), cell=other)])
    assert [(result.cell.size_bytes, result.verdict) for result in results] == [
        (1000, "REFUTED"),
        (100_000_000, "SUPPORTED"),
    ]


@pytest.mark.parametrize(
    "elsewhere",
    [{"variant": "shm"}, {"tp": 2}, {"size_mb": 10}, {"batch": 5}, {"build_ms": 500.0}, {"versus": "delta"}],
)
def test_a_claim_about_something_else_is_counted_and_not_judged(elsewhere):
    claim = Claim(**({"figure": "wall_ms", "variant": "commit", "value": 1} | elsewhere))
    assert judged([claim], observed("commit", walls(100))) == ([], 1)


def test_where_cores_are_short_a_wall_time_elsewhere_is_known_between_bounds():
    """500 ms here with 1,000 ms of CPU in 5 processes: with a core for each between 200 and 500."""
    seen = observed("original", walls(500), cpu_ms=1000)
    claim = Claim(figure="wall_ms", variant="original", value=50, tolerance=2)
    result = only(claim, seen, cores=FEW)
    assert result.low == pytest.approx(200)
    assert result.high == pytest.approx(500, rel=0.02)
    for value, expected in ((50, "REFUTED"), (310, "SUPPORTED"), (130, "CANNOT TELL")):
        claim = Claim(figure="wall_ms", variant="original", value=value, tolerance=2)
        assert only(claim, seen, cores=FEW).verdict == expected
        assert only(claim, seen, cores=PLENTY).verdict == ("SUPPORTED" if value == 310 else "REFUTED")


def test_a_slept_build_takes_as_long_on_any_number_of_cores():
    cell = msgspec.structs.replace(CELL, build_ms=500.0)
    seen = observed("commit", walls(540), cell=cell, cpu_ms=20)
    rate = Claim(figure="throughput_rps", variant="commit", build_ms=500.0, value=1.78, tolerance=1.03)
    result = only(rate, seen, cores=FEW)
    assert (result.low, result.high) == pytest.approx((1000 / 540, 1000 / 520), rel=0.02)
    over = only(Claim(figure="overhead_ms", variant="commit", build_ms=500.0, value=57.2), seen, cores=FEW)
    assert (over.low, over.high) == pytest.approx((20, 40), abs=6)


def test_ratios_of_walls_elsewhere_are_bounded_too():
    seen = [*observed("commit", walls(600), cpu_ms=1000), *observed("original", walls(500), cpu_ms=1000)]
    claim = Claim(figure="wall_ms", variant="commit", versus="original", value=6, tolerance=1.5)
    result = only(claim, seen, cores=FEW)
    assert (result.low, result.high) == pytest.approx((200 / 500, 600 / 200), rel=0.02)
    assert result.measured.value == pytest.approx(1.2)
    assert result.verdict == "REFUTED"


def test_a_claim_about_this_host_is_judged_by_what_it_shows():
    claim = Claim(figure="wall_ms", variant="shm", versus="commit", op="<=", value=0.25)
    seen = [*observed("commit", walls(600), cpu_ms=1000), *observed("shm", walls(120), cpu_ms=120)]
    assert only(claim, seen, cores=FEW, this_host=True).verdict == "SUPPORTED"
    assert only(claim, seen, cores=FEW).verdict == "CANNOT TELL"


def test_cpu_is_what_it_is_on_any_number_of_cores():
    claim = Claim(figure="cpu_ms", variant="original", value=200, tolerance=2)
    seen = observed("original", walls(500), cpu_ms=1000)
    few, plenty = (only(claim, seen, cores=cores) for cores in (FEW, PLENTY))
    assert few == plenty
    assert few.verdict == "REFUTED"


@pytest.mark.parametrize(
    ("rounds", "cores", "complete", "fallbacks", "said"),
    [
        (6, PLENTY, True, 0, []),
        (6, FEW, True, 0, ["5 processes on 2 cores"]),
        (4, PLENTY, True, 0, ["fewer than 5 rounds"]),
        (6, PLENTY, False, 0, ["ended early"]),
        (6, PLENTY, True, 1, ["delta: 6 times a rank built for itself"]),
    ],
)
def test_a_report_says_what_a_reader_must_know(rounds, cores, complete, fallbacks, said):
    seen = observed("delta", [100] * rounds, fallbacks=fallbacks)
    report = report_of(seen, [], cores=cores, complete=complete)
    assert len(report.warnings) == len(said)
    assert all(part in warning for part, warning in zip(said, report.warnings, strict=True))
