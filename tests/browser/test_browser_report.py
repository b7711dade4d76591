"""The report in a browser: plots zoom together, it reads on a phone, on paper and in the dark, and nothing executes."""

from __future__ import annotations

import pytest
from factory import make_run
from report_made import hostile_run, judged_run, report, stalled_run, two_variants

from mmload.show.report_page import report_page

pytestmark = pytest.mark.browser

AXIS = "[mmload.report.axis.from, mmload.report.axis.to]"
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return report_page(report(judged_run(tmp_path_factory.mktemp("out"))))


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    return report_page(report(*two_variants(tmp_path_factory.mktemp("out"))))


@pytest.fixture
def shown(open_page):
    """shown(html, link, **context) -> the page with its plots drawn."""

    def opened(html, link="", **options):
        page = open_page(html, link, **options)
        page.wait_for_selector("html[data-drawn=yes]")
        return page

    return opened


def drag(page, plot, start, end):
    """Across a plot, from one share of its width to another."""
    stage = page.locator(f"[data-plot={plot}] .stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    at = [box["x"] + box["width"] * share for share in (start, end)]
    page.mouse.move(at[0], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(at[1], box["y"] + 60, steps=3)
    page.mouse.up()


def ticks(page, plot):
    return page.locator(f"[data-plot={plot}] text.tick.middle").all_text_contents()


def test_every_plot_is_drawn_and_says_in_words_what_it_shows(shown, alone):
    page = shown(alone)
    hosts = page.locator("[data-plot]").count()
    assert page.locator("[data-plot] svg.drawing[role=img][aria-label]").count() == hosts >= 8
    assert page.locator("[data-plot] path.line").count() >= hosts


def test_plots_over_time_zoom_together_and_come_back(shown, alone):
    page = shown(alone)
    whole = page.evaluate(AXIS)
    drag(page, "run0-rate", 0.4, 0.6)
    low, high = page.evaluate(AXIS)
    assert whole[0] < low < high < whole[1]
    assert ticks(page, "run0-rate") == ticks(page, "run0-cpu") == ticks(page, "run0-memory")
    page.locator("[data-plot=run0-cpu] .stage").dblclick()
    assert page.evaluate(AXIS) == whole


def test_the_stretch_that_is_shown_is_in_the_link(shown, alone):
    page = shown(alone)
    drag(page, "run0-rate", 0.4, 0.6)
    again = shown(alone, page.evaluate("location.hash"))
    assert again.evaluate(AXIS) == pytest.approx(page.evaluate(AXIS), abs=0.001)


def test_the_keyboard_moves_the_point_and_every_plot_says_its_figures(shown, alone):
    page = shown(alone)
    page.locator("[data-plot=run0-rate] .stage").focus()
    page.keyboard.press("ArrowRight")
    figures = page.locator("[data-plot^=run0-]:not([data-plot*=curve]) .at-point").all_text_contents()
    assert figures
    assert all(figures)
    page.keyboard.press("+")
    whole = page.evaluate("mmload.report.axis.high - mmload.report.axis.low")
    assert page.evaluate("mmload.report.axis.span") == pytest.approx(whole / 2)
    page.keyboard.press("Escape")
    assert page.evaluate("mmload.report.axis.isWhole")


def test_a_series_can_be_hidden_by_its_name(shown, alone):
    page = shown(alone)
    lines = page.locator("[data-plot=run0-response] path.line")
    assert lines.count() == 2
    page.locator("[data-plot=run0-response] .legend button", has_text="P99").click()
    assert lines.count() == 1


def test_requests_that_were_not_ok_are_marked_where_they_were_due_below_the_times(shown, alone):
    page = shown(alone)
    marks = page.locator("[data-plot=run0-response] rect.error")
    assert marks.count() in {1, 2}
    lowest = page.locator("[data-plot=run0-response] line.grid").evaluate_all(
        "all => Math.max(...all.map((one) => +one.getAttribute('y1')))"
    )
    tops = marks.evaluate_all("all => all.map((one) => +one.getAttribute('y'))")
    assert all(lowest - 18 < top < lowest for top in tops)
    errors = "mmload.report.plots.panels.find((one) => one.id === 'run0-response').series[2].values"
    assert sum(page.evaluate(errors)) == 2


def test_phases_of_a_rank_lie_on_each_other_and_zoom_with_the_load(shown, tmp_path):
    page = shown(report_page(report(stalled_run(tmp_path))))
    plot = "[data-plot=run0-phases-scheduler-tp0]"
    assert page.locator(f"{plot} path.steps").count() == 5
    assert page.locator(f"{plot} path.line").count() == 1  # the total
    panel = "mmload.report.drawn.get('run0-phases-scheduler-tp0')"
    bins = page.evaluate(f"[...{panel}.stacked.values()].map((one) => one[0])")
    assert [one["low"] for one in bins] == pytest.approx([0, *(one["high"] for one in bins[:-1])])
    drag(page, "run0-rate", 0.7, 0.9)
    assert ticks(page, "run0-rate") == ticks(page, "run0-phases-scheduler-tp0")


def test_phases_of_a_run_are_shown_behind_several_only_where_all_had_them_then(shown, several, tmp_path):
    names = "[data-plot=all-rate] .phase-name"
    assert shown(several).locator(names).all_text_contents() == ["warmup", "measure"]
    runs = [make_run(tmp_path, "original", duration_s=20), make_run(tmp_path, number=1, duration_s=9)]
    assert shown(report_page(report(*runs))).locator(names).all_text_contents() == ["warmup"]


def test_where_no_answer_was_ok_the_plot_says_so(shown, tmp_path):
    run = make_run(tmp_path, duration_s=3, outcomes=dict.fromkeys(range(300), "http_error"))
    page = shown(report_page(report(run)))
    assert page.locator("[data-plot=run0-curve-response] .stage").inner_text() == "no answer was ok"
    assert page.locator("[data-plot=run0-response] path.beyond").count() == 2


def test_the_limit_of_the_gate_is_drawn_at_its_percentile(shown, alone):
    page = shown(alone)
    assert page.locator("[data-plot=run0-curve-response] .limit-text").text_content() == "limit p99 < 120 ms"


def test_the_curve_says_the_exact_percentile(shown, alone):
    page = shown(alone)
    at = "(p) => mmload.chart.percentile(mmload.report.plots.curves[0].curves[0].curve, p)"
    p50 = float(page.locator("#plot-run0-curve-response td").nth(2).text_content())
    assert page.evaluate(at, 0.5) == pytest.approx(p50, abs=0.06)
    assert page.evaluate(f"({at})(0.9999) === Infinity")


def test_every_bin_can_be_read_as_a_table(shown, alone):
    page = shown(alone)
    figure = page.locator("#plot-run0-rate")
    figure.locator("summary").click()
    figure.get_by_role("button", name="Every bin in sight").click()
    bins = page.evaluate("mmload.report.plots.axes[0].bins")
    assert figure.locator(".bins tbody tr").count() == bins


def test_several_runs_take_turns_and_the_link_says_which(shown, several):
    page = shown(several)
    assert page.locator("[data-run]:visible").count() == 1
    page.locator("a[data-shows-run=run1]").click()
    assert page.locator("[data-run=run1]").is_visible()
    assert page.locator("[data-plot=run1-cpu] path.line").count() > 0
    assert shown(several, page.evaluate("location.hash")).locator("[data-run=run1]").is_visible()


def test_curves_of_several_runs_lie_in_one_plot(shown, several):
    page = shown(several)
    assert page.locator("[data-plot=all-curve-response] path.line").count() == 2


@pytest.mark.parametrize("which", ["alone", "several"])
def test_nothing_is_wider_than_a_phone(shown, which, request):
    page = shown(request.getfixturevalue(which), viewport={"width": 390, "height": 844})
    wide, room = page.evaluate(WIDTHS)
    assert wide == room


def test_light_and_dark_are_the_reader_s_choice(shown, alone):
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light, dark = (shown(alone, color_scheme=scheme).evaluate(background) for scheme in ("light", "dark"))
    assert light != dark
    page = shown(alone, "#page.theme=dark", color_scheme="light")
    assert page.evaluate(background) == dark


def test_on_paper_there_are_no_buttons_and_nothing_is_cut_off(shown, alone):
    page = shown(alone, viewport={"width": 720, "height": 1000})
    page.emulate_media(media="print")
    assert not page.locator(".report-nav, .zoom").first.is_visible()
    assert page.locator("[data-plot=run0-rate] svg.drawing").is_visible()
    wide, room = page.evaluate(WIDTHS)
    assert wide <= room


def test_without_scripts_it_still_reads(open_page, several):
    page = open_page(several, java_script_enabled=False)
    text = page.locator("main").inner_text()
    assert "optimized against original" in text
    assert page.locator("[data-run]:visible").count() == 2
    assert "scripts are turned off" in text


def test_hostile_names_do_nothing(shown, tmp_path):
    page = shown(report_page(report(hostile_run(tmp_path))))
    assert page.locator("img").count() == 0
    assert page.evaluate("document.scripts.length") == page.locator("script").count()


def test_what_is_hidden_in_a_plot_and_its_log_scale_are_in_the_link(shown, alone):
    page = shown(alone)
    page.locator("[data-plot=run0-response] .legend button", has_text="P99").click()
    page.locator("#plot-run0-curve-response .log").click()
    again = shown(alone, page.evaluate("location.hash"))
    assert again.locator("[data-plot=run0-response] path.line").count() == 1
    assert again.locator("#plot-run0-curve-response .log").get_attribute("aria-pressed") == "true"
    assert ticks_up(again, "run0-curve-response") == ticks_up(page, "run0-curve-response")


def test_a_logarithmic_scale_goes_up_in_decades_from_the_least_above_nothing(shown, alone):
    places = "[[0, 0.02, 300], [0], []].map((values) => { const one = new mmload.chart.Scale(values, true); %s })"
    page = shown(alone)
    assert page.evaluate(places % "return [one.low, one.place(0), one.place(one.high)]") == [
        [0.01, 0, 1],
        [0.1, 0, 1],
        [0.1, 0, 1],
    ]
    levels = page.evaluate("new mmload.chart.Scale([0.02, 300], true).levels(4)")
    assert levels == pytest.approx([0.01, 0.1, 1, 10, 100])


def ticks_up(page, plot):
    return page.locator(f"[data-plot={plot}] text.tick.end").all_text_contents()


def test_back_undoes_a_zoom_of_the_plots(shown, alone):
    page = shown(alone)
    whole = page.evaluate(AXIS)
    drag(page, "run0-rate", 0.4, 0.6)
    page.go_back()
    assert page.evaluate(AXIS) == whole


@pytest.mark.parametrize("plot", ["run0-rate", "run0-curve-response"])
def test_what_a_finger_points_at_stays(shown, alone, plot):
    page = shown(alone, has_touch=True, viewport={"width": 390, "height": 844})
    stage = page.locator(f"[data-plot={plot}] .stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.touchscreen.tap(box["x"] + 200, box["y"] + 60)
    assert all(page.locator(f"[data-plot={plot}] .at-point").all_text_contents())


@pytest.mark.parametrize("plot", ["run0-cpu", "run0-curve-response"])
def test_a_plot_stays_where_it_is_when_its_figures_are_said(shown, alone, plot):
    page = shown(alone)
    stage = page.locator(f"[data-plot={plot}] .stage")
    stage.scroll_into_view_if_needed()
    before = stage.bounding_box()
    stage.hover(position={"x": 150, "y": 60})
    assert all(page.locator(f"[data-plot={plot}] .at-point").all_text_contents())
    assert stage.bounding_box() == before


def test_a_name_that_is_pointed_at_raises_its_line(shown, alone):
    page = shown(alone)
    page.locator("[data-plot=run0-response] .legend button", has_text="P99").hover()
    assert page.locator("[data-plot=run0-response] [data-group]:not(.behind)").get_attribute("data-group") == "0"
    page.locator("h1").hover()
    assert page.locator("[data-plot=run0-response] .behind").count() == 0


def test_a_colour_that_comes_again_is_another_line(shown, alone):
    page = shown(alone)
    series = "(i) => ({ label: `TP${i}`, group: `TP${i}`, axis: 0, values: [i, i], colour: `s${i % 8}`, kind: 'line' })"
    lines = page.evaluate(
        f"""() => {{
            const groups = mmload.chart.grouped([...Array(20).keys()].map({series}));
            const legend = new mmload.chart.Legend(groups, {{ longest: () => 4 }});
            return groups.map(([group, [one]]) => `${{one.colour}} ${{legend.dashes.get(group)}}`);
        }}"""
    )
    assert len(set(lines)) == 20


def test_curves_beside_each_other_begin_at_one_height(shown, alone):
    page = shown(alone)
    tops = page.locator(".plots .stage").evaluate_all("(found) => found.map((one) => one.getBoundingClientRect().top)")
    assert len(tops) >= 2
    assert len(set(tops[:2])) == 1


def test_the_keyboard_skips_to_the_verdict(shown, alone):
    page = shown(alone)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "verdict"
