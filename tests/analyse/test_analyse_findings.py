import msgspec
import pytest
from factory import make_run
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.findings import findings
from mmload.analyse.summary import summarise
from mmload.model.result import PhaseCpu, ProcessCpu


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory):
    """A summary of 100 of 100 req/s, without processes."""
    return msgspec.structs.replace(summarise(make_run(tmp_path_factory.mktemp("run"), duration_s=10)), cpu={})


def process(work, spread=2.0, total=None, **phases):
    """A process whose work is known to `spread` points; phases: the shares of its CPU."""
    shares = phases or {"schedule": 1.0}
    return ProcessCpu(
        total_pct=total or work,
        total_low=(total or work) - spread,
        total_high=(total or work) + spread,
        work_pct=work,
        work_low=work - spread,
        work_high=work + spread,
        stack_samples=1000,
        phases=shares,
        by_phase={name: PhaseCpu(share=s, low=s - 0.02, high=s + 0.02, samples=100) for name, s in shares.items()},
    )


def found(ordinary, cpu, **changes):
    return findings(msgspec.structs.replace(ordinary, cpu=cpu, **changes))


def ranks(*works):
    return {f"scheduler_TP{number}": process(work) for number, work in enumerate(works)}


def test_an_even_server_has_none(ordinary):
    assert found(ordinary, {"tokenizer": process(35), **ranks(30, 25)}) == []
    assert findings(ordinary) == []


def test_a_tokenizer_near_a_core_is_hot_whatever_the_ranks_do(ordinary):
    (said,) = found(ordinary, {"tokenizer": process(90), **ranks(85, 85)})
    assert said.startswith(
        "the tokenizer is hot: it works 90 % (88 to 92) of a core, the busiest rank (scheduler_TP0) 85"
    )
    assert "its core is full at about 111 req/s" in said


def test_a_tokenizer_far_ahead_of_every_rank_will_be_the_first_to_saturate(ordinary):
    (said,) = found(ordinary, {"tokenizer": process(50), **ranks(20, 18)})
    assert said.startswith("the tokenizer is the hottest process by far: it works 50 % (48 to 52) of a core")
    assert "its core is full at about 200 req/s" in said
    assert found(ordinary, {"tokenizer": process(50), **ranks(30, 18)}) == []
    assert found(ordinary, {"tokenizer": process(30), **ranks(10, 10)}) == [], "there is room enough"


def test_what_was_not_answered_is_said_of_a_hot_tokenizer(ordinary):
    short = {"achieved_rate_rps": 63.0, "achieved_high": 64.0}
    (said,) = found(ordinary, {"tokenizer": process(99), **ranks(20, 20)}, **short)
    assert "of 100 req/s offered 63 were answered" in said


def test_without_stacks_a_tokenizer_is_judged_by_its_total_and_only_near_a_core(ordinary):
    blind = ProcessCpu(total_pct=95.0, total_low=94.0, total_high=96.0)
    (said,) = found(ordinary, {"tokenizer": blind})
    assert "95 % (94 to 96) of a core;" in said
    assert found(ordinary, {"tokenizer": msgspec.structs.replace(blind, total_pct=60.0, total_low=59.0)}) == []


def test_a_rank_that_does_far_more_than_every_peer_is_skewed_and_its_phases_are_named(ordinary):
    cpu = {
        "scheduler_TP0": process(20, schedule=0.5, hash=0.5),
        "scheduler_TP1": process(60, schedule=0.2, hash=0.3, materialise=0.5),
    }
    (said,) = found(ordinary, cpu)
    assert said.startswith("scheduler_TP1 is skewed: its own work is 60 % (58 to 62) of a core, that of its peers 20")
    assert "in points: materialise 30, hash 8, schedule 2" in said


@pytest.mark.parametrize("works", [(30, 20), (8, 2), (60, 20, 55)])
def test_a_rank_with_somewhat_more_to_do_or_hardly_anything_or_with_company_is_not_skewed(ordinary, works):
    assert found(ordinary, ranks(*works)) == []


def test_figures_that_differ_without_intervals_apart_are_no_finding(ordinary):
    cpu = {"scheduler_TP0": process(20, spread=12), "scheduler_TP1": process(60, spread=12)}
    assert found(ordinary, cpu) == []
    short = msgspec.structs.replace(process(95), total_low=None, total_high=None, work_low=None, work_high=None)
    assert found(ordinary, {"tokenizer": short, **ranks(5, 5)}) == []


def test_a_poor_profile_is_no_evidence_of_a_skew(ordinary):
    poor = msgspec.structs.replace(process(60), profile_trouble="py-spy died")
    assert found(ordinary, {"scheduler_TP0": process(20), "scheduler_TP1": poor}) == []


def test_peers_that_burn_as_much_in_a_broadcast_are_waiting_and_do_not_hide_the_rank_they_wait_for(ordinary):
    cpu = {
        "scheduler_TP0": process(58, broadcast=0.8, schedule=0.2),
        "scheduler_TP1": process(60, broadcast=0.02, schedule=0.18, materialise=0.8),
    }
    (said,) = found(ordinary, cpu)
    assert said.startswith("scheduler_TP1 is skewed")


def test_what_an_entry_rank_does_for_all_is_no_skew_and_what_it_builds_for_all_is(ordinary):
    peer = process(10, schedule=1.0)
    serving = process(60, receive=0.3, pickle=0.3, reply=0.2, other=0.1, schedule=0.1)
    assert found(ordinary, {"scheduler_TP0": serving, "scheduler_TP1": peer}) == []
    building = process(60, receive=0.2, hash=0.7, schedule=0.1)
    (said,) = found(ordinary, {"scheduler_TP0": building, "scheduler_TP1": peer})
    assert "in points: hash 42" in said


def test_ranks_of_different_replicas_and_stages_are_not_each_others_peers(ordinary):
    names = ("scheduler_DP0_TP0", "scheduler_DP0_TP1", "scheduler_DP1_TP0", "scheduler_DP1_TP1")
    works = (60, 58, 10, 11)
    assert found(ordinary, {name: process(work) for name, work in zip(names, works, strict=True)}) == []
    (said,) = found(ordinary, {name: process(work) for name, work in zip(names, (60, 10, 10, 11), strict=True)})
    assert said.startswith("scheduler_DP0_TP0 is skewed")
    experts = {"scheduler_TP0_EP0": process(10), "scheduler_TP1_EP1": process(60)}
    assert len(found(ordinary, experts)) == 1, "they turn together"


@given(st.floats(0, 200), st.floats(0, 200), st.floats(0, 50), st.floats(0, 50))
def test_wider_intervals_never_bring_a_finding_about(ordinary, tokenizer, rank, narrow, more):
    def named(spread):
        cpu = {"tokenizer": process(tokenizer, spread), "scheduler_TP0": process(rank, spread), **ranks()}
        cpu["scheduler_TP1"] = process(5, spread)
        return len(found(ordinary, cpu))

    assert named(narrow + more) <= named(narrow)
