"""What looking costs on this side, put into the manifest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mmload.model.manifest import LookingCost
from mmload.observe.metrics import MetricsScraper
from mmload.observe.observer import Sampler
from mmload.session.ledger import Ledger


@contextmanager
def cost_noted(ledger: Ledger, sampler: Sampler | None, scraper: MetricsScraper | None) -> Iterator[None]:
    """Note what was spent while the block ran, if it ran to its end."""

    def spent() -> LookingCost:
        return LookingCost(
            span_s=time.monotonic(),
            driver_cpu_s=time.process_time(),
            sampling_cpu_s=sampler.cpu_s if sampler else 0.0,
            scraping_cpu_s=scraper.cpu_s if scraper else 0.0,
        )

    before = spent()
    yield
    after = spent()
    ledger.note(
        looking=LookingCost(
            span_s=after.span_s - before.span_s,
            driver_cpu_s=after.driver_cpu_s - before.driver_cpu_s,
            sampling_cpu_s=after.sampling_cpu_s - before.sampling_cpu_s,
            scraping_cpu_s=after.scraping_cpu_s - before.scraping_cpu_s,
        )
    )
