"""What `mmload handoff` is going to do, before it does it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.errors import ConfigError, UsageError
from mmload.model.handoff import Cell
from mmload.plan.claims import Claims, load_claims
from mmload.plan.config import load_file
from mmload.plan.handoff import MB, HandoffPlan, Part, check_memory, expected_s, in_turn, memory_bytes, order_of, turns

VARIANTS = st.lists(st.sampled_from([f"variant {n}" for n in range(12)]), min_size=1, unique=True)


def part(**changes):
    fields = {"tp": 4, "variants": ("original", "shm"), "sizes_bytes": (MB, 100 * MB), "batches": (1,), "rounds": 6}
    return Part(**{"build_ms": None, **fields, **changes})


@given(VARIANTS, st.integers(0, 50), st.sampled_from([None, 20.0, 500.0]))
def test_every_variant_has_its_turn_once_a_round(variants, number, build_ms):
    together = list(turns(part(variants=tuple(variants), build_ms=build_ms), number))
    assert sorted(name for some in together for name in some) == sorted(variants)
    assert all(together)


@given(VARIANTS, st.integers(0, 20))
def test_each_second_round_takes_the_way_back(variants, pair):
    assert in_turn(variants, 2 * pair + 1) == in_turn(variants, 2 * pair)[::-1]


def test_variants_that_work_take_turns_and_variants_that_sleep_do_not():
    names = tuple("abcdefgh")
    assert part(variants=names).lanes == 1
    assert part(variants=names, sizes_bytes=(2 * MB,), build_ms=500.0).lanes == 4
    assert part(variants=names, sizes_bytes=(2 * MB,), build_ms=20.0).lanes == 1
    assert part(variants=names, sizes_bytes=(100 * MB,), build_ms=500.0).lanes == 1
    assert part(variants=names[:2], sizes_bytes=(2 * MB,), build_ms=500.0).lanes == 2


def test_cells_go_from_the_least_to_the_most():
    cells = part(sizes_bytes=(1, 2), batches=(1, 5)).cells
    assert [(cell.size_bytes, cell.batch) for cell in cells] == [(1, 1), (1, 5), (2, 1), (2, 5)]


@pytest.mark.parametrize(
    ("size", "batch", "build_ms", "repeats"),
    [(100 * MB, 1, None, 1), (2 * MB, 10, None, 1), (10 * MB, 1, None, 3), (MB, 1, None, 10), (MB, 1, 500.0, 1)],
)
def test_small_cells_are_read_several_times_in_a_turn(size, batch, build_ms, repeats):
    assert order_of(Cell(tp=2, size_bytes=size, batch=batch, build_ms=build_ms)).repeats == repeats


@given(st.integers(1, 8), st.integers(1, 10**9), st.integers(1, 50))
def test_more_of_anything_takes_more_memory(tp, size, batch):
    least = memory_bytes(part(tp=tp, sizes_bytes=(size,), batches=(batch,)))
    assert memory_bytes(part(tp=tp + 1, sizes_bytes=(size,), batches=(batch,))) > least
    assert memory_bytes(part(tp=tp, sizes_bytes=(size, size + 1), batches=(batch,))) > least
    assert memory_bytes(part(tp=tp, sizes_bytes=(size,), batches=(batch, batch + 1))) > least


def test_what_does_not_fit_is_refused_with_the_numbers():
    plan = HandoffPlan(parts=(part(sizes_bytes=(100 * MB,), batches=(1, 20)),))
    check_memory(plan, 100 * 10**9, 4 * 10**9)
    with pytest.raises(UsageError, match=r"^20 x 100 MB to 4 ranks takes up to 41\.3 GB of memory, 4\.0 GB is free$"):
        check_memory(plan, 4 * 10**9, 4 * 10**9)
    with pytest.raises(UsageError, match=r"by shm takes 2\.00 GB of /dev/shm, 0\.06 GB is free there") as refused:
        check_memory(plan, 100 * 10**9, 64 * MB)
    assert "--variant" in refused.value.hint


def test_shared_memory_is_asked_of_shm_alone():
    plan = HandoffPlan(parts=(part(variants=("original", "commit")),))
    check_memory(plan, 100 * 10**9, 0)


def test_a_plan_with_more_to_do_takes_longer():
    short, long = part(rounds=5), part(rounds=10)
    assert expected_s(HandoffPlan(parts=(long,))) == pytest.approx(2 * expected_s(HandoffPlan(parts=(short,))))
    modelled = part(sizes_bytes=(MB,), build_ms=500.0, batches=(50,), rounds=2)
    assert expected_s(HandoffPlan(parts=(modelled,))) > 2 * 50 * 0.5


def test_torch_in_every_rank_takes_memory_and_time():
    plain, torch = part(), part(collective="gloo")
    assert memory_bytes(torch) > memory_bytes(plain)
    assert expected_s(HandoffPlan(parts=(torch,))) > expected_s(HandoffPlan(parts=(plain,)))
    assert {cell.collective for cell in torch.cells} == {"gloo"}


def test_the_claims_hold_both_tables_of_the_notes():
    notes = next(claims for claims in load_claims() if claims.name == "notes")
    walls = {(c.variant, c.size_mb): c.value for c in notes.claims if c.figure == "wall_ms" and not c.versus}
    assert walls["original", 1] == 0.27
    assert walls["commit", 100] == 301.53
    assert walls["optimized", 50] == 71.59
    assert len([key for key in walls if key[1]]) == 12
    rates = {(c.variant, c.batch) for c in notes.claims if c.figure == "throughput_rps" and not c.versus}
    assert {(name, n) for name in ("commit", "batch-broadcast") for n in (1, 5, 10, 20, 50)} <= rates


def test_a_claim_of_an_unknown_figure_is_refused_with_its_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('about = "mine"\n[[claims]]\nfigure = "wall"\nvariant = "shm"\nvalue = 1\n')
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        load_file(file, Claims)
