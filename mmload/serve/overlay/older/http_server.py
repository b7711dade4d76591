"""The hooks of SGLang's HTTP server, in its main process: see ../main_process.py."""

from __future__ import annotations

from typing import Any

from mmload.serve.overlay.main_process import add_prometheus_middleware, main_process, refuse_unhosted
from mmload.serve.overlay.shapes import Shape

SHAPES = (
    Shape("launch_server", None, {"_launch_subprocesses(server_args=server_args)": 1}),
    Shape("lifespan", None, {"add_prometheus_middleware(app)": 1}),
    Shape("add_prometheus_middleware", ("app",), {"app.routes.append(metrics_route)": 1}),
    Shape("server_info or get_server_info", (), {"**_global_state.scheduler_info": 1}),  # the first from 0.5.6 on
)


def launch_subprocesses(inner: Any, server_args: Any, *args: Any, **more: Any) -> Any:
    refuse_unhosted(server_args)
    main_process.open(server_args.tp_size)
    launched = inner(server_args, *args, **more)
    launched[2]["mmload"] = main_process.announcement(server_args)
    return launched


HOOKS = {"_launch_subprocesses": launch_subprocesses, "add_prometheus_middleware": add_prometheus_middleware}
