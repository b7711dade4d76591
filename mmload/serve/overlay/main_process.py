"""The overlay in SGLang's main process: the counters of all processes and what every rank says it runs, in the form in
which the stand-in gives them.

    /server_info     "mmload": {variant, idle_policy, ranks: [{rank, variant, pid}]}
    /metrics         mmload_handoff_<column>_total{process="..."}, after SGLang's own
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from mmload.handoff.counters import Counters, CounterTable, prometheus_lines
from mmload.handoff.registry import strategy_class
from mmload.handoff.segments import start_ticks
from mmload.serve.overlay import FOLDER_VARIABLE, VARIANT_VARIABLE
from mmload.serve.overlay.agreement import FailureBoard
from mmload.serve.overlay.shapes import refuse

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
    "keep_mm_feature_on_device": (False, "--keep-mm-feature-on-device (features are handed over in host memory)"),
}
# Features then stay on the device, and a handle to them travels.
_CUDA_IPC = "SGLANG_USE_CUDA_IPC_TRANSPORT"
_FOLDER = re.compile(r"mmload-overlay-(\d+)-(\d+)-")
_App = Callable[[Any, Any, Any], Awaitable[None]]


class MainProcess:
    """The counters of all processes. They lie in a folder that goes as soon as every rank has announced itself."""

    def __init__(self) -> None:
        self._table: CounterTable | None = None
        self._folder = Path()

    def open(self, tp: int) -> None:
        """To be called before the ranks start."""
        sweep_folders(Path(tempfile.gettempdir()))
        pid = os.getpid()
        self._folder = Path(tempfile.mkdtemp(prefix=f"mmload-overlay-{pid}-{start_ticks(pid)}-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        processes = ["tokenizer", *(f"scheduler_TP{rank}" for rank in range(tp))]
        self._table = CounterTable.create(self._folder / "counters", processes)
        FailureBoard.create(self._folder / "failures", tp)
        os.environ[FOLDER_VARIABLE] = str(self._folder)

    def announcement(self, server_args: Any) -> dict[str, Any]:
        """To be called when the ranks are ready; as `announcement`."""
        said = announcement(self._folder, server_args)
        shutil.rmtree(self._folder)
        return said

    def counters(self) -> Counters:
        assert self._table is not None
        return self._table.counters("tokenizer")

    def metrics(self) -> str:
        return "" if self._table is None else "\n".join(prometheus_lines(self._table.read())) + "\n"


main_process = MainProcess()


def sweep_folders(place: Path) -> None:
    """Remove what servers left that were killed as they started."""
    for folder in place.glob("mmload-overlay-*"):
        match = _FOLDER.match(folder.name)
        if match and start_ticks(int(match[1])) != int(match[2]):
            shutil.rmtree(folder, ignore_errors=True)


def add_prometheus_middleware(inner: Any, app: Any) -> Any:
    """A hook that is the same in all versions of SGLang: its newest route is /metrics then."""
    done = inner(app)
    route = app.routes[-1]
    route.app = with_text(route.app, main_process.metrics)
    return done


def refuse_unhosted(server_args: Any) -> None:
    """End the process, naming the option, where SGLang is asked for something that the overlay can't host."""
    for attribute, (alone, option) in _ALONE.items():
        if getattr(server_args, attribute, alone) != alone:
            refuse(f"a variant can't be hosted with {option}")
    if os.environ.get(_CUDA_IPC, "").lower() in ("1", "true"):
        refuse(f"a variant can't be hosted with ${_CUDA_IPC}")


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
