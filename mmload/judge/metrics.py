"""Everything a criterion can ask about, by name, and how each figure comes from the runs of one or of two sides."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mmload.analyse import latency
from mmload.judge import (
    metrics_cost,
    metrics_handoff,
    metrics_latency,
    metrics_outputs,
    metrics_ratio,
    metrics_saved,
    metrics_server,
)
from mmload.judge.evidence import Rounds
from mmload.judge.figures import Figure, Terms

OfOne = Callable[[Rounds, Terms], Figure]
OfTwo = Callable[[Rounds, Rounds, Terms], Figure]

_SHARE = (0.0, 1.0)
_POSITIVE = (0.0, 1e12)
_SAVED = (-1e12, 1.0)
_ANY = (-1e12, 1e12)


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric: `of_one` for a candidate alone, or `of_two` for one against its baseline. limits: the least and the
    most that a criterion's limit may be."""

    about: str
    limits: tuple[float, float]
    of_one: OfOne | None = None
    of_two: OfTwo | None = None

    @property
    def against_baseline(self) -> bool:
        return self.of_two is not None


_LATENCIES = {
    "response": (latency.response_ms, "response time, from due to done"),
    "service": (latency.service_ms, "service time, from sent to done"),
    "ttft": (latency.ttft_ms, "time from due to the first token"),
    "itl": (latency.itl_by_time_ms, "gap between tokens"),
    "tpot": (latency.tpot_ms, "mean time per token after the first"),
}
_PERCENTILES = (50, 90, 95, 99)

METRICS: dict[str, Metric] = {
    **{
        f"{name}_p{percent}_ms": Metric(
            about=f"{percent}th percentile of the {about}, in milliseconds",
            limits=_POSITIVE,
            of_one=metrics_latency.percentile_of(values, percent),
        )
        for name, (values, about) in _LATENCIES.items()
        for percent in _PERCENTILES
    },
    "error_rate": Metric(
        about="share of the requests that got no correct answer", limits=_SHARE, of_one=metrics_latency.error_rate
    ),
    "qps": Metric(about="achieved rate: correct answers per second", limits=_POSITIVE, of_one=metrics_latency.qps),
    "cpu_work_pct": Metric(
        about="CPU of the busiest rank without idle poll and device wait, in percent of a core",
        limits=_POSITIVE,
        of_one=metrics_server.cpu_work_pct,
    ),
    "cpu_total_pct": Metric(
        about="CPU of the busiest rank, in percent of a core",
        limits=_POSITIVE,
        of_one=metrics_server.cpu_total_pct,
    ),
    "cpu_ms_per_request": Metric(
        about="CPU work of the tokenizer and all ranks for each correct answer, in milliseconds",
        limits=_POSITIVE,
        of_one=metrics_cost.cpu_ms_per_request,
    ),
    "build_cpu_ms_per_request": Metric(
        about="CPU of building and hashing the inputs of a request, over all processes, in milliseconds",
        limits=_POSITIVE,
        of_one=metrics_handoff.build_cpu_ms_per_request,
    ),
    "handoff_cpu_ms_per_request": Metric(
        about="CPU of the whole handoff of a request, over all processes, in milliseconds",
        limits=_POSITIVE,
        of_one=metrics_handoff.handoff_cpu_ms_per_request,
    ),
    "rss_growth_mb_per_h": Metric(
        about="growth of resident memory of the process that grows fastest",
        limits=_ANY,
        of_one=metrics_server.rss_growth_mb_per_h,
    ),
    "broadcasts_per_batch": Metric(
        about="broadcasts of the variant's own for each receive batch",
        limits=_POSITIVE,
        of_one=metrics_server.broadcasts_per_batch,
    ),
    "qps_ratio": Metric(about="achieved rate against the baseline's", limits=_POSITIVE, of_two=metrics_ratio.qps_ratio),
    **{
        f"response_p{percent}_ratio": Metric(
            about=f"{percent}th percentile of the response time against the baseline's",
            limits=_POSITIVE,
            of_two=metrics_ratio.response_ratio(percent),
        )
        for percent in _PERCENTILES
    },
    "cpu_work_ratio": Metric(
        about="work of the busiest rank against the baseline's",
        limits=_POSITIVE,
        of_two=metrics_ratio.cpu_work_ratio,
    ),
    "cpu_total_ratio": Metric(
        about="CPU of the busiest rank against the baseline's; only between runs with the same idle policy",
        limits=_POSITIVE,
        of_two=metrics_ratio.cpu_total_ratio,
    ),
    "cpu_per_request_ratio": Metric(
        about="CPU work of the tokenizer and all ranks for each correct answer, against the baseline's",
        limits=_POSITIVE,
        of_two=metrics_cost.cpu_per_request_ratio,
    ),
    "build_cpu_saved": Metric(
        about="share of the CPU per request saved in building and hashing the inputs, over all processes",
        limits=_SAVED,
        of_two=metrics_saved.build_cpu_saved,
    ),
    "handoff_cpu_saved": Metric(
        about="share of the CPU per request saved in the whole handoff, over all processes",
        limits=_SAVED,
        of_two=metrics_saved.handoff_cpu_saved,
    ),
    "outputs_identical": Metric(
        about="1 when every identity item got the baseline's answer, else 0",
        limits=_SHARE,
        of_two=metrics_outputs.outputs_identical,
    ),
    "modalities_covered": Metric(
        about="how many of image, video and audio got a correct answer",
        limits=(0.0, 3.0),
        of_one=metrics_outputs.modalities_covered,
    ),
}
