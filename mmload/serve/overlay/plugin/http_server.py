"""The hooks of SGLang's HTTP server, in its main process: see ../main_process.py."""

from __future__ import annotations

import importlib
from typing import Any

from mmload.serve.overlay.main_process import add_prometheus_middleware, main_process, refuse_unhosted
from mmload.serve.overlay.shapes import Shape, refuse

SHAPES = (
    Shape("launch_server", None, {"Engine._launch_subprocesses(": 1, "scheduler_init_result.scheduler_infos": 1}),
    Shape("Engine._launch_subprocesses", None, {"cls._launch_scheduler_processes(": 1}),
    Shape("_setup_and_run_http_server", None, {"scheduler_info=scheduler_infos[0]": 1}),
    Shape("server_info", (), {"_global_state.scheduler_info": 1}),
    Shape("lifespan", None, {"add_prometheus_middleware(app)": 1}),
    Shape("add_prometheus_middleware", ("app",), {"app.routes.append(metrics_route)": 1}),
)


def launch_scheduler_processes(inner: Any, engine: Any, server_args: Any, *args: Any, **more: Any) -> Any:
    refuse_unhosted(server_args)
    refuse_other_transports(server_args)
    main_process.open(server_args.tp_size)
    return inner(engine, server_args, *args, **more)


def setup_and_run_http_server(
    inner: Any,
    server_args: Any,
    tokenizer_manager: Any,
    template_manager: Any,
    port_args: Any,
    scheduler_infos: Any,
    *args: Any,
    **more: Any,
) -> Any:
    scheduler_infos[0]["mmload"] = main_process.announcement(server_args)
    return inner(server_args, tokenizer_manager, template_manager, port_args, scheduler_infos, *args, **more)


HOOKS = {
    "Engine._launch_scheduler_processes": launch_scheduler_processes,
    "_setup_and_run_http_server": setup_and_run_http_server,
    "add_prometheus_middleware": add_prometheus_middleware,
}


def refuse_other_transports(server_args: Any) -> None:
    """End the process where requests don't travel by pickle, or their features not through memory of the CPU."""
    transport = getattr(server_args, "mm_feature_transport", None)
    if transport not in (None, "cpu"):
        refuse(f"a variant can't be hosted with --mm-feature-transport {transport}")
    envs: Any = importlib.import_module("sglang.srt.environ").envs
    if not envs.SGLANG_USE_PICKLE_IPC.get():
        refuse("a variant can't be hosted with SGLANG_USE_PICKLE_IPC=0: its payloads travel by pickle")
    if hasattr(envs, "SGLANG_RUST_SERVER") and envs.SGLANG_RUST_SERVER.get():
        refuse("a variant can't be hosted with SGLANG_RUST_SERVER=1")
