"""A comparison as it may come: a better variant, a mixed one whose server died once, one that answers otherwise."""

import msgspec

from mmload.model.comparison import ComparedSide, Comparison, Difference, Level
from mmload.model.result import AnswerDifference

_FIGURES = (
    "cpu_ms_per_request",
    "response_p50_ms",
    "response_p99_ms",
    "qps",
    "cpu_work_pct",
    "cpu_total_pct",
    "build_cpu",
    "handoff_cpu",
    "error_rate",
)


def run_ids(variant, rounds=4):
    return [f"20261120T03{15 + number}00Z-{variant}-{number:04x}" for number in range(rounds)]


def levels(*values):
    counted = dict.fromkeys(("build_cpu", "handoff_cpu"), "counters")
    return {
        name: Level(value=value, n=12_000, source=counted.get(name))
        for name, value in zip(_FIGURES, values, strict=True)
    }


def seen(figure, value, half=0.03, **facts):
    low, high = value - half, value + half
    word = "better" if low > 0 else "worse" if high < 0 else "no difference seen"
    made = {"improvement": value, "low": low, "high": high, "word": word, "n": 12_000, "evidence": "requests.jsonl"}
    return Difference(figure=figure, **(made | facts))


def differences(*values):
    return [seen(name, value) for name, value in zip(_FIGURES, values, strict=True)]


def unknown(figure, why):
    return Difference(figure=figure, improvement=None, low=None, high=None, word="not known", why=why)


BASELINE = ComparedSide(
    name="original",
    variant="original",
    runs=run_ids("original"),
    levels=levels(12.31, 110.4, 300.8, 99.9, 14.2, 18.1, 6.4, 8.15, 0.0),
    word="baseline",
)
BETTER = ComparedSide(
    name="optimized",
    variant="optimized",
    runs=run_ids("optimized"),
    levels=levels(6.1, 95.2, 204.0, 100.0, 7.3, 11.0, 1.6, 4.81, 0.0),
    differences=[
        *differences(0.504, 0.138, 0.32, 0.001, 0.486, 0.39, 0.75, 0.41, 0.0)[:2],
        seen("response_p99_ms", 0.02, 0.115, needed="7 more rounds would show a difference of 5 %"),
        *differences(0.504, 0.138, 0.32, 0.001, 0.486, 0.39, 0.75, 0.41, 0.0)[3:],
    ],
    answers="identical",
    answers_why="requests.jsonl and answers.jsonl, phase identity: 8 items, each as the baseline's",
    word="better",
)
MIXED = ComparedSide(
    name="async-broadcast",
    variant="async-broadcast",
    runs=run_ids("async-broadcast", 3),
    left_out={run_ids("async-broadcast")[3]: "the server failed: scheduler_TP1 (pid 4212) ended with signal 9"},
    failed=run_ids("async-broadcast")[3:],
    levels={
        **levels(9.0, 1423.2, 30_412.0, 61.3, 44.0, 99.7, 6.5, 7.74, 0.013),
        "response_p99_ms": Level(value=None, n=9000),
        "build_cpu": Level(value=None, why="nothing was counted"),
    },
    differences=[
        seen("cpu_ms_per_request", 0.27),
        seen("response_p50_ms", -11.9, 1.2),
        unknown("response_p99_ms", "too few requests beyond the p99 of one of the runs"),
        seen("qps", -0.386),
        seen("cpu_work_pct", -2.1),
        unknown("cpu_total_pct", "idle policies differ (poll, the baseline's sleep)"),
        unknown("build_cpu", "nothing was counted"),
        seen("handoff_cpu", 0.05, high=None),
        seen("error_rate", -0.013, 0.002),
    ],
    answers="different",
    answers_why="requests.jsonl and answers.jsonl, phase identity: 1 of 8 items",
    answer_differences=[
        AnswerDifference(
            item="images-small-000003",
            modality="image",
            expected="A red square | on `grey`.",
            given="A red square | on\nblue.",
            expected_run=run_ids("original")[0],
            given_run=run_ids("async-broadcast")[0],
        )
    ],
    more_answer_differences=2,
    word="mixed",
)
COMPARISON = Comparison(
    campaign="20261120T031400Z-compare-9f3c",
    baseline="original",
    confidence=0.95,
    figure_confidence=0.99444,
    rounds=4,
    conditions={
        "engine": "standin",
        "engine_version": "0.1.0",
        "model": "standin-vl",
        "tp": 4,
        "workload": "images-small",
        "load": "100 req/s",
        "measured_s": 40.0,
        "host": "host-a",
    },
    sides=[BASELINE, BETTER, MIXED],
    forced=["async-broadcast: idle policy: poll, not sleep"],
    warnings=["the host was 61 % busy before 20261120T031500Z-original-0000"],
)


def without_valid_runs():
    """A variant of whose runs none can be trusted."""
    invalid = ComparedSide(
        name="shm",
        variant="shm",
        runs=[],
        left_out={run_ids("shm")[0]: "INVALID: the generator lagged"},
        word="not known",
    )
    return msgspec.structs.replace(COMPARISON, sides=[BASELINE, invalid], forced=[], warnings=[], campaign=None)
