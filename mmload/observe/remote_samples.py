"""Samples that an agent takes, written into the run folder as they come."""

from __future__ import annotations

import threading
import time

import msgspec

from mmload.discover import ServerProcess
from mmload.errors import MmloadError, RunInvalid, ServerError
from mmload.observe.agent_link import AgentClock, AgentLink, AgentStream
from mmload.observe.agent_protocol import Done, Failed, HostLine, ProcessLine, SampleRequest, Status
from mmload.store.append import LineWriter
from mmload.store.layout import RunLayout

_CLOCK_INTERVAL_S = 5.0  # quartz drifts by up to 50 us in a second, so by 1 ms over the readings that are kept


class RemoteSampler:
    """A thread that writes what an agent samples. `status`: its last word, while it samples. An agent that fails makes
    the run invalid: `failed` says why."""

    def __init__(self, link: AgentLink, clock: AgentClock, request: SampleRequest, layout: RunLayout) -> None:
        self.failed: MmloadError | OSError | None = None
        self.status: Status | None = None
        self.cpu_s = 0.0
        self._link = link
        self._clock = clock
        self._request = request
        self._layout = layout
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._stream: AgentStream | None = None

    def start(self) -> None:
        writers = LineWriter(self._layout.processes), LineWriter(self._layout.host)
        self._stream = self._link.stream("/sample", self._request)
        self._thread = threading.Thread(
            target=self._run, args=(self._stream, *writers), name="remote-sampler", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Have it take a last sample, and read the clock a last time. Raises what made the sampling fail."""
        self._stopping.set()
        if self._thread and self._stream:
            try:
                if self._thread.is_alive():
                    self._stream.end()
                    self._clock.refresh()
            except ServerError as error:
                self.failed = self.failed or RunInvalid(str(error), error.hint)
                self._stream.close()
            self._thread.join()
            self._thread = self.status = None
        if self.failed:
            raise self.failed

    def lost(self) -> list[ServerProcess]:
        return self.status.lost if self.status else []

    def latest_cpu_pct(self) -> dict[str, float]:
        return self.status.cpu_pct if self.status else {}

    def _run(self, stream: AgentStream, processes: LineWriter, host: LineWriter) -> None:
        read_s = time.monotonic()
        try:
            with processes, host:
                for line in stream:
                    match line:
                        case ProcessLine(sample):
                            processes.write(msgspec.structs.replace(sample, t_ns=self._clock.here_ns(sample.t_ns)))
                        case HostLine(sample):
                            t_ns = self._clock.here_ns(sample.t_ns)
                            host.write(msgspec.structs.replace(sample, t_ns=t_ns, host=self._link.host))
                        case Status():
                            self.status, self.cpu_s = line, line.cpu_s
                            processes.flush()
                            host.flush()
                        case Done(failure=None) if self._stopping.is_set():
                            return
                        case Done(failure=why) | Failed(why):
                            raise self._link.trouble(why or "it ended the samples by itself")
                    if time.monotonic() - read_s > _CLOCK_INTERVAL_S:
                        self._clock.refresh()
                        read_s = time.monotonic()
            raise self._link.trouble("its samples broke off")
        except ServerError as error:  # the instrument failed, and not the server
            self.failed = RunInvalid(str(error), error.hint)
        except (MmloadError, OSError) as error:
            self.failed = error
        finally:
            stream.close()
