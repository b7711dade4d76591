"""The patch of SGLang's HTTP server, which is its main process: the counters of all processes, what every rank says it
runs, and both in the form in which the stand-in gives them.

    /server_info     "mmload": {variant, idle_policy, ranks: [{rank, variant, pid}]}
    /metrics         mmload_handoff_<column>_total{process="..."}, after SGLang's own
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from mmload.handoff.counters import Counters, CounterTable, prometheus_lines
from mmload.handoff.registry import strategy_class
from mmload.serve.overlay import FOLDER_VARIABLE, VARIANT_VARIABLE
from mmload.serve.overlay.agreement import FailureBoard
from mmload.serve.overlay.shapes import Shape, refuse, refuse_others

_SHAPES = (
    Shape("launch_server", None, {"_launch_subprocesses(server_args=server_args)": 1}),
    Shape("lifespan", None, {"add_prometheus_middleware(app)": 1}),
    Shape("add_prometheus_middleware", ("app",), {"app.routes.append(metrics_route)": 1}),
)
_INFO = ("server_info", "get_server_info")  # the first name from 0.5.6 on
# What the overlay doesn't know how to host: attribute of SGLang's ServerArgs, its value without it, and its option.
_ALONE: Mapping[str, tuple[object, str]] = {
    "enable_broadcast_mm_inputs_process": (False, "--enable-broadcast-mm-inputs-process (it is the variant commit)"),
    "tokenizer_worker_num": (1, "--tokenizer-worker-num"),
    "dp_size": (1, "--dp-size"),
    "enable_dp_attention": (False, "--enable-dp-attention"),
    "pp_size": (1, "--pp-size"),
    "nnodes": (1, "--nnodes"),
    "disaggregation_mode": ("null", "--disaggregation-mode"),
    "encoder_only": (False, "--encoder-only"),
    "language_only": (False, "--language-only"),
    "grpc_mode": (False, "--grpc-mode"),
}
_App = Callable[[Any, Any, Any], Awaitable[None]]


class MainProcess:
    """The counters of all processes. They lie in a folder that goes as soon as every rank has announced itself."""

    def __init__(self) -> None:
        self._table: CounterTable | None = None

    def open(self, folder: Path, tp: int) -> None:
        self._table = CounterTable.create(folder / "counters", ["tokenizer", *(f"scheduler_TP{n}" for n in range(tp))])
        FailureBoard.create(folder / "failures", tp)
        os.environ[FOLDER_VARIABLE] = str(folder)

    def counters(self) -> Counters:
        assert self._table is not None
        return self._table.counters("tokenizer")

    def metrics(self) -> str:
        return "" if self._table is None else "\n".join(prometheus_lines(self._table.read())) + "\n"


main_process = MainProcess()


def patch(module: ModuleType) -> None:
    """Patch sglang.srt.entrypoints.http_server, or end the process."""
    info = next((name for name in _INFO if hasattr(module, name)), _INFO[0])
    refuse_others(module, [*_SHAPES, Shape(info, (), {"**_global_state.scheduler_info": 1})])
    launch, add_metrics = module._launch_subprocesses, module.add_prometheus_middleware  # noqa: SLF001

    @functools.wraps(launch)
    def _launch_subprocesses(server_args: Any, *args: Any, **more: Any) -> Any:
        refuse_unhosted(server_args)
        folder = Path(tempfile.mkdtemp(prefix="mmload-overlay-"))
        try:
            main_process.open(folder, server_args.tp_size)
            launched = launch(server_args, *args, **more)
            launched[2]["mmload"] = announcement(folder, server_args)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return launched

    @functools.wraps(add_metrics)
    def add_prometheus_middleware(app: Any) -> Any:
        done = add_metrics(app)
        route = app.routes[-1]
        route.app = with_text(route.app, main_process.metrics)
        return done

    module._launch_subprocesses = _launch_subprocesses  # type: ignore[attr-defined]  # noqa: SLF001
    module.add_prometheus_middleware = add_prometheus_middleware  # type: ignore[attr-defined]


def refuse_unhosted(server_args: Any) -> None:
    """End the process, naming the option, where SGLang is asked for something that the overlay can't host."""
    for attribute, (alone, option) in _ALONE.items():
        if getattr(server_args, attribute, alone) != alone:
            refuse(f"a variant can't be hosted with {option}")


def announcement(folder: Path, server_args: Any) -> dict[str, Any]:
    """What every rank said; ends the server where one said nothing: it would run stock, and nobody would know."""
    said = [json.loads(file.read_text()) for file in sorted(folder.glob("rank-*.json"))]
    silent = sorted(set(range(server_args.tp_size)) - {word["rank"] for word in said})
    if silent:
        importlib.import_module("sglang.srt.utils").kill_process_tree(os.getpid(), include_parent=False)
        refuse(f"rank {', '.join(map(str, silent))} started without it")
    return {
        "variant": strategy_class(os.environ[VARIANT_VARIABLE]).name,
        "idle_policy": "sleep" if getattr(server_args, "sleep_on_idle", False) else "poll",
        "ranks": sorted(said, key=lambda word: int(word["rank"])),
    }


def with_text(inner: _App, text: Callable[[], str]) -> _App:
    """An ASGI application whose page ends with more text. It is asked for plain text, neither packed nor in another
    format, so that text can follow."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        plain = [(name, value) for name, value in scope["headers"] if name not in (b"accept", b"accept-encoding")]

        async def send_more(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"content-length"]
                message = {**message, "headers": headers}
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                message = {**message, "body": message.get("body", b"") + text().encode()}
            await send(message)

        await inner({**scope, "headers": plain}, receive, send_more)

    return application
