"""Scrapes a server's /metrics into server.jsonl."""

from __future__ import annotations

import math
import threading
import time
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from mmload.errors import MmloadError
from mmload.model.plan import Access
from mmload.model.records import ServerScrape
from mmload.observe.prometheus import parse_prometheus
from mmload.plan.access import Site
from mmload.store.append import LineWriter

_TIMEOUT_S = 5.0


class MetricsScraper:
    """A thread that writes a ServerScrape every `interval_s`, and one more whenever `scrape_now` asks for it.

    A scrape that fails is a record with its error; the first is a warning too. A server without /metrics is one
    record and one warning, and is not asked again. When the file can't be written the thread ends and `failed` says
    why; `stop` raises it.

    `cpu_s`: what the scraping has cost on this side so far.
    """

    def __init__(self, url: str, file: Path, interval_s: float = 1.0, access: Access | None = None) -> None:
        self.failed: MmloadError | None = None
        self.warnings: list[str] = []
        self.cpu_s = 0.0
        self._file = file
        self._interval_ns = round(interval_s * 1e9)
        self._page = _MetricsPage(Site(url, access))
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Raises FolderError when the file can't be opened."""
        writer = LineWriter(self._file)
        self._thread = threading.Thread(target=self._run, args=(writer,), name="metrics-scraper", daemon=True)
        self._thread.start()

    def scrape_now(self) -> None:
        """Scrape at once, so that counters are known at the edge of a window; returns without waiting for it."""
        self._wake.set()

    def stop(self) -> None:
        """Take a last scrape and close the file. Raises what made the writing fail."""
        self._stopping = True
        self._wake.set()
        if self._thread:
            self._thread.join()
        if self.failed:
            raise self.failed

    def _run(self, writer: LineWriter) -> None:
        due_ns = time.monotonic_ns()
        try:
            with writer:
                while True:
                    self._wake.wait(max(0, due_ns - time.monotonic_ns()) / 1e9)
                    self._wake.clear()
                    last = self._stopping
                    scrape = self._page.scrape()
                    writer.write(scrape)
                    writer.flush()
                    self.cpu_s = time.thread_time()
                    if scrape.error and not self.warnings:
                        self.warnings.append(f"server metrics: {scrape.error}")
                    if last or self._page.absent:
                        return
                    behind_ns = time.monotonic_ns() - due_ns
                    if behind_ns >= 0:
                        due_ns += (1 + behind_ns // self._interval_ns) * self._interval_ns
        except MmloadError as error:
            self.failed = error


class _MetricsPage:
    """/metrics of one server. A connection each time: one kept between rare scrapes is often closed by the server."""

    def __init__(self, site: Site) -> None:
        self.absent = False
        self._site = site

    def scrape(self) -> ServerScrape:
        """What the page says now. A value that is not finite is left out: JSON has no word for it."""
        try:
            metrics = parse_prometheus(self._get())
        except (OSError, HTTPException, ValueError) as error:
            return ServerScrape(t_ns=time.monotonic_ns(), error=str(error) or type(error).__name__)
        finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
        return ServerScrape(t_ns=time.monotonic_ns(), metrics=finite)

    def _get(self) -> str:
        answer = self._site.get("/metrics", _TIMEOUT_S)
        if answer.status != HTTPStatus.OK:
            self.absent = answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
            raise HTTPException(f"/metrics answers {answer.status} {answer.reason}")
        return answer.body.decode()
