import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mmload.model.result import CriterionResult, Verdict
from mmload.show.markdown import to_markdown

P99 = CriterionResult(
    metric="response_p99_ms",
    op="<",
    limit=500,
    baseline=None,
    required=True,
    value=94.651,
    low=88.97,
    high=None,
    n=4_000,
    verdict="INCONCLUSIVE",
    evidence="requests.jsonl: exact binomial",
    needed="7,933 more requests (79 s of the same load)",
)
SAVED = msgspec.structs.replace(
    P99,
    metric="handoff_cpu_saved",
    op=">",
    limit=0,
    baseline="original",
    required=False,
    verdict="PASS",
    high=0.76,
    needed=None,
)
VERDICT = Verdict(
    verdict="INCONCLUSIVE",
    gate="release",
    candidate="20261120T000300Z-optimized-0003",
    baselines={"original": "20261120T000100Z-original-0001"},
    confidence=0.95,
    criteria=[P99, SAVED],
)


def test_a_verdict_reads_as_a_table_with_what_is_needed_below():
    assert (
        to_markdown(VERDICT)
        == """\
## mmload gate release: ❔ INCONCLUSIVE

- candidate: `20261120T000300Z-optimized-0003`
- baseline original: `20261120T000100Z-original-0001`

| criterion | figure | bounds at 95 % | n | verdict |
|:--|--:|:--|--:|:--|
| `response_p99_ms < 500` | 94.65 | \\[88.97, ...\\] | 4,000 | ❔ INCONCLUSIVE |
| `handoff_cpu_saved > 0 vs original` (not required) | 94.65 | \\[88.97, 0.76\\] | 4,000 | ✅ PASS |

- `response_p99_ms < 500`: 7,933 more requests (79 s of the same load)
"""
    )


def test_a_criterion_that_failed_says_where_the_evidence_is():
    failed = msgspec.structs.replace(P99, verdict="FAIL", needed=None, evidence="manifest.json: the server failed")
    text = to_markdown(msgspec.structs.replace(VERDICT, criteria=[failed]))
    assert text.endswith("- `response_p99_ms < 500`: manifest.json: the server failed\n")


@given(st.text())
def test_hostile_text_adds_no_line_and_no_markup(text):
    hostile = msgspec.structs.replace(P99, verdict="FAIL", needed=None, evidence=text)
    plain = msgspec.structs.replace(P99, verdict="FAIL", needed=None, evidence="x")
    texts = [to_markdown(msgspec.structs.replace(VERDICT, criteria=[one])) for one in (hostile, plain)]
    assert len(texts[0].split("\n")) == len(texts[1].split("\n"))
    assert "<" not in texts[0].rpartition("`: ")[2].replace("\\<", "")
