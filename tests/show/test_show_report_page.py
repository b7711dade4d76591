"""The report as a page: what stands first, what is said of what is missing, and that no name can break it."""

import re
from html.parser import HTMLParser

import msgspec
import pytest
from factory import make_run
from report_made import HOSTILE, hostile_run, judged_run, one_run, report, stalled_run, two_variants

from mmload.judge.report import Report
from mmload.show.report_page import report_page
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
    assert "response_p99_ms < 120 98.2 94.1 to 103.6 2,000 PASS" in judged.text
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
    assert f"mmload gate {run.layout.path}" in text


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
    assert "response p50 ms 120 60.0 +50 %" in text


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
