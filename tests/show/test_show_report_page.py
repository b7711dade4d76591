"""The report as a page: what stands first, what is said of what is missing, and that no name can break it."""

import re
from html.parser import HTMLParser

import msgspec
import pytest
from factory import make_run
from report_made import HOSTILE, hostile_run, judged_run, one_run, report, stalled_run, two_variants, verdict

from mmload.judge.report import Report
from mmload.model.records import CUT_OFF
from mmload.model.result import Failure, ProcessCpu
from mmload.show.report_about import headline
from mmload.show.report_page import report_page
from mmload.show.report_slow import slow_table
from mmload.store.append import write_document
from mmload.store.read import Run


class Page(HTMLParser):
    """A page as its reader meets it: elements that stand in it, and its text in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.words, self._skipped = [], [], 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._skipped += tag in {"script", "style"}

    def handle_endtag(self, tag):
        self._skipped -= tag in {"script", "style"}

    def handle_data(self, data):
        if not self._skipped:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def page_of(*runs: Run, **options) -> Page:
    return Page(report_page(report(*runs, **options)))


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Page:
    return page_of(judged_run(tmp_path_factory.mktemp("out")))


def test_the_verdict_stands_before_the_load_and_the_load_before_the_cpu(judged):
    places = [
        judged.text.index(words) for words in ("FAIL error_rate", "exactly as", "offered: scheduled", "CPU by phase")
    ]
    assert places == sorted(places)


def test_each_criterion_has_its_figure_bounds_n_and_what_it_needs(judged):
    assert "response_p99_ms < 120 PASS 98.2 94.1 to 103.6 2,000" in judged.text
    assert "needed: no run of rollback to compare with: mmload run --variant rollback --rate 100" in judged.text


def test_the_stand_in_says_loudly_that_it_is_one(judged):
    assert "STAND-IN SERVER, NOT SGLANG" in judged.text


def test_a_real_server_is_no_stand_in(tmp_path):
    assert "STAND-IN" not in page_of(one_run(tmp_path, engine="sglang")).text


def test_the_run_can_be_made_again_from_what_the_page_says(judged):
    assert re.search(r"mmload run --plan \S+/plan\.json", judged.text)
    assert "mmload run --variant optimized --workload images-small --rate 100" in judged.text


def test_what_nobody_judged_says_so_and_how_to(tmp_path):
    run = one_run(tmp_path)
    text = page_of(run).text
    assert "NOT JUDGED" in text
    assert f"mmload gate {run.run_id} --out {tmp_path}" in text


def test_a_verdict_of_lost_records_is_stale_and_nothing_on_the_page_passes(tmp_path):
    run = judged_run(tmp_path)
    lines = run.layout.requests.read_bytes().splitlines(keepends=True)
    run.layout.requests.write_bytes(b"".join(lines[:1000]))
    html = report_page(report(Run(run.layout.path)))
    text = Page(html).text
    assert text.index("INVALID These figures") < text.index("STALE it said FAIL, of records that are not these")
    assert "have no record" in text
    assert f"mmload gate {run.run_id}" in text
    assert "response_p99_ms < 120 was PASS" in text
    assert not re.search(r'class="[^"]*good[^"]*">(was )?PASS', html)


def test_the_verdict_says_when_and_by_which_gate(tmp_path):
    run = one_run(tmp_path)
    write_document(run.layout.verdict, msgspec.structs.replace(verdict(run.run_id), gate_sha256="ab" * 32))
    assert re.search(r"gate release, sha256 abababababab verdict.json of \d{4}-\d\d-\d\d ", page_of(run).text)


def test_the_busiest_rank_is_that_of_most_work_as_on_the_terminal(tmp_path):
    found = report(one_run(tmp_path)).runs[0]
    most_work, most_total = (ProcessCpu(total_pct=total, work_pct=work) for total, work in ((40.0, 36.3), (40.9, 35.4)))
    cpu = {"scheduler_TP0": most_total, "scheduler_TP1": most_work}
    shown = msgspec.structs.replace(found, summary=msgspec.structs.replace(found.summary, cpu=cpu))
    said = {fact.name: fact.value for fact in headline(shown)}
    assert said["busiest rank"] == "TP1 works 36.3 % of a core, total 40.0 %"


def test_a_p99_that_is_infinite_says_why_and_who_did_not_wait(tmp_path):
    run = one_run(
        tmp_path, status="partial", ends_after_s=12, error="interrupted", outcomes=dict.fromkeys(range(20), "timeout")
    )
    found = report(run).runs[0]
    cut_off = Failure(outcome="connection_error", error=CUT_OFF, requests=3, first_s=9.0, last_s=9.9, example="a")
    ended = msgspec.structs.replace(found, summary=msgspec.structs.replace(found.summary, failures=[cut_off]))
    said = {fact.name: fact.value for fact in headline(ended)}
    assert "P99 ∞ ms" in said["response time"]
    assert "over 1 in 100 requests was not ok" in said["response time"]
    assert "mmload did not wait for 3 of them" in said["not ok"]


def test_a_server_that_failed_has_its_last_words_on_the_page(tmp_path):
    run = one_run(tmp_path, status="failed", ends_after_s=9, error="the server died")
    run.layout.server_log.write_text("".join(f"line {number}\n" for number in range(50)) + HOSTILE)
    html = report_page(report(run))
    assert "The last lines of logs/server.log line 39 line 40" in Page(html).text
    assert "<img" not in html.replace(report_scripts(html), "")


def test_of_several_runs_what_is_wrong_with_one_is_said_at_the_head_and_it_is_not_drawn_beside_the_others(tmp_path):
    sound = [make_run(tmp_path, number=n, duration_s=5, engine="sglang", seed=n) for n in range(2)]
    invalid = make_run(tmp_path, "original", number=2, duration_s=5, validity=["the generator lagged"])
    html = report_page(report(*sound, invalid))
    text = Page(html).text
    head = text[: text.index("NOT JUDGED")]
    assert "STAND-IN SERVER, NOT SGLANG It does the same work" in head
    assert f"INVALID The figures say nothing about the server. These runs: original {invalid.run_id[-4:]}" in head
    assert f"Left out, as their figures say nothing: original {invalid.run_id[-4:]}." in text


def test_where_no_run_is_valid_they_are_drawn_all_the_same(tmp_path):
    runs = [
        make_run(tmp_path, name, number=n, duration_s=5, validity=["lag"]) for n, name in enumerate(("original", "shm"))
    ]
    text = page_of(*runs).text
    assert "INVALID The figures say nothing about the server." in text
    assert "All runs in one plot" in text
    assert "Left out" not in text


def test_what_runs_have_in_common_stands_once(tmp_path):
    text = page_of(*two_variants(tmp_path)).text
    assert re.search(r"load images-small, 100 req/s, TP 2 server standin \S+, stand-in host name host-a", text)
    assert "run req/s p50 ms P99 ms not ok state run-id" in text


def test_slow_requests_that_waited_for_nothing_special_say_so_and_few_rows_are_shown(tmp_path):
    found = report(stalled_run(tmp_path)).runs[0].slow
    walls = {
        name: msgspec.structs.replace(
            thread, phases={phase: msgspec.structs.replace(wall, named=False) for phase, wall in thread.phases.items()}
        )
        for name, thread in found.threads.items()
    }
    many = {f"{name}-{place}": thread for place in range(20) for name, thread in walls.items()}
    nothing = msgspec.structs.replace(found, threads=many, sentences=found.sentences[:1])
    assert "no phase took more of it than chance" in nothing.said[1]
    shown = slow_table(nothing)
    assert len(shown.rows) == 8
    assert "more phases that may be chance are left out" in shown.note


def test_every_plot_has_its_figures_as_a_table_and_a_sentence(tmp_path):
    run = one_run(tmp_path)
    html = report_page(report(run))
    plots = re.findall(r'data-plot="([^"]+)"', html)
    assert len(plots) == len(set(plots)) >= 8
    for plot in plots:
        figure = html[html.index(f'id="plot-{plot}"') :]
        assert "<table" in figure[: figure.index("</figure>")]


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (
            {"validity": ["the generator lagged"]},
            "INVALID These figures say nothing about the server: the generator lagged",
        ),
        ({"status": "partial", "ends_after_s": 9, "error": "mmload was killed"}, "PARTIAL mmload was killed"),
        ({"status": "failed", "ends_after_s": 9, "error": "the server died"}, "FAILED the server died"),
        ({"stack_samples": 0}, "No stacks were taken: nothing is known of phases."),
        ({"status": "failed", "ends_after_s": 1, "error": "no server"}, "measured nothing"),
    ],
)
def test_what_is_wrong_with_a_run_or_missing_is_said(tmp_path, truth, said):
    assert said in page_of(one_run(tmp_path, **truth)).text


def test_a_damaged_file_is_named_and_the_rest_is_shown(tmp_path):
    run = one_run(tmp_path)
    with run.layout.processes.open("ab") as file:
        file.write(b"{}\n")
    text = page_of(Run(run.layout.path)).text
    assert "DAMAGED" in text
    assert re.search(r"processes\.jsonl line \d+ is damaged", text)
    assert "Response and service time by percentile" in text


def test_slow_requests_say_what_they_waited_for_and_show_it(tmp_path):
    html = report_page(report(stalled_run(tmp_path)))
    text = Page(html).text
    assert "Slow requests the slowest 3 of" in text
    assert re.search(r"TP0 hash [\d.]+ [\d.]+ [\d.]+ [\d.]+ to [\d.∞]+ more than chance", text)
    assert 'data-flame="flame-1"' in html


def test_several_runs_are_compared_in_the_words_of_compare(tmp_path):
    text = page_of(*two_variants(tmp_path)).text
    assert "optimized against original: better" in text
    assert "response p50 ms better +50 %" in text


def test_runs_that_can_t_be_compared_say_why_and_are_shown_all_the_same(tmp_path):
    runs = [make_run(tmp_path, "original", duration_s=5), make_run(tmp_path, number=1, duration_s=5, tp=4)]
    text = page_of(*runs).text
    assert "NOT COMPARED these runs can't be compared with original's" in text
    assert "All runs in one plot" in text


def test_runs_of_one_variant_ask_which_is_the_baseline(tmp_path):
    runs = [make_run(tmp_path, duration_s=5, number=n) for n in range(2)]
    assert "say which of them is the baseline with --baseline RUN" in page_of(*runs).text
    assert "optimized#2 against optimized" in page_of(*runs, baseline=[str(runs[0].layout.path)]).text


def test_hostile_names_are_text_and_nothing_else(tmp_path):
    html = report_page(report(hostile_run(tmp_path)))
    page = Page(html)
    assert "<img" not in html.replace(report_scripts(html), "")
    assert not [attributes for tag, attributes in page.tags if tag == "img" or "onerror" in attributes]
    assert '</script><img src=x onerror="alert(1)">{{ 7 * 7 }};&amp;?evil' in page.text
    assert HOSTILE not in html


def report_scripts(html: str) -> str:
    return html[html.index("<script>") : html.index("</script>")]


def test_the_page_asks_for_nothing_and_styles_nothing_by_attribute(tmp_path):
    html = report_page(report(*two_variants(tmp_path)))
    page = Page(html)
    markup = html.replace(report_scripts(html), "")
    assert "default-src 'none'" in html
    assert not re.search(r"https?://", markup)
    assert not [attributes for _, attributes in page.tags if "style" in attributes]
    assert [attributes for tag, attributes in page.tags if tag == "link"] == [{"rel": "icon", "href": "data:,"}]


def test_a_report_without_summary_timeline_or_plan_is_still_a_page(tmp_path):
    found = report(one_run(tmp_path))
    bare = msgspec.structs.replace(found.runs[0], plan=None, summary=None, timeline=None, curves={}, troubles=["torn"])
    page = Page(report_page(msgspec.structs.replace(found, runs=[bare], flames=[])))
    assert "no figures: what is missing below is missing for this: torn" in page.text
    assert isinstance(found, Report)
