import re

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from show_samples import criterion, verdict, verdict_of_scenes

from mmload.show.markdown import to_markdown
from mmload.show.markdown_text import code, escaped
from mmload.show.terminal_figures import plain

P99 = criterion(
    "response_p99_ms",
    "<",
    500,
    value=94.651,
    low=88.97,
    high=None,
    n=4_000,
    verdict="INCONCLUSIVE",
    needed="7,933 more requests (79 s of the same load)",
)
SAVED = criterion("handoff_cpu_saved", ">", 0, baseline="original", required=False, value=0.72, low=0.69, high=0.76)
VERDICT = verdict(verdict="INCONCLUSIVE", criteria=[P99, SAVED])

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def rendered(text):
    return RENDERER.render(text)


def words_of(html):
    """What a reader of the page sees."""
    text = re.sub("<[^>]*>", "", html)
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        text = text.replace(entity, character)
    return text.replace("\u200b", "")


def test_a_verdict_reads_as_a_table_with_what_is_needed_below():
    assert (
        to_markdown(VERDICT).replace("\N{NO-BREAK SPACE}", " ")
        == """\
## mmload gate release: ❔ INCONCLUSIVE

bounds at 95 %

- candidate: `20261120T031500Z-optimized-9f3c`
- baseline original: `20261120T031400Z-original-77aa`

| criterion | figure | bounds | n | verdict | evidence |
|:--|--:|:--|--:|:--|:--|
| `response_p99_ms < 500` | 94.7 | 89.0 to ∞ | 4,000 | ❔ INCONCLUSIVE | requests.jsonl: exact order statistics |
| `handoff_cpu_saved > 0 vs original` (shown only) | 0.720 | 0.690 to 0.760 | 2,000 | ✅ PASS | requests.jsonl: exact order statistics |

- `response_p99_ms < 500`: 7,933 more requests (79 s of the same load)
"""
    )


def test_each_scene_has_its_runs_and_its_table():
    text = to_markdown(verdict_of_scenes())
    assert re.findall("^### (.*)$", text, re.MULTILINE) == ["main", "modalities", "single-rank"]
    assert text.count("| criterion |") == 3
    assert rendered(text).count("<table>") == 3
    assert "`20261120T031403Z-rollback-77a3`" in text


def test_what_takes_from_the_verdicts_weight_stands_above_the_tables():
    head, _, _ = to_markdown(verdict_of_scenes()).partition("### main")
    assert "⚠️ **compared by force**: original: model: stand-in, not qwen" in head
    assert "⚠️ look 3 of 1 planned" in head


def test_what_was_run_stands_above_the_runs_and_a_run_that_several_lack_is_asked_for_once():
    load = "images-small, 100 req/s, TP 4, standin 0.1.0, stand-in"
    assert f"### main\n\n- load: {load}\n- cand" in to_markdown(verdict_of_scenes())
    lacking = msgspec.structs.replace(P99, needed="mmload run")
    text = to_markdown(verdict(criteria=[lacking, msgspec.structs.replace(lacking, limit=300)]))
    assert "\n- `response_p99_ms < 500`, `response_p99_ms < 300`: mmload run\n" in text


def test_answers_that_differ_are_shown_with_both_texts_and_their_runs():
    text = to_markdown(verdict_of_scenes())
    shown = words_of(rendered(text))
    assert "images-small-identity-01" in shown
    assert "two cows.\\nThey graze." in shown
    assert "three `cows` | <script>alert(1)</script> @user #123.\\nThey graze." in shown
    assert "and 1 more" in shown
    assert "<script" not in rendered(text)


hostile = st.one_of(
    st.text(),
    st.text(alphabet="|`\\*_<>[]()#@&!~$\n abGH-123:/."),
    st.sampled_from(
        [
            "a | b",
            "`x` ``",
            "<script>alert(1)</script>",
            "one\ntwo",
            "@user",
            "#123",
            "GH-1",
            "&lt;",
            "![x](y)",
            "| --- |",
        ]
    ),
)


@given(hostile)
def test_hostile_words_stay_in_their_cell_and_read_as_they_are(text):
    judged = verdict(criteria=[msgspec.structs.replace(P99, evidence=text, needed=None)])
    (row,) = re.findall("<tbody>.*</tbody>", rendered(to_markdown(judged)), re.DOTALL)
    cells = re.findall("<td[^>]*>(.*?)</td>", row, re.DOTALL)
    assert len(cells) == 6
    assert words_of(cells[5]) == " ".join(plain(text).split()).replace("\u200b", "")
    assert "<" not in cells[5]


@given(st.text(alphabet="|`\\*_<>[]()#@&!~$ abGH-123:/."))
def test_every_character_of_hostile_words_is_shown(text):
    html = rendered(f"x{escaped(text)}x")
    assert words_of(html) == f"x{' '.join(text.split())}x\n"
    assert re.fullmatch(r"<p>[^<]*</p>\n", html)


@given(st.text(alphabet="@#GHgh-123user ", min_size=1))
def test_nobody_is_pinged_and_no_issue_is_named(text):
    assert re.search(r"[@#]\w|\bGH-\d", escaped(text), re.IGNORECASE) is None


@given(hostile)
def test_code_is_shown_as_it_is(text):
    html = rendered(f"x {code(text)} x")
    assert html.count("<code>") == 1
    assert re.fullmatch(r"<p>x <code>[^<]*</code> x</p>\n", html)
