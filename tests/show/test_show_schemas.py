"""docs/schemas/ against the documents that it describes."""

import json

import jsonschema
import msgspec
import pytest
from factory import make_run
from planted_flames import Planter, Stack
from schemas import DOCUMENTS, described, file_of
from show_samples import summary, verdict, verdict_of_scenes

from mmload.analyse.summary import summarise
from mmload.model.campaign import Attempt, Campaign, HostState, Scene, Slot
from mmload.model.comparison import ComparedSide, Comparison, Difference, Level
from mmload.model.plan import ClosedLoop, OpenLoop, Plan
from mmload.model.selftest import SelftestReport, SelftestRow, SimulatedRate, Tally
from mmload.store.append import encode_document

PLAN = Plan(variant=None, workload_name="mine", workload={"items": [{"modality": "image"}]}, load=OpenLoop(rate_rps=20))
CAMPAIGN = Campaign(
    campaign_id="20261120T031500Z-gate-9f3c",
    kind="gate",
    variants=["optimized", "original"],
    scenes={
        "main": Scene(plan=PLAN, rounds=2),
        "full": Scene(plan=msgspec.structs.replace(PLAN, load=ClosedLoop(concurrency=64)), rounds=1),
    },
    slots=[
        Slot(
            scene="main",
            round=0,
            variant="optimized",
            run_id="20261120T031501Z-optimized-0001",
            host=HostState(t_ns=1, load_1m=0.5, cpu_busy_pct=3.0, memory_available_bytes=2**33, cpu_mhz=2400.0),
            attempts=[Attempt(run_id="20261120T031500Z-optimized-0000", reasons=["a worker stalled"])],
        ),
        Slot(scene="main", round=0, variant="original"),
    ],
    gate="[[criteria]]\ncheck = 'qps > 70'\n",
)
COMPARISON = Comparison(
    baseline="original",
    confidence=0.95,
    figure_confidence=0.99,
    rounds=2,
    conditions={"model": "stand-in", "tp": 4, "rate": 99.5, "engine version": None},
    sides=[
        ComparedSide(
            name="original", variant="original", runs=["a"], levels={"qps": Level(value=99.0)}, word="baseline"
        ),
        ComparedSide(
            name="optimized",
            variant="optimized",
            runs=["b"],
            levels={"qps": Level(value=None, why="too short")},
            differences=[Difference(figure="qps", improvement=0.01, low=None, high=0.1, word="no difference seen")],
            word="no difference seen",
        ),
    ],
)
SELFTEST = SelftestReport(
    mmload="0.1.0",
    quick=True,
    complete=True,
    rows=[
        SelftestRow(
            name="errors",
            planted=True,
            truth="0.2 % errors",
            expected="FAIL",
            came="FAIL",
            reason="error_rate",
            state="right",
            took_s=12.5,
        )
    ],
    false_alarms=Tally(wrong=0, judged=1),
    misses=Tally(wrong=0, judged=9),
    simulated=[
        SimulatedRate(
            metric="error_rate",
            about="errors",
            trials=1000,
            at_limit_passed=40,
            at_limit_failed=38,
            better_passed=800,
            better_failed=0,
            worse_passed=0,
            worse_failed=790,
        )
    ],
)
_PLANTER = Planter(is_diff=True)
FLAME = _PLANTER.document([_PLANTER.view("scheduler_TP0", [Stack(("main (a.py)", "f (b.py)"), 10, "hash", 4, "more")])])
WRITTEN = [
    ("campaign", CAMPAIGN),
    ("comparison", COMPARISON),
    ("flame", FLAME),
    ("selftest", SELFTEST),
    ("summary", summary()),
    ("verdict", verdict()),
    ("verdict", verdict_of_scenes()),
]


def schema_of(name):
    return json.loads(file_of(name).read_text())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_schema_is_what_the_structs_say_today(name):
    assert file_of(name).read_text() == described(name), "make it anew: python tools/schemas.py"
    jsonschema.Draft202012Validator.check_schema(schema_of(name))


@pytest.mark.parametrize(("name", "document"), WRITTEN)
def test_what_is_written_keeps_to_its_schema_and_reads_back_the_same(name, document):
    text = encode_document(document)
    jsonschema.validate(json.loads(text), schema_of(name))
    assert msgspec.json.decode(text, type=DOCUMENTS[name]) == document


def test_the_summary_of_a_run_keeps_to_its_schema(tmp_path):
    summarised = summarise(make_run(tmp_path, build_ms={"tokenizer": 1.0}))
    text = encode_document(summarised)
    jsonschema.validate(json.loads(text), schema_of("summary"))
    assert msgspec.json.decode(text, type=DOCUMENTS["summary"]) == summarised


@pytest.mark.parametrize("name", DOCUMENTS)
def test_another_version_is_another_form(name):
    document = json.loads(encode_document(dict(WRITTEN)[name]))
    for version in (2, None):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document | {"schema": version}, schema_of(name))
