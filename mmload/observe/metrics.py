"""Scrapes a server's /metrics into server.jsonl."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead
from pathlib import Path

from mmload.errors import MmloadError
from mmload.model.plan import Access
from mmload.model.records import ServerScrape
from mmload.observe.prometheus import parse_prometheus
from mmload.plan.access import Site
from mmload.store.scrapes import ScrapeWriter

_TIMEOUT_S = 5.0
_MOST_BYTES = 16 << 20
_MOST_OF_A_CORE = 0.02  # for reading pages; once a second SGLang's at TP 2 (0.1 MB) takes a fifth of that
_LATE_S = 1.0


class MetricsScraper:
    """A thread that writes a ServerScrape every `interval_s`, and one more whenever `scrape_now` asks for it.

    A scrape that fails is a record with its error; the first is a warning too. A server without /metrics is one
    record and one warning, and is not asked again. No answer is waited for longer than five seconds or read beyond 16
    MiB, and a page so large that reading it would take more than 2 % of a core is asked for less often. When the file
    can't be written the thread ends and `failed` says why; `stop` raises it.

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
        self._warned: set[str] = set()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Raises FolderError when the file can't be opened."""
        writer = ScrapeWriter(self._file)
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

    def _run(self, writer: ScrapeWriter) -> None:
        due_ns = time.monotonic_ns()
        try:
            with writer:
                while True:
                    self._wake.wait(max(0, due_ns - time.monotonic_ns()) / 1e9)
                    self._wake.clear()
                    last = self._stopping
                    scrape = self._page.scrape()
                    writer.write(scrape)
                    spent_s, self.cpu_s = time.thread_time() - self.cpu_s, time.thread_time()
                    if scrape.error:
                        self._warn_once("failed", scrape.error)
                    if last or self._page.absent:
                        return
                    due_ns = self._next_ns(due_ns, spent_s)
        except MmloadError as error:
            self.failed = error

    def _next_ns(self, due_ns: int, spent_s: float) -> int:
        """The next tick that lies ahead, or later where the last scrape was too dear for that."""
        now_ns, apart_s = time.monotonic_ns(), spent_s / _MOST_OF_A_CORE
        if now_ns >= due_ns:
            due_ns += (1 + (now_ns - due_ns) // self._interval_ns) * self._interval_ns
        if apart_s > max(_LATE_S, self._interval_ns / 1e9):
            self._warn_once("dear", f"reading a page takes {1e3 * spent_s:.0f} ms, so it is read every {apart_s:.1f} s")
        return max(due_ns, now_ns + round(apart_s * 1e9))

    def _warn_once(self, kind: str, warning: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self.warnings.append(f"server metrics: {warning}")


class _MetricsPage:
    """/metrics of one server. A connection each time: one kept between rare scrapes is often closed by the server."""

    def __init__(self, site: Site) -> None:
        self.absent = False
        self._site = site

    def scrape(self) -> ServerScrape:
        """What the page says now; a value that is not finite stays so."""
        start_ns = time.monotonic_ns()
        try:
            page = self._get()
            end_ns = time.monotonic_ns()
            return ServerScrape(t_ns=end_ns, took_ns=end_ns - start_ns, metrics=parse_prometheus(page))
        except (OSError, HTTPException, ValueError) as error:
            end_ns = time.monotonic_ns()
            said = str(error) or type(error).__name__
            return ServerScrape(t_ns=end_ns, took_ns=end_ns - start_ns, error=said)

    def _get(self) -> str:
        with closing(self._site.connection(_TIMEOUT_S)) as connection:
            connection.connect()
            with _within(_TIMEOUT_S, connection.sock):
                answer = self._site.ask(connection, "GET", "/metrics")
                body = answer.read(_MOST_BYTES + 1)
        if answer.status != HTTPStatus.OK:
            self.absent = answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
            raise HTTPException(f"/metrics answers {answer.status} {answer.reason}")
        if len(body) > _MOST_BYTES:
            raise HTTPException(f"/metrics is longer than {_MOST_BYTES >> 20} MiB")
        if answer.length:
            raise IncompleteRead(body, answer.length)
        return body.decode()


@contextmanager
def _within(seconds: float, connected: socket.socket) -> Iterator[None]:
    """Ends the connection when the block takes longer, and raises TimeoutError then: a socket's own timeout is of each
    wait, so that an answer that comes byte by byte would never end."""
    over = threading.Event()

    def end() -> None:
        over.set()
        with suppress(OSError):
            socket.socket.shutdown(connected, socket.SHUT_RDWR)  # under TLS, too, without a word to the other side

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield
    except (OSError, HTTPException) as error:
        raise _too_long(seconds) if over.is_set() else error from error
    finally:
        timer.cancel()
    if over.is_set():
        raise _too_long(seconds)


def _too_long(seconds: float) -> TimeoutError:
    return TimeoutError(f"/metrics was not complete within {seconds:g} s")
