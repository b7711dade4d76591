"""The life of a stand-in server, from its options to its exit code.

    front end (this process)      aiohttp, the processor's threads, the requests in flight
      |  ZMQ, pickled requests down, tokens of a step up
    rank 0 -- rank 1 ..           one process each, joined by a tree of unix sockets

A stop (SIGTERM, SIGINT) takes no more requests, waits for those in flight, then ends the ranks; a second one does not
wait. A rank that ends by itself ends the server: what is in flight fails, /health says 503, and a second later all is
over. When the front end is killed the kernel kills the ranks.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import tempfile
from pathlib import Path

import msgspec
from aiohttp import web

from mmload import __version__
from mmload.errors import EXIT_OK, ServerDied, ServerError
from mmload.handoff.counters import CounterTable
from mmload.handoff.registry import strategy_class
from mmload.standin.config import StandinConfig
from mmload.standin.frontend import Frontend
from mmload.standin.host import TokenizerHost
from mmload.standin.launch import Ranks
from mmload.standin.manager import Manager
from mmload.standin.metrics import Metrics
from mmload.standin.processor import Processor
from mmload.standin.rank_process import process_name

_FAILED_LINGER_S = 1.0  # how long a failed server still says what happened
_RANK_GRACE_S = 3.0
_LONGEST_FOLDER = 90  # bytes; macOS takes socket paths of 103, Linux of 107


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """A stand-in's command line. rank_variants: ranks that are told to run another variant than the rest."""

    host: str
    port: int
    tp: int
    variant: str
    rank_variants: dict[int, str]
    poll_on_idle: bool
    text_only: bool


def run(options: Options, config: StandinConfig) -> int:
    """Serve until stopped; returns the exit code. Raises UsageError (variant), ServerError (port, lost rank)."""
    for variant in {options.variant, *options.rank_variants.values()}:
        strategy_class(variant)
    listener = _listen(options.host, options.port)
    return asyncio.run(_Server(options, config).serve(listener))


class _Server:
    def __init__(self, options: Options, config: StandinConfig) -> None:
        self._options = options
        self._config = config
        self._stop = asyncio.Event()

    async def serve(self, listener: socket.socket) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):  # before there is anything that a stop could leave behind
            loop.add_signal_handler(number, self._stop.set)
        folder = tempfile.TemporaryDirectory(prefix="mmload-standin-")
        with folder:
            if len(os.fsencode(folder.name)) > _LONGEST_FOLDER:
                raise ServerError(f"the path {folder.name} is too long for a socket", "set TMPDIR to a shorter one")
            return await self._serve(listener, folder)

    async def _serve(self, listener: socket.socket, folder: tempfile.TemporaryDirectory[str]) -> int:
        options, config = self._options, self._config
        variants = [options.rank_variants.get(rank, options.variant) for rank in range(options.tp)]
        ranks = Ranks(variants, Path(folder.name), config.device, options.poll_on_idle)
        table = CounterTable.create(ranks.counters_path, ["tokenizer", *map(process_name, range(options.tp))])
        ranks.start()
        metrics = Metrics(config.model, config.device.max_total_tokens)
        manager = Manager(ranks.requests_address, ranks.replies_address, options.tp, metrics)
        strategy = strategy_class(options.variant)(TokenizerHost(table.counters("tokenizer")))
        processor = Processor(config, strategy, options.text_only)
        port = listener.getsockname()[1]
        frontend = Frontend(manager, processor, table, config, _description(options, strategy.name, config, port))
        runner = web.AppRunner(frontend.application(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        site = web.SockSite(runner, listener, backlog=1024)
        await site.start()
        print(f"stand-in server on http://{options.host}:{port}", flush=True)
        announcing = asyncio.create_task(self._announce(manager, folder))
        try:
            return await self._live(manager, ranks, site)
        finally:
            announcing.cancel()
            manager.close()
            frontend.close()
            await runner.cleanup()
            ranks.stop(_RANK_GRACE_S)
            strategy.close()

    async def _announce(self, manager: Manager, folder: tempfile.TemporaryDirectory[str]) -> None:
        """Once all ranks are up nothing of the server needs to lie in the file system any more."""
        await manager.ready.wait()
        folder.cleanup()
        print(f"ready: variant {self._options.variant}, tp {self._options.tp}", flush=True)

    async def _live(self, manager: Manager, ranks: Ranks, site: web.BaseSite) -> int:
        """Until the stop; requests in flight are waited for, unless a second stop or the end of a rank comes first."""

        def lost(sentence: str) -> None:
            manager.fail(sentence)
            self._stop.set()

        ranks.watch(lost)
        await self._stop.wait()
        if manager.failure is None:
            await site.stop()
            self._stop.clear()
            draining = asyncio.create_task(manager.drain(self._config.drain_s))
            interrupted = asyncio.create_task(self._stop.wait())
            await asyncio.wait({draining, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        ranks.unwatch()
        if manager.failure is not None:
            await asyncio.sleep(_FAILED_LINGER_S)
            ranks.kill()
            raise ServerDied(manager.failure)
        manager.fail("The server was stopped.")
        return EXIT_OK


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # claims the port now, before any rank is started for nothing
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ServerError(f"port {port} is in use", "give another with --port, or 0 to have one chosen") from error
        raise ServerError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def _description(options: Options, strategy: str, config: StandinConfig, port: int) -> dict[str, object]:
    """/server_info in SGLang's keys, `engine` and what mmload wants to know."""
    variant = "stock" if options.variant == "stock" else strategy
    return {
        "engine": "standin",
        "version": __version__,
        "model_path": config.model,
        "served_model_name": config.model,
        "host": options.host,
        "port": port,
        "tp_size": options.tp,
        "pp_size": 1,
        "dp_size": 1,
        "context_length": config.context_length,
        "max_running_requests": config.device.max_running_requests,
        "max_prefill_tokens": config.device.max_prefill_tokens,
        "max_total_num_tokens": config.device.max_total_tokens,
        "sleep_on_idle": not options.poll_on_idle,
        "enable_metrics": True,
        "enable_broadcast_mm_inputs_process": strategy == "commit",
        "text_only": options.text_only,
        "mmload": {"variant": variant, "idle_policy": "poll" if options.poll_on_idle else "sleep"},
    }
