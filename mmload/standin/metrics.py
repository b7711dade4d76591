"""/metrics in Prometheus' text form: SGLang's own names with this server's values, and the handoff's counters."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Mapping

from mmload.handoff.counters import prometheus_lines
from mmload.standin.in_flight import Answer

# Buckets of SGLang 0.5.6 (metrics/collector.py).
_TTFT = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400)
_E2E = (*_TTFT, 600, 1200, 1800, 2400)
_ITL = (
    *(0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.06, 0.08),
    *(0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8),
)
_QUEUE = (0, 0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200, 300, 400, 500, 1000, 3000)
_STAGE = tuple(0.001 * 1.62**power for power in range(30))
_THROUGHPUT_WINDOW_S = 1.0


class Histogram:
    def __init__(self, buckets: Iterable[float]) -> None:
        self._bounds = tuple(buckets)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: str) -> Iterable[str]:
        totals = list(itertools.accumulate(self._counts))
        for bound, total in zip((*self._bounds, "+Inf"), totals, strict=True):
            yield f'{name}_bucket{{le="{bound}",{labels}}} {total}'
        yield f"{name}_sum{{{labels}}} {self._sum}"
        yield f"{name}_count{{{labels}}} {totals[-1]}"


class Metrics:
    """What the front end knows of its requests, and the state of the scheduler after its last step."""

    def __init__(self, model: str, max_total_tokens: int) -> None:
        self._model = model
        self._max_total_tokens = max_total_tokens
        self.running = self.queued = self.used_tokens = 0
        self.requests = self.aborted = 0
        self.prompt_tokens = self.cached_tokens = self.generated_tokens = 0
        self.time_to_first_token = Histogram(_TTFT)
        self.inter_token_latency = Histogram(_ITL)
        self.e2e_latency = Histogram(_E2E)
        self.queue_time = Histogram(_QUEUE)
        self.prefill_waiting = Histogram(_STAGE)
        self._window_start_s = 0.0
        self._window_tokens = 0
        self._throughput = 0.0

    def count_token(self, answer: Answer, now_s: float) -> None:
        """The newest token of an answer; its `last_token_s` is still that of the one before."""
        self.generated_tokens += 1
        self._window_tokens += 1
        if len(answer.token_ids) > 1:
            self.inter_token_latency.observe(now_s - answer.last_token_s)
        else:
            self.requests += 1
            self.prompt_tokens += answer.prompt_tokens
            self.cached_tokens += answer.cached_tokens
            self.time_to_first_token.observe(now_s - answer.received_s)
            self.queue_time.observe(answer.queue_s)
            self.prefill_waiting.observe(answer.queue_s)
        if answer.finished:
            self.e2e_latency.observe(now_s - answer.received_s)

    def end_step(self, now_s: float) -> None:
        """The throughput is that of the last second or so."""
        elapsed_s = now_s - self._window_start_s
        if elapsed_s >= _THROUGHPUT_WINDOW_S:
            self._throughput = self._window_tokens / elapsed_s
            self._window_start_s, self._window_tokens = now_s, 0

    def text(self, handoff: Mapping[str, Mapping[str, float]]) -> str:
        """The whole page. handoff: process -> counter -> value."""
        lines = [*self._gauges(), *self._counters(), *self._histograms(), *prometheus_lines(handoff)]
        return "\n".join(lines) + "\n"

    def _gauges(self) -> Iterable[str]:
        values = {
            "num_running_reqs": self.running,
            "num_queue_reqs": self.queued,
            "num_used_tokens": self.used_tokens,
            "max_total_num_tokens": self._max_total_tokens,
            "token_usage": self.used_tokens / self._max_total_tokens,
            "gen_throughput": self._throughput if self.running else 0.0,
            "cache_hit_rate": self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0,
        }
        for name, value in values.items():
            yield f"# TYPE sglang:{name} gauge"
            yield f"sglang:{name}{{{self._scheduler_labels()}}} {value}"

    def _counters(self) -> Iterable[str]:
        values = {
            "num_requests_total": self.requests,
            "num_aborted_requests_total": self.aborted,
            "prompt_tokens_total": self.prompt_tokens,
            "cached_tokens_total": self.cached_tokens,
            "generation_tokens_total": self.generated_tokens,
        }
        for name, value in values.items():
            yield f"# TYPE sglang:{name} counter"
            yield f"sglang:{name}{{{self._labels()}}} {value}"

    def _histograms(self) -> Iterable[str]:
        stage = f'stage="prefill_waiting",{self._scheduler_labels()}'
        for name, labels, histogram in (
            ("time_to_first_token_seconds", self._labels(), self.time_to_first_token),
            ("inter_token_latency_seconds", self._labels(), self.inter_token_latency),
            ("e2e_request_latency_seconds", self._labels(), self.e2e_latency),
            ("queue_time_seconds", self._scheduler_labels(), self.queue_time),
            ("per_stage_req_latency_seconds", stage, self.prefill_waiting),
        ):
            yield f"# TYPE sglang:{name} histogram"
            yield from histogram.lines(f"sglang:{name}", labels)

    def _labels(self) -> str:
        escaped = self._model.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        return f'model_name="{escaped}"'

    def _scheduler_labels(self) -> str:
        return f'engine_type="unified",{self._labels()},pp_rank="0",tp_rank="0"'
