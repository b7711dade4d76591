import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmload.errors import ConfigError
from mmload.judge.criteria import parse
from mmload.judge.definition import load_gate
from mmload.judge.metrics import METRICS
from mmload.plan import config


def read(text):
    return parse(text, "gate.toml", METRICS, ["batch-broadcast", "original", "rollback"])


@pytest.mark.parametrize(
    ("text", "metric", "op", "limit", "baseline"),
    [
        ("response_p99_ms < 500", "response_p99_ms", "<", 500, None),
        ("qps > 70", "qps", ">", 70, None),
        ("qps>=70.5", "qps", ">=", 70.5, None),
        ("error_rate <= 1e-3", "error_rate", "<=", 0.001, None),
        ("  cpu_work_pct<60 ", "cpu_work_pct", "<", 60, None),
        ("build_cpu_saved > 0.70 vs original", "build_cpu_saved", ">", 0.7, "original"),
        ("handoff_cpu_saved > -0.1 vs batch-broadcast", "handoff_cpu_saved", ">", -0.1, "batch-broadcast"),
        ("outputs_identical == 1 vs original", "outputs_identical", "==", 1, "original"),
    ],
)
def test_a_criterion_is_metric_op_limit_and_maybe_a_baseline(text, metric, op, limit, baseline):
    found = read(text)
    assert (found.metric, found.op, found.limit, found.baseline) == (metric, op, limit, baseline)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("", "expected a metric, but it ends there", "metric op limit"),
        ("respnse_p99_ms < 500", "unknown metric 'respnse_p99_ms'", "response_p99_ms"),
        ("response_p99_ms", "expected one of < <= > >= ==, but it ends there", ""),
        ("response_p99_ms = 500", "expected one of < <= > >= ==, got '='", ""),
        ("response_p99_ms < 500ms", "expected a number as limit, got '500ms'", "no unit"),
        ("response_p99_ms < inf", "expected a number as limit, got 'inf'", ""),
        ("response_p99_ms < >", "expected a number as limit, got '>'", ""),
        ("error_rate < 5", "error_rate lies between 0 and 1, so 5 is no limit for it", ""),
        ("qps > 70 vs rollback", "qps is of one run alone", "leave out"),
        ("qps_ratio > 0.95", "qps_ratio compares with another run", "vs original"),
        ("qps_ratio > 0.95 vs", "expected a variant after 'vs', but it ends there", ""),
        ("qps_ratio > 0.95 to rollback", "expected 'vs' or the end after the limit", ""),
        ("qps_ratio > 0.95 vs rolback", "unknown variant 'rolback'", "rollback"),
        ("qps_ratio > 0.95 vs rollback now", "expected the end after 'rollback'", ""),
    ],
)
def test_a_wrong_criterion_says_what_was_expected(text, said, hint):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value) == f"gate.toml: {text!r}: {said}"
    assert hint in caught.value.hint


@given(
    st.text()
    | st.lists(st.sampled_from([*METRICS, "<", ">=", "==", "0.5", "-1e9", "vs", "original", "="])).map(" ".join)
)
@example("qps > 1e99999")
@example("qps > ٣")
@example("qps \x00 > 1")
def test_no_text_ends_in_anything_but_a_criterion_or_a_config_error(text):
    try:
        found = read(text)
    except ConfigError:
        return
    assert found.metric in METRICS


@pytest.mark.parametrize("name", config.names("gates"))
def test_every_shipped_gate_is_sound(name):
    gate = load_gate(name)
    assert any(item.required for item in gate.criteria)
    assert all(0.5 < item.terms.confidence < 1 for item in gate.criteria)
    assert set(gate.judged_scenes) <= gate.scenes.keys()


def test_the_release_gate_asks_for_what_the_release_needs():
    gate = load_gate("release")
    asked = {item.criterion.metric for item in gate.criteria}
    assert asked >= {"response_p99_ms", "qps", "cpu_work_pct", "error_rate", "build_cpu_saved", "outputs_identical"}
    assert asked >= {"handoff_cpu_saved", "qps_ratio", "response_p99_ratio", "cpu_work_ratio", "rss_growth_mb_per_h"}
    assert gate.baselines == ("original", "rollback")
    assert {scene.plan.tp for scene in gate.scenes.values()} == {1, 4}
    assert any(item.criterion.metric == "modalities_covered" for item in gate.criteria)
    across = [item for item in gate.criteria if item.baseline_on]
    assert [(item.on, item.baseline_on, item.criterion.metric) for item in across] == [
        ("single-rank", "main", "outputs_identical")
    ]


def test_a_gate_compares_with_known_variants_only(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("about = 'x'\n[[criteria]]\ncheck = 'qps_ratio > 1 vs orignal'\n")
    with pytest.raises(ConfigError, match="unknown variant 'orignal'") as caught:
        load_gate(str(path))
    assert "original" in caught.value.hint
    path.write_text("about = 'x'\n[[criteria]]\ncheck = 'qps_ratio > 1 vs stock'\n")
    assert load_gate(str(path)).baselines == ("stock",)


def test_a_wrong_check_is_found_by_file_key_and_line(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('about = "x"\n\n[[criteria]]\ncheck = "qps > 1"\n\n[[criteria]]\ncheck = "qsp > 1"\n')
    with pytest.raises(
        ConfigError, match=r"mine\.toml line 7 \(`criteria\[1\]\.check`\): 'qsp > 1': unknown metric"
    ) as caught:
        load_gate(str(path))
    assert "qps" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("about = 'x'\ncriteria = []", "criteria"),
        ("about = 'x'", "missing key `criteria`"),
        ("about = 'x'\nconfidence = 1.5\n[[criteria]]\ncheck = 'qps > 1'", "confidence"),
        ("about = 'x'\ndesign_effect = 0\n[[criteria]]\ncheck = 'qps > 1'", "design_effect"),
        ("about = 'x'\n[[criteria]]\ncheck = 'qps > 1'\nrequierd = false", "unknown key `requierd`"),
        ("about = 'x'\n[[criteria]]\ncheck = 5", "check"),
    ],
)
def test_a_wrong_gate_file_says_which_key(tmp_path, text, said):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_gate(str(path))
    assert said in str(caught.value)
    assert "mine.toml" in str(caught.value)
