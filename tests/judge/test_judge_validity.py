from collections import Counter

import msgspec
import pytest
from factory import START_NS, S, Truth, make_run, requests_of
from hypothesis import given
from hypothesis import strategies as st

from mmload.errors import FolderError
from mmload.judge.validity import _repeated, faults_of
from mmload.model.manifest import Phase
from mmload.store.append import write_document
from mmload.store.read import Run
from mmload.store.requests import table_of

ONE = next(r for r in requests_of(Truth()) if r.phase == "measure")


@given(st.lists(st.sampled_from(["a", "b", "aa", "ä", "c-1", "c-10"]), max_size=12))
def test_an_id_that_occurs_more_than_once_is_counted_once(ids):
    table = table_of(msgspec.structs.replace(ONE, id=one, due_ns=n % 3) for n, one in enumerate(ids))
    assert _repeated(table) == sum(count > 1 for count in Counter(ids).values())


def altered(run, document, **changes):
    """The run, of whose plan or manifest some fields are others."""
    write_document(getattr(run.layout, document), msgspec.structs.replace(getattr(run, document), **changes))
    return Run(run.layout.path)


def with_lines(run, file, change):
    """The run, of whose records each is what `change` makes of it; None: left out."""
    path = getattr(run.layout, file)
    lines = (change(msgspec.json.decode(line)) for line in path.read_bytes().splitlines())
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines if line is not None))
    return Run(run.layout.path)


@pytest.mark.parametrize(
    ("document", "changes", "fault"),
    [
        (
            "manifest",
            {"run_id": "20261120T000000Z-optimized-beef"},
            "its manifest is that of 20261120T000000Z-optimized-beef",
        ),
        ("manifest", {"seed": 3}, "its manifest has the seed 3, its plan 0"),
        ("plan", {"variant": "commit"}, "its manifest has the variant optimized, its plan commit"),
    ],
)
def test_a_folder_that_contradicts_itself_is_invalid(tmp_path, document, changes, fault):
    run = altered(make_run(tmp_path, duration_s=5), document, **changes)
    assert faults_of(run) == [f"the folder contradicts itself: {fault}"]


def test_a_plan_without_a_variant_takes_the_one_that_was_announced_and_stock_is_original_on_the_stand_in(tmp_path):
    announced = altered(make_run(tmp_path, duration_s=5), "plan", variant=None)
    original = altered(make_run(tmp_path, "original", number=1, duration_s=5), "plan", variant="stock")
    assert (faults_of(announced), faults_of(original)) == ([], [])


def of_the_measured(number, **moves_ms):
    """A change to that measured request: fields put so many milliseconds from another, (field, ms)."""

    def change(line):
        if line["id"] == f"measure-{number:06d}":
            line |= {field: line[other] + round(ms * 1e6) for field, (other, ms) in moves_ms.items()}
        return line

    return change


@pytest.mark.parametrize(
    ("moves_ms", "fault"),
    [
        ({"done_ns": ("sent_ns", -1)}, "1 answers came before they were asked for"),
        ({"first_token_ns": ("sent_ns", -1)}, "1 answers came before they were asked for"),
        ({"sent_ns": ("due_ns", -2)}, "1 requests were sent before they were due"),
        ({"connect_ns": ("read_lag_ns", 40)}, "1 requests were sent before they were due"),
        ({"sent_ns": ("due_ns", -0.5)}, None),
    ],
)
def test_records_of_what_cannot_have_been_make_a_run_invalid(tmp_path, moves_ms, fault):
    run = with_lines(
        make_run(tmp_path, duration_s=5),
        "requests",
        lambda line: of_the_measured(7, **moves_ms)(line | {"read_lag_ns": 0}),
    )
    assert faults_of(run) == ([f"records damaged: {fault}"] if fault else [])


@pytest.mark.parametrize(
    ("heard", "fault"),
    [
        (lambda s: s < 5, "the generator stood still for 2000 ms, the limit is 250 ms"),
        (lambda s: s > 4, "the generator stood still for 2000 ms, the limit is 250 ms"),
        (lambda s: s < 2.1, "the generator stood still for 4750 ms, the limit is 250 ms"),
        (lambda s: s < 2 or s > 7, "no word from the generator in the measure window"),
        (lambda s: s < 6.9, None),
    ],
)
def test_a_generator_that_says_nothing_at_an_end_of_the_window_may_have_stood_still(tmp_path, heard, fault):
    run = make_run(tmp_path, duration_s=5)  # from 2 s to 7 s
    run = with_lines(run, "generator", lambda line: line if heard((line["t_ns"] - START_NS) / S) else None)
    found = faults_of(run)
    assert found == [] if fault is None else found[0].startswith(fault)


def test_a_worker_that_sent_requests_and_said_nothing_is_no_word_from_the_generator(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    run = with_lines(run, "requests", lambda line: line | {"worker": int(line["id"].endswith("7"))})
    assert "no word from the generator" in "; ".join(faults_of(run))


@pytest.mark.parametrize(
    ("document", "changes"),
    [
        ("plan", {"duration_s": -1e308}),
        ("plan", {"duration_s": 1e12}),
        ("plan", {"seed": -1}),
        ("manifest", {"phases": [Phase(name="measure", start_ns=0, end_ns=2**63 - 1)]}),
        ("manifest", {"phases": [Phase(name="measure", start_ns=-(2**62), end_ns=0)]}),
        ("manifest", {"tp": 2**60}),
        ("manifest", {"tp": 0}),
    ],
)
def test_what_no_run_can_have_been_is_a_damaged_folder(tmp_path, document, changes):
    run = altered(make_run(tmp_path, duration_s=5), document, **changes)
    with pytest.raises(FolderError, match=f"{document}.json is damaged"):
        faults_of(run)
