"""Gate files: what their [run] tables ask for, and that whatever is wrong in one is said with file, line and key."""

import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmload.errors import ConfigError, UsageError
from mmload.judge.definition import gate_of
from mmload.model.campaign import MAIN_SCENE
from mmload.model.plan import ClosedLoop, OpenLoop
from mmload.plan import config
from mmload.plan.config_lines import line_of
from mmload.plan.scenes import Overrides

CRITERION = '[[criteria]]\ncheck = "qps > 1"\n'
WHOLE = """about = "x" # line 1
confidence = 0.9
looks = 2

[[criteria]]
check = "qps > 1"

[[criteria]]
check = "qps_ratio > 1 vs original"
margin = 0.05
on = "two"

[run]
tp = 4
rate = 100
duration = "32s"
engine_args = [
  "--poll-on-idle",
]
rounds = 4

[run.scenes.two]
concurrency = 8
rounds = 2

[run.scenes."with blanks"]
tp = 1
workload = "audio"
rate = "5..10"
profile = false
"""


def scenes(text, **overrides):
    return gate_of(CRITERION + text, "mine", "mine.toml", Overrides(**overrides)).scenes


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        gate_of(text, "mine", "mine.toml")
    return caught.value


def test_a_run_table_is_the_main_scene_in_the_words_of_mmload_run():
    (scene,) = scenes("[run]\ntp = 4\nrate = 100\nduration = '32s'\nwarmup = 0\nseed = 3\nrounds = 4\n").values()
    plan = scene.plan
    assert (plan.tp, plan.load, plan.duration_s, plan.warmup_s, plan.seed) == (4, OpenLoop(rate_rps=100), 32, 0, 3)
    assert (plan.variant, plan.engine, plan.workload_name, scene.rounds) == (None, "standin", "images-small", 4)


def test_without_a_load_the_scene_has_the_rate_that_its_workload_is_meant_for():
    assert scenes("[run]\nworkload = 'audio'\n")[MAIN_SCENE].plan.load == OpenLoop(rate_rps=20)


def test_a_scene_inherits_what_it_does_not_say():
    found = gate_of(WHOLE, "mine", "mine.toml").scenes
    assert list(found) == [MAIN_SCENE, "two", "with blanks"]
    two, blanks = found["two"], found["with blanks"]
    assert (two.plan.load, two.plan.tp, two.plan.duration_s, two.rounds) == (ClosedLoop(concurrency=8), 4, 32, 2)
    assert blanks.plan.load == OpenLoop(rate_rps=7.5, ramp_rps=(5, 10))
    assert (blanks.plan.tp, blanks.plan.workload_name, blanks.rounds) == (1, "audio", 4)
    assert (blanks.plan.profile.enabled, two.plan.profile.enabled) == (False, True)
    assert blanks.plan.engine_args == ("--poll-on-idle",)


def test_a_scene_may_have_an_open_loop_where_the_main_one_is_closed():
    found = scenes("[run]\nconcurrency = 8\n[run.scenes.open]\nrate = 5\n")
    assert (found[MAIN_SCENE].plan.load, found["open"].plan.load) == (ClosedLoop(concurrency=8), OpenLoop(rate_rps=5))


def test_the_command_line_changes_what_a_scene_has_no_word_of_its_own_for():
    found = scenes("[run]\ntp = 4\n[run.scenes.one]\ntp = 1\n", tp=8, engine="sglang", model="m", engine_args=("-x",))
    assert [scene.plan.tp for scene in found.values()] == [8, 1]
    assert {(s.plan.engine, s.plan.model, s.plan.engine_args) for s in found.values()} == {("sglang", "m", ("-x",))}


def test_a_gate_without_a_run_table_makes_no_runs():
    assert scenes("") == {}


def test_looks_and_margins_are_read():
    gate = gate_of(WHOLE, "mine", "mine.toml")
    assert [item.terms.confidence for item in gate.criteria] == [pytest.approx(0.95)] * 2
    assert (gate.criteria[1].criterion.margin, gate.criteria[1].criterion.moved_limit) == (0.05, 0.95)
    assert gate.baselines_on("two") == ("original",)
    assert gate.baselines_on(MAIN_SCENE) == ()


@pytest.mark.parametrize(
    ("changed", "to", "line", "said"),
    [
        ("rounds = 4", "rounds = 0", 20, "Expected `int` >= 1 (in `run.rounds`, line 20)"),
        ("tp = 4", "tq = 4", 14, "unknown key `tq` (in `run`, line 14)"),
        ("tp = 4", "tp = '4'", 14, "Expected `int`, got `string` (in `run.tp`, line 14)"),
        ("tp = 1", "tp = 100", 27, "Expected `int` <= 64 (in `run.scenes.with blanks.tp`, line 27)"),
        ("rounds = 2", "ruonds = 2", 24, "unknown key `ruonds` (in `run.scenes.two`, line 24)"),
        ('"--poll-on-idle",', "5,", 17, "Expected `string`, got `int` (in `run.engine_args[0]`, line 17)"),
        ('"32s"', '"32y"', 16, "duration '32y' is not a duration (in `run.duration`, line 16)"),
        ('"5..10"', '"5..x"', 29, "rate 'x' is not a number (in `run.scenes.with blanks.rate`, line 29)"),
        ('"audio"', '"adio"', 28, "unknown workload 'adio' (in `run.scenes.with blanks.workload`, line 28)"),
        ("rate = 100", "rate = 100\nconcurrency = 4", 13, "exclude each other (in `run`, line 13)"),
        ("scenes.two", "scenes.main", 22, "`[run]` itself is the main scene (in `run.scenes.main`, line 22)"),
        ("looks = 2", "looks = 2.5", 3, "Expected `int`, got `float` (in `looks`, line 3)"),
        ("qps > 1", "qsp > 1", 6, "mine.toml line 6 (`criteria[0].check`): 'qsp > 1': unknown metric 'qsp'"),
        ('on = "two"', 'on = "too"', 11, "mine.toml line 11 (`criteria[1].on`): unknown scene 'too'"),
        (
            'on = "two"',
            'baseline_on = "two"',
            11,
            "(`criteria[1].baseline_on`): the baseline is to be of the same scene",
        ),
        ("margin = 0.05", "margin = -1", 10, "(in `criteria[1].margin`, line 10)"),
        ("qps_ratio > 1 vs original", "qps > 1", 10, "(`criteria[1].margin`): qps compares with no baseline"),
        ("qps_ratio > 1 vs", "outputs_identical == 1 vs", 10, "`==` has no margin"),
        ("qps_ratio > 1 vs", "qps_ratio > 0.01 vs", 10, "with a margin of 0.05 every value is inside the limit"),
        (
            "[run]",
            "[run",
            13,
            "mine.toml is not valid TOML: Expected ']' at the end of a table declaration (at line 13",
        ),
        ("looks = 2", "looks = 2\nlooks = 3", 4, "(at line 4, column"),
    ],
)
def test_whatever_is_wrong_is_said_with_file_line_and_what_was_expected(changed, to, line, said):
    assert changed in WHOLE
    error = refusal(WHOLE.replace(changed, to, 1))
    assert str(error).startswith("mine.toml")
    assert said in str(error)
    assert f"line {line}" in str(error)


def test_unknown_names_come_with_those_that_are_near():
    assert "rounds" in refusal(WHOLE.replace("rounds = 2", "ruonds = 2")).hint
    assert "two" in refusal(WHOLE.replace('on = "two"', 'on = "too"')).hint
    assert "looks" in refusal(WHOLE.replace("looks = 2", "lokos = 2")).hint


def test_scenes_that_are_compared_with_each_other_must_have_the_same_workload():
    text = '[[criteria]]\ncheck = "outputs_identical == 1 vs original"\non = "b"\nbaseline_on = "main"\n'
    runs = "[run]\n[run.scenes.b]\nworkload = 'audio'\n"
    assert "audio and images-small don't have the same items" in str(refusal(text + runs))


def places(table, prefix=()):
    for key, value in table.items() if isinstance(table, dict) else enumerate(table):
        yield (*prefix, key)
        if isinstance(value, dict | list):
            yield from places(value, (*prefix, key))


@pytest.mark.parametrize("name", config.names("gates"))
def test_the_line_of_every_key_of_a_shipped_gate_is_the_one_that_brings_it(name):
    text = config.read_text(config.find("gates", name))
    for place in places(tomllib.loads(text)):
        line = line_of(text, place)
        before, upto = ("\n".join(text.split("\n")[:count]) for count in (line - 1, line))
        assert place not in places(tomllib.loads(before)), place
        assert place in places(tomllib.loads(upto)), place


def fault_of(text):
    """What is said of a file that is no gate; any other error goes through."""
    try:
        gate_of(text, "mine", "mine.toml")
    except UsageError as error:
        return str(error)
    return "mine.toml is sound"


WORDS = st.sampled_from(
    [
        "criteria",
        "run",
        "scenes",
        "check",
        "qps > 1",
        "tp",
        "=",
        "[",
        "]",
        "[[",
        "]]",
        '"',
        "'",
        "\n",
        "1",
        "-",
        "{",
        "}",
    ]
)


@given(st.text() | st.lists(WORDS).map("".join) | st.lists(WORDS).map(" ".join))
@example("[" * 2000)
@example("looks = " + "9" * 5000)
@example("looks = 1e999\n" + CRITERION)
@example("confidence = nan\n" + CRITERION)
@example("[run]\nrate = nan\n" + CRITERION)
@example("[run]\nrate = inf\n" + CRITERION)
@example("[run]\nduration = 1e308\n" + CRITERION)
@example('[run]\nworkload = "\\u0000"\n' + CRITERION)
@example("[run.scenes.a]\n" + CRITERION + "a = 2026-11-20T00:00:00Z")
def test_no_text_ends_in_anything_but_a_gate_or_a_config_error(text):
    assert "mine.toml" in fault_of(text)


@given(st.data())
def test_a_gate_file_with_something_changed_is_a_gate_or_a_config_error(data):
    text = data.draw(st.sampled_from([WHOLE, config.read_text(config.find("gates", "release"))]))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        text = text[:start] + data.draw(WORDS | st.text(max_size=3) | st.integers().map(str)) + text[end:]
    assert "mine.toml" in fault_of(text)


@given(st.binary())
def test_no_bytes_end_in_anything_but_a_gate_or_a_config_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "mine.toml"
    path.write_bytes(content)
    try:
        text = config.read_text(path)
    except ConfigError:
        return
    assert "mine.toml" in fault_of(text)
