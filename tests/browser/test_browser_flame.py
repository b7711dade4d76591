"""The flame view in a browser: what it draws, what it does when it is used, what strangers' names can't do to it."""

import json

import pytest
from factory import make_run
from planted_flames import Planter, Stack, changes_of, made_stacks
from planted_stacks import with_stacks

from mmload.analyse.flame import flame_profile
from mmload.analyse.flame_document import flame_document
from mmload.model.flame import FlameDocument
from mmload.show.flame_page import flame_assets, flame_page, flame_section
from mmload.show.page_data import asset, html_page, page_css

pytestmark = pytest.mark.browser

LOOP = ("<module> (launch.py)", "Scheduler.event_loop_overlap (sglang/scheduler.py)")
RECEIVE = "Scheduler.recv_requests (sglang/scheduler.py)"
FORWARD = "Scheduler.run_batch (sglang/scheduler.py)"
POLL = "poll (zmq/poll.py)"
BUILD = "MultimodalInputs.from_dict (sglang/schedule_batch.py)"
VISIT = "visit (ast.py)"

STACKS = [
    Stack((*LOOP, RECEIVE), 100, "receive", 100),
    Stack((*LOOP, RECEIVE, BUILD), 300, "materialise", 100, "more"),
    Stack((*LOOP, RECEIVE, POLL), 200, "idle-poll", 210),
    Stack((*LOOP, FORWARD), 150, "forward", 450, "less"),
    Stack((*LOOP, FORWARD, VISIT, VISIT, VISIT), 40, "forward", 0, "appeared"),
    Stack((*LOOP, "hash_feature (sglang/mm_utils.py)"), 0, "hash", 60, "vanished"),
]
OTHERS = [Stack((*LOOP, RECEIVE), 50, "receive", 50), Stack(("Thread.run (threading.py)",), 7, "other", 7)]

VIEW = "mmload.flameViews.flame"


def planted(*, is_diff=False, **fields):
    planter = Planter(is_diff=is_diff)
    changes = (
        changes_of(planter, {BUILD: (6, 2, "more"), FORWARD: (3, 9, "less"), VISIT: (0.8, 0, "appeared")})
        if is_diff
        else ()
    )
    views = [
        planter.view("all-ranks", STACKS + OTHERS, changes),
        planter.view("scheduler_TP0", STACKS, changes),
        planter.view("scheduler_TP1", OTHERS),
    ]
    return planter.document(views, **fields)


@pytest.fixture
def flame(open_page):
    """flame(document, link="", **context) -> the page, drawn."""

    def opened(document: FlameDocument | None = None, link="", **options):
        page = open_page(flame_page(document or planted()), link, **options)
        page.wait_for_selector(".flame-table tbody tr, .flame-nothing:not([hidden])")
        return page

    return opened


def boxes(page):
    return page.evaluate(f"{VIEW}.rectangles()")


def box(page, name):
    found = [one for one in boxes(page) if one["name"] == name]
    assert len(found) == 1, f"{name}: {len(found)} boxes"
    return found[0]


def state(page):
    return page.evaluate(f"{VIEW}.state")


def press(page, *keys):
    page.locator("canvas").focus()
    for key in keys:
        page.keyboard.press(key)


def click_box(page, name):
    one = box(page, name)
    page.locator("canvas").click(position={"x": one["x"] + one["width"] / 2, "y": one["y"] + one["height"] / 2})


def focused(page):
    return page.evaluate(f"{VIEW}.words.name({VIEW}.focus)")


def test_all_samples_are_drawn(flame):
    page = flame()
    sums = page.evaluate(
        f"[{VIEW}.tree.samples[0][0], [...{VIEW}.tree.kids(0)].reduce((sum, kid) => sum + {VIEW}.tree.samples[0][kid], 0)]"
    )
    assert sums == [sum(stack.samples for stack in STACKS + OTHERS)] * 2
    whole = box(page, "all ranks")
    roots = [one for one in boxes(page) if one["y"] == whole["height"] + 1]
    assert sum(one["width"] + 1 for one in roots) == pytest.approx(whole["width"] + 1, abs=2)


def test_every_view_of_a_run_has_the_samples_of_its_folded_files(flame, tmp_path):
    stacks = {"scheduler_TP0": {"hash": 30, "poll": 11}, "scheduler_TP1": {"hash": 7}, "tokenizer": {"http": 5}}
    run = with_stacks(make_run(tmp_path / "run", rate_rps=20, duration_s=20.0, warmup_s=0.0), stacks)
    page = flame(flame_document(flame_profile(run)))
    drawn = {}
    for view in page.evaluate(f"{VIEW}.document.views.map((view) => view.id)"):
        page.evaluate(f"{VIEW}.set({{view: '{view}'}})")
        drawn[view] = page.evaluate(f"{VIEW}.tree.samples[0][0]")
    folded = {file.stem: samples_in(file) for file in run.layout.path.glob("stacks/*.folded")}
    assert drawn == {"all-ranks": folded["scheduler_TP0"] + folded["scheduler_TP1"], **folded}


def samples_in(file):
    return sum(int(line.rsplit(" ", 1)[1]) for line in file.read_text().splitlines())


def test_a_box_is_as_wide_as_its_time(flame):
    page = flame(link="#flame.view=scheduler_TP0")
    assert box(page, "Scheduler.recv_requests")["width"] / box(page, "TP0")["width"] == pytest.approx(
        600 / 790, abs=0.01
    )


def test_what_is_drawn_is_what_is_under_the_pointer(flame):
    page = flame()
    for one in boxes(page):
        x, y = one["x"] + one["width"] / 2, one["y"] + one["height"] / 2
        assert page.evaluate(f"{VIEW}.nodeAt({x}, {y})") == one["node"]


def test_each_process_has_a_tab(flame):
    page = flame()
    page.get_by_role("tab", name="TP1").click()
    assert box(page, "TP1")
    assert page.get_by_role("tab", name="TP1").get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowLeft")
    assert state(page)["view"] == "scheduler_TP0"


def test_another_process_is_shown_at_the_same_path(flame):
    page = flame()
    click_box(page, "Scheduler.recv_requests")
    page.get_by_role("tab", name="TP0").click()
    assert focused(page) == "Scheduler.recv_requests"
    assert box(page, "Scheduler.recv_requests")["width"] == pytest.approx(box(page, "TP0")["width"], abs=1)


def test_a_click_zooms_and_back_undoes_it(flame):
    page = flame()
    narrow = box(page, "MultimodalInputs.from_dict")["width"]
    click_box(page, "MultimodalInputs.from_dict")
    assert box(page, "MultimodalInputs.from_dict")["width"] > 2 * narrow
    page.go_back()
    assert box(page, "MultimodalInputs.from_dict")["width"] == narrow


def test_keys_walk_and_zoom(flame):
    page = flame(link="#flame.view=scheduler_TP0")
    press(page, "ArrowDown", "ArrowDown")
    assert focused(page) == "Scheduler.recv_requests"
    press(page, "ArrowRight")
    assert focused(page) == "Scheduler.run_batch"
    assert "Scheduler.run_batch" in page.locator(".flame-detail").inner_text()
    press(page, "Enter")
    assert box(page, "Scheduler.run_batch")["width"] == pytest.approx(box(page, "TP0")["width"], abs=1)
    press(page, "Escape")
    assert state(page)["zoom"] == ""
    press(page, "ArrowUp", "ArrowUp", "ArrowUp")
    assert focused(page) == "TP0"


def test_home_shows_everything_again(flame):
    page = flame()
    click_box(page, "MultimodalInputs.from_dict")
    press(page, "Home")
    assert state(page)["zoom"] == ""


def test_a_slash_leads_to_the_search_and_a_question_mark_to_the_keys(flame):
    page = flame()
    page.keyboard.press("/")
    page.keyboard.type("recv")
    assert state(page)["find"] == "recv"
    press(page, "?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()


@pytest.mark.parametrize(
    ("text", "functions", "share"),
    [
        ("RECV_requests", 1, "76.7 %"),
        ("/from_dict|poll/", 2, "59.0 %"),
        ('"visit (ast.py)"', 1, "4.72 %"),
        ("nowhere", 0, "0.0 %"),
    ],
)
def test_a_search_says_what_it_matched(flame, text, functions, share):
    page = flame()
    page.get_by_role("searchbox").fill(text)
    found = page.locator(".flame-search-found").inner_text()
    assert found.startswith(f"{functions} function")
    assert share in found


def test_what_a_search_finds_is_marked_and_the_rest_fades(flame):
    page = flame()
    before = box(page, "Scheduler.run_batch")["fill"]
    page.get_by_role("searchbox").fill("from_dict")
    assert [one["name"] for one in boxes(page) if one["isMatch"]] == ["MultimodalInputs.from_dict"]
    assert box(page, "Scheduler.run_batch")["fill"] != before


def test_what_is_no_regular_expression_is_said(flame):
    page = flame()
    page.get_by_role("searchbox").fill("/(/")
    assert "Not a regular expression" in page.locator(".flame-search-found").inner_text()
    assert page.get_by_role("searchbox").get_attribute("aria-invalid") == "true"


def test_a_row_of_the_table_finds_its_function(flame):
    page = flame()
    page.get_by_role("button", name="Scheduler.run_batch").click()
    assert [one["name"] for one in boxes(page) if one["isMatch"]] == ["Scheduler.run_batch"]


def test_the_table_has_the_same_figures_as_the_picture(flame):
    page = flame(link="#flame.view=scheduler_TP0")
    row = page.get_by_role("row").filter(has_text="Scheduler.recv_requests").inner_text().split("\t")
    assert row[1:] == ["2.000", "12.00", "75.9 %", "600"]


def test_the_table_is_sorted_by_keyboard_too(flame):
    page = flame()
    page.get_by_role("button", name="function", exact=True).focus()
    page.keyboard.press("Enter")
    names = page.locator(".flame-name").all_inner_texts()
    assert names == sorted(names)
    page.keyboard.press("Enter")
    assert page.locator(".flame-name").all_inner_texts() == names[::-1]


def test_a_hidden_phase_is_left_out_of_everything(flame):
    page = flame(link="#flame.view=scheduler_TP0")
    page.get_by_role("button", name="idle-poll").click()
    assert page.evaluate(f"{VIEW}.tree.samples[0][0]") == 590
    assert "poll" not in [one["name"] for one in boxes(page)]
    assert state(page)["hide"] == "idle-poll"
    page.get_by_role("button", name="idle-poll").click()
    assert box(page, "poll")


def test_all_phases_can_be_hidden(flame):
    page = flame(link="#flame.view=scheduler_TP1&flame.hide=receive,other")
    assert "Every phase" in page.locator(".flame-nothing").inner_text()


def test_the_way_to_the_loop_is_one_box_unless_it_is_shown(flame):
    page = flame(link="#flame.view=scheduler_TP0")
    assert [one["name"] for one in boxes(page)][:2] == ["TP0", "Scheduler.event_loop_overlap"]
    page.get_by_label("fold boilerplate").uncheck()
    assert {"<module>", "Scheduler.event_loop_overlap"} <= {one["name"] for one in boxes(page)}


def test_the_way_through_asyncio_is_one_box_too(flame):
    loop = ("<module> (serve.py)", "Runner.run (asyncio/runners.py)", "Handle._run (asyncio/events.py)")
    answer = Stack((*loop, "answer (server.py)"), 60, "other")
    called_back = Stack((*loop, "answer (server.py)", "BaseEventLoop.call_soon (asyncio/base_events.py)"), 40, "other")
    planter = Planter()
    page = flame(planter.document([planter.view("tokenizer", [answer, called_back])]))
    names = [one["name"] for one in boxes(page)]
    assert names == ["tokenizer", "Handle._run", "answer", "BaseEventLoop.call_soon"]


MODEL = "Qwen2Model.forward (sglang/qwen2.py)"
MLP = "Qwen2MLP.forward (sglang/qwen2.py)"
CALLED = ("Module._wrapped_call_impl (torch/nn/modules/module.py)", "Module._call_impl (torch/nn/modules/module.py)")
LOGGED = "_exception_logger.<locals>.wrapper (torch/distributed/c10d_logger.py)"
STARTED = ("Thread._bootstrap (threading.py)", "Thread._bootstrap_inner (threading.py)", "Thread.run (threading.py)")
WORKER = "_worker (concurrent/futures/thread.py)"
THROUGH_BOILERPLATE = [
    Stack((*LOOP, MODEL), 10, "forward", 10),
    Stack((*LOOP, MODEL, *CALLED), 5, "forward", 6),
    Stack((*LOOP, MODEL, *CALLED, MLP), 30, "forward", 31),
    Stack((*LOOP, MODEL, MLP), 7, "forward", 8, "more"),
    Stack(
        (*LOOP, MODEL, *CALLED, MLP, LOGGED, "all_reduce (torch/distributed/distributed_c10d.py)"), 20, "forward", 25
    ),
    Stack((*LOOP, MODEL, "wrapper (mine.py)"), 3, "other", 3),
    Stack((*STARTED, WORKER), 9, "other", 9),
    Stack((*STARTED, WORKER, "_WorkItem.run (concurrent/futures/thread.py)", "work (mine.py)"), 4, "hash", 4),
]
BOILERPLATE = {frame.split(" (")[0] for frame in (*CALLED, LOGGED, *STARTED[1:], "_WorkItem.run (x)")}


def through_boilerplate(*, is_diff=False, changes=()):
    planter = Planter(is_diff=is_diff)
    return planter.document(
        [planter.view("scheduler_TP0", THROUGH_BOILERPLATE, changes_of(planter, dict(changes)) if is_diff else ())]
    )


def functions(page):
    """Of the whole tree as it is folded now: name -> (own samples, total samples)."""
    script = f"""() => {{
        const {{ tree, words }} = {VIEW};
        const own = {{}};
        for (let i = 1; i < tree.count; i++) own[words.name(i)] = (own[words.name(i)] ?? 0) + tree.ownSamples[0][i];
        const rows = mmload.functionsUnder(tree, 0);
        const name = (row) => {VIEW}.document.frames[row.frame].function;
        return Object.fromEntries(rows.map((row) => [name(row), [own[name(row)], row.samples[0]]]));
    }}"""
    return {name: tuple(samples) for name, samples in page.evaluate(script).items()}


def test_boilerplate_folds_into_its_caller_and_no_sample_is_lost(flame):
    page = flame(through_boilerplate(), "#flame.loop=shown")
    seen = functions(page)
    page.get_by_label("fold boilerplate").check()
    folded = functions(page)
    assert seen.keys() - folded.keys() == BOILERPLATE | {"<module>"}
    assert sum(own for own, _ in folded.values()) == sum(own for own, _ in seen.values()) == 88
    assert {name: total for name, (_, total) in folded.items()} == {name: seen[name][1] for name in folded}
    moved = {name: own - seen[name][0] for name, (own, _) in folded.items() if own != seen[name][0]}
    assert moved == {"Qwen2Model.forward": 5}


def test_only_boilerplate_of_known_files_folds_and_never_without_a_caller(flame):
    names = {one["name"] for one in boxes(flame(through_boilerplate()))}
    assert {"wrapper", "Thread._bootstrap", "_worker", "work"} <= names
    assert not names & BOILERPLATE


def test_what_is_called_with_and_without_boilerplate_becomes_one_box_that_keeps_a_shared_word_only(flame):
    page = flame(through_boilerplate(is_diff=True))
    node = box(page, "Qwen2MLP.forward")["node"]
    assert page.evaluate(f"{VIEW}.tree.samples[0][{node}]") == 57
    assert page.evaluate(f"{VIEW}.words.word({node})") == "not judged"
    page.get_by_label("fold boilerplate").uncheck()
    assert [one["name"] for one in boxes(page)].count("Qwen2MLP.forward") == 2


def test_folded_boilerplate_is_listed_only_where_it_differs_by_itself(flame):
    changes = {
        MODEL: (2, 1, "more"),
        CALLED[0]: (3, 2.9, "within noise"),
        LOGGED: (2, 0.1, "more"),
        MLP: (0, 0, "less"),
    }
    page = flame(through_boilerplate(is_diff=True, changes=changes))
    assert page.locator(".flame-name").all_inner_texts() == [LOGGED.partition(" ")[0], "Qwen2Model.forward"]
    assert page.locator(".flame-note").inner_text() == "Folded and left out: 1 function without a difference."
    page.get_by_label("fold boilerplate").uncheck()
    assert page.locator(".flame-name").count() == 3


def test_a_search_finds_what_is_folded_away_and_says_so(flame):
    page = flame(link="#flame.view=scheduler_TP0&flame.find=<module>")
    said = page.locator(".flame-search-found").inner_text()
    assert said.startswith("1 function (1 folded away) · ")
    assert "100.0 %" in said


def test_recursion_folds_into_one_box(flame):
    page = flame(link="#flame.view=scheduler_TP0")
    assert [one["name"] for one in boxes(page)].count("visit") == 3
    page.get_by_label("fold recursion").check()
    assert [one["name"] for one in boxes(page)].count("visit") == 1
    assert page.evaluate(f"{VIEW}.tree.samples[0][0]") == 790


def test_roots_stand_at_the_bottom_of_a_flame(flame):
    page = flame(link="#flame.view=scheduler_TP0")
    assert box(page, "TP0")["y"] < box(page, "Scheduler.recv_requests")["y"]
    page.get_by_label("bottom").check()
    assert box(page, "TP0")["y"] > box(page, "Scheduler.recv_requests")["y"]
    press(page, "ArrowUp")
    assert focused(page) == "Scheduler.event_loop_overlap"


def test_a_difference_is_red_for_more_blue_for_less_and_grey_within_noise(flame):
    page = flame(planted(is_diff=True), "#flame.view=scheduler_TP0")
    red, _, blue = colour(box(page, "MultimodalInputs.from_dict"))
    assert red > blue + 40
    red, _, blue = colour(box(page, "Scheduler.run_batch"))
    assert blue > red + 40
    red, green, blue = colour(box(page, "poll"))
    assert max(red, green, blue) - min(red, green, blue) < 20


def colour(one):
    return [int(part) for part in one["fill"].removeprefix("rgb(").removesuffix(")").split()]


def test_the_canvas_has_the_colours_that_are_said(flame):
    page = flame(planted(is_diff=True), "#flame.view=scheduler_TP0")
    one = box(page, "MultimodalInputs.from_dict")
    x, y = int(one["x"] + one["width"] - 6), int(one["y"] + 1)
    pixel = page.evaluate(f"[...document.querySelector('canvas').getContext('2d').getImageData({x}, {y}, 1, 1).data]")
    assert pixel[:3] == colour(one)


def test_words_stand_beside_the_colours(flame):
    page = flame(planted(is_diff=True), "#flame.view=scheduler_TP0")
    assert box(page, "MultimodalInputs.from_dict")["label"].startswith("▲ ")
    assert box(page, "Scheduler.run_batch")["label"].startswith("▼ ")


@pytest.mark.parametrize(
    ("width", "has_new", "has_gone"), [("this", True, False), ("base", False, True), ("larger", True, True)]
)
def test_widths_are_of_either_side_or_of_the_larger(flame, width, has_new, has_gone):
    page = flame(planted(is_diff=True), f"#flame.view=scheduler_TP0&flame.width={width}")
    names = {one["name"] for one in boxes(page)}
    assert ("visit" in names, "hash_feature" in names) == (has_new, has_gone)


def test_a_node_of_which_a_part_is_hidden_is_not_judged(flame):
    page = flame(planted(is_diff=True), "#flame.view=scheduler_TP0&flame.hide=materialise")
    node = box(page, "Scheduler.recv_requests")["node"]
    assert page.evaluate(f"{VIEW}.words.word({node})").startswith("not judged")


def test_differences_are_listed_by_what_became_of_them(flame):
    page = flame(planted(is_diff=True))
    assert page.locator(".flame-name").all_inner_texts() == [
        "Scheduler.run_batch",
        "MultimodalInputs.from_dict",
        "visit",
    ]
    page.get_by_role("button", name="appeared").click()
    assert page.locator(".flame-name").all_inner_texts() == ["visit"]
    page.reload()
    assert page.locator(".flame-name").all_inner_texts() == ["visit"]


def test_a_table_of_differences_says_that_zoom_and_hidden_phases_do_not_change_it(flame):
    page = flame(planted(is_diff=True), "#flame.view=scheduler_TP0")
    assert page.locator(".flame-note").count() == 0
    page.get_by_role("button", name="materialise").click()
    assert page.locator(".flame-note").inner_text() == "Of the whole view, without regard to hidden phases."
    click_box(page, "Scheduler.run_batch")
    assert page.locator(".flame-note").inner_text().endswith("the zoom and hidden phases.")
    page.get_by_role("radio", name="functions").check()
    assert page.locator(".flame-note").count() == 0


def test_what_was_not_judged_is_grey_and_no_difference(flame):
    planter = Planter(is_diff=True)
    stacks = [
        Stack((*LOOP, FORWARD), 900, "forward", 1, "not judged"),
        Stack((*LOOP, RECEIVE), 20, "receive", 10, "more"),
    ]
    changes = changes_of(planter, {FORWARD: (18, 0.02, "not judged"), RECEIVE: (0.4, 0.2, "more")})
    page = flame(planter.document([planter.view("scheduler_TP0", stacks, changes)]))
    one = box(page, "Scheduler.run_batch")
    assert max(colour(one)) - min(colour(one)) < 20
    assert one["label"].startswith("Scheduler")
    assert page.evaluate(f"{VIEW}.words.word({one['node']})") == "not judged"
    assert page.evaluate(f"{VIEW}.scene.colours.strongest") == pytest.approx(0.2)
    assert page.locator(".flame-name").all_inner_texts() == ["Scheduler.recv_requests", "Scheduler.run_batch"]
    page.get_by_role("button", name="not judged").click()
    assert page.locator(".flame-name").all_inner_texts() == ["Scheduler.run_batch"]


def test_the_legend_says_how_many_milliseconds_a_colour_is(flame):
    page = flame(planted(is_diff=True), "#flame.view=scheduler_TP0")
    steps = page.locator(".flame-step").all_inner_texts()
    strongest = page.evaluate(f"mmload.words.ms({VIEW}.scene.colours.strongest)")
    assert (steps[0], steps[-1]) == (f"\N{MINUS SIGN}{strongest}", f"+{strongest}")
    page.get_by_label("phase", exact=True).check()
    assert page.locator(".flame-step").count() == 0
    assert "vanished" in page.locator(".flame-legend").inner_text()


@pytest.mark.parametrize(
    ("value", "text"), [(-1e-7, "0.000"), (1e-7, "0.000"), (-0.0004, "\N{MINUS SIGN}0.00040"), (0.2, "+0.200")]
)
def test_nothing_has_no_sign(flame, value, text):
    assert flame().evaluate(f"mmload.words.signedMs({value})") == text


def test_what_is_within_noise_comes_last(flame):
    planter = Planter(is_diff=True)
    changes = changes_of(planter, {POLL: (9, 1, "within noise"), BUILD: (2, 1, "more"), FORWARD: (1, 4, "less")})
    page = flame(planter.document([planter.view("all-ranks", STACKS, changes)]))
    assert page.locator(".flame-name").all_inner_texts() == [
        "Scheduler.run_batch",
        "MultimodalInputs.from_dict",
        "poll",
    ]


def test_the_link_holds_the_whole_state(flame):
    page = flame()
    page.get_by_role("tab", name="TP0").click()
    page.get_by_label("bottom").check()
    page.get_by_label("package").check()
    page.get_by_label("fold recursion").check()
    page.get_by_role("button", name="idle-poll").click()
    page.get_by_role("searchbox").fill("/recv|visit/")
    page.get_by_role("button", name="function", exact=True).click()
    click_box(page, "Scheduler.recv_requests")
    seen = state(page), boxes(page)
    page.reload()
    page.wait_for_selector(".flame-table tbody tr")
    assert (state(page), boxes(page)) == seen


def test_a_link_that_says_nonsense_shows_the_first_view(flame):
    page = flame(
        link="#flame.view=none&flame.zoom=99999999&flame.colour=difference&flame.toString=1&flame.hide=x&other=%"
    )
    assert state(page)["view"] == "all-ranks"
    assert state(page)["colour"] == "phase"
    assert box(page, "all ranks")


def test_the_keyboard_keeps_its_place_in_the_table(flame):
    planter = Planter(is_diff=True)
    stacks = [Stack((*LOOP, f"step_{i} (steps.py)"), 10 + i, "other", 5, "more") for i in range(30)]
    changes = changes_of(planter, {stack.frames[-1]: (1 + stack.samples, 1, "more") for stack in stacks})
    page = flame(planter.document([planter.view("scheduler_TP0", stacks, changes)]))
    for name in ("step_29", "more 30", "difference ms"):
        page.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.innerText.replace(/\\s+/, ' ')").startswith(name)
    page.get_by_role("button", name="Show more").focus()
    page.keyboard.press("Enter")
    thirteenth = page.locator(".flame-name").nth(12).inner_text()
    assert page.evaluate("document.activeElement.innerText") == thirteenth


def test_a_file_of_the_table_can_be_selected(flame):
    page = flame()
    page.locator(".flame-table .flame-file").first.dblclick()
    assert page.evaluate("getSelection().toString()")
    assert state(page)["find"] == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("mode", ["phase", "package", "difference"])
def test_every_label_can_be_read(flame, scheme, mode):
    page = flame(planted(is_diff=True), f"#flame.colour={mode}", color_scheme=scheme)
    pairs = page.evaluate(
        f"[...{VIEW}.tree.frame.keys()].map((node) => {VIEW}.scene.colours.of(node))"
        ".flatMap(({ fill, ink, faded, fadedInk }) => [[fill, ink], [faded, fadedInk]])"
    )
    assert all(contrast(fill, ink) >= 4.5 for fill, ink in pairs)


def contrast(*colours):
    dark, light = sorted(luminance(colour({"fill": one})) for one in colours)
    return (light + 0.05) / (dark + 0.05)


def luminance(rgb):
    linear = [one / 255 / 12.92 if one <= 10 else ((one / 255 + 0.055) / 1.055) ** 2.4 for one in rgb]
    return sum(part * one for part, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_headings_go_down_by_one(flame):
    levels = flame().locator("h1, h2, h3").evaluate_all("(found) => found.map((one) => one.tagName)")
    assert levels[:2] == ["H1", "H2"]


def test_swatches_keep_their_colours_where_colours_are_forced(flame):
    page = flame(forced_colors="active")
    swatches = page.locator(".flame-legend .flame-swatch")
    shades = swatches.evaluate_all("(found) => found.map((one) => getComputedStyle(one).backgroundColor)")
    assert len(set(shades)) == len(shades) > 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_the_systems_until_one_is_chosen(flame, scheme):
    page = flame(color_scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme").click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_phone_shows_all_of_it_without_scrolling_sideways(flame):
    page = flame(planted(is_diff=True), viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_tooltip_says_where_and_how_much(flame):
    page = flame(planted(is_diff=True), "#flame.view=scheduler_TP0")
    one = box(page, "MultimodalInputs.from_dict")
    page.locator("canvas").hover(position={"x": one["x"] + 5, "y": one["y"] + 5})
    text = page.locator(".flame-tooltip").inner_text()
    for part in (
        "MultimodalInputs.from_dict",
        "sglang/schedule_batch.py",
        "phase materialise",
        "6.000",
        "2.000",
        "+4.000",
        "300",
        "more",
    ):
        assert part in text


def test_views_of_one_page_share_nothing_but_the_code(open_page):
    css, js = flame_assets()
    body = flame_section(planted(), "flame-0") + flame_section(planted(is_diff=True), "flame-1")
    page = open_page(html_page("two", css=page_css() + css, js=asset("page.js") + js, body=body))
    first, second = page.locator(".flame").all()
    second.locator(".flame-table tbody tr").first.wait_for()
    first.get_by_role("tab", name="TP1").click()
    second.get_by_role("searchbox").fill("recv")
    page.reload()
    second.locator(".flame-table tbody tr").first.wait_for()
    assert first.get_by_role("tab", name="TP1").get_attribute("aria-selected") == "true"
    assert second.get_by_role("tab", name="all ranks").get_attribute("aria-selected") == "true"
    assert [one.get_by_role("searchbox").input_value() for one in (first, second)] == ["", "recv"]


def test_a_browser_that_cannot_unpack_the_data_is_told_so(flame):
    page = flame()
    said = page.evaluate(
        "DecompressionStream = undefined, mmload.readEmbedded('flame').catch((error) => error.message)"
    )
    assert said.startswith("This browser can't unpack the data")


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "a;b;c",
    "\u202egnp.exe\u202c",
    "${alert(1)}{{alert(1)}}",
    "/(a+)+$/",
    '"quoted" (in (brackets))',
    "x" * 10_000,
    "\U0001f525" * 300,
)


def test_strangers_names_are_only_text(flame):
    planter = Planter(is_diff=True)
    stacks = [Stack((f"{name} (<b>{name[:50]}.py)",), 10 + i, "other", 5, "more") for i, name in enumerate(HOSTILE)]
    view = planter.view("all-ranks", stacks, changes_of(planter, {stack.frames[0]: (2, 1, "more") for stack in stacks}))
    document = planter.document(
        [view], title=HOSTILE[0] + HOSTILE[1], this=HOSTILE[0], base=HOSTILE[1], notes=list(HOSTILE)
    )
    page = flame(document)
    assert page.locator("main img, main b, main script:not([type='text/plain'])").count() == 0
    assert page.title() == HOSTILE[0] + HOSTILE[1]
    assert "\u202e" not in page.locator("body").inner_text()
    for row in page.locator(".flame-name").all():
        row.click()
        assert page.locator(".flame-search-found").inner_text().startswith("1 function")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_view_without_samples_says_so(flame):
    planter = Planter()
    page = flame(planter.document([planter.view("all-ranks", [])]))
    assert page.locator(".flame-nothing").inner_text() == "There are no samples."


def test_print_has_the_picture_and_the_table(flame):
    page = flame()
    page.emulate_media(media="print")
    assert not page.get_by_role("searchbox").is_visible()
    assert page.locator("canvas").is_visible()
    assert page.get_by_role("table").is_visible()


def test_fifty_thousand_stacks_are_drawn_but_for_the_narrow(flame):
    planter = Planter()
    document = planter.document([planter.view("all-ranks", made_stacks(50_000))])
    nodes = len(document.views[0].nodes.up)
    page = flame(document)
    zoom = "{ const before = performance.now(); %s.zoomTo(%s.tree.kids(0)[0]); return performance.now() - before; }"
    shown_ms = page.evaluate("performance.getEntriesByName('flame-shown')[0].startTime")
    zoom_ms = page.evaluate(f"() => {zoom.replace('%s', VIEW)}")
    print(json.dumps({"nodes": nodes, "drawn": len(boxes(page)), "shown_ms": shown_ms, "zoom_ms": zoom_ms}))
    assert nodes > 100_000
    assert 100 < len(boxes(page)) < 20_000
    assert page.evaluate(f"{VIEW}.tree.samples[0][0]") == document.views[0].samples
