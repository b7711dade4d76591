"""Whether docker-compose.yml starts what `mmload serve --engine sglang` starts, with no right too many.

    docker-compose.yml --- a compose client's config --- plain ----------> |
                                                                           | the same services, the same in every key
    serve/engines.py --- start_command --- in a container's words -------> |

A client merges and fills in variables, and needs no engine for that: podman-compose, of the extra `dev`, and docker
compose where it is installed. What differs from start_command is only this: `env NAME=VALUE ..` is the service's
environment, the interpreter is the image's python3, and the checkout is seen as /mmload, by a mount.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from compose_clients import FILE, GIB, Service, clients, plain, resolved, words
from typer.testing import CliRunner

import mmload
from mmload.cli import app
from mmload.plan.config import load, names
from mmload.serve.engines import start_command
from mmload.serve.sglang_cpu.place import CpuEngineConfig

ROOT = FILE.parent
RUNNER, STANDIN, PORT = "mmload", "standin", 30000
_HERE, _THERE = str(Path(mmload.__file__).parents[1]), "/mmload"  # the folder of the package, on the host and mounted


class Settings(NamedTuple):
    """What a user sets: $COMPOSE_PROFILES, and other variables or None. args: more options of SGLang."""

    server: str
    version: str | None = None
    model: str | None = None
    tp: int | None = None
    args: tuple[str, ...] = ()

    def variables(self) -> dict[str, str]:
        said = {
            "COMPOSE_PROFILES": self.server,
            "SGLANG_VERSION": self.version,
            "MODEL": self.model,
            "TP": self.tp,
            "SGLANG_ARGS": shlex.join(self.args),
        }
        return {name: str(value) for name, value in said.items() if value}


NOTHING_SET = Settings(STANDIN)
ALL_SET = Settings("shm", "0.5.5", "/models/other", 8, ("--mem-fraction-static", "0.8"))


# What must be


def expected(settings: Settings) -> dict[str, Service]:
    """Every service in `plain` form: SGLang for each variant, the stand-in, and mmload beside the chosen server."""
    servers = {variant: _sglang(variant, settings) for variant in names("variants")}
    servers[STANDIN] = _standin(settings)
    for name, server in servers.items():
        server["profiles"] = [name]
    return {**servers, RUNNER: _runner(settings.server, list(servers))}


def _sglang(variant: str, settings: Settings) -> Service:
    command, environment = _started(variant, settings)
    is_hosted = any(value.startswith(_THERE) for value in environment.values())
    overlay = [f"{ROOT}/mmload:{_THERE}/mmload:ro"] if is_hosted else []
    gpus = {"driver": "nvidia", "count": settings.tp or 4, "capabilities": ["gpu"]}
    tested_in = load("engines", "sglang-cpu", CpuEngineConfig).version
    return {
        "image": f"lmsysorg/sglang:v{settings.version or tested_in}",
        "command": command,
        "environment": {"HF_TOKEN": None, **environment},  # None: passed on where it is set
        "volumes": sorted([f"{Path.home()}/.cache/huggingface:/root/.cache/huggingface", *overlay]),
        "deploy": {"resources": {"reservations": {"devices": [gpus]}}},
        "ipc": "host",
        "shm_size": 32 * GIB,
        "ulimits": {"memlock": -1, "stack": 2**26, "nofile": 2**16},  # SGLang's own, and a descriptor for each segment
        **_life(),
    }


def _started(variant: str, settings: Settings) -> tuple[list[str], dict[str, str]]:
    """Command and environment of start_command, as they must be inside a container."""
    model = settings.model or "Qwen/Qwen2.5-VL-7B-Instruct"
    line = start_command("sglang", port=PORT, tp=settings.tp or 4, variant=variant, model=model, args=settings.args)
    python = line.index(sys.executable)
    pairs = (word.split("=", 1) for word in line[1:python])
    return ["python3", *line[python + 1 :]], {name: value.replace(_HERE, _THERE) for name, value in pairs}


def _standin(settings: Settings) -> Service:
    command = f"serve --engine standin --variant optimized --tp {settings.tp or 2} --port {PORT}"
    return {**_image(), "command": command.split(), "shm_size": 4 * GIB, **_life()}


def _runner(server: str, servers: list[str]) -> Service:
    """mmload's own container: in the server's network and among its processes, with the rights to read these."""
    command = f"run --url http://127.0.0.1:{PORT} --rate 100 --duration 40s --workload images-small"
    return {
        **_image(),
        "command": command.split(),
        "network_mode": f"service:{server}",
        "pid": f"service:{server}",
        "uts": "host",  # for its name
        "cap_add": ["SYS_PTRACE", "DAC_OVERRIDE"],
        "shm_size": 8 * GIB,  # payloads lie there where 4 GiB are free
        "volumes": [f"{ROOT}/configs:/runs/configs:ro", f"{ROOT}/profiles:/runs/profiles"],
        "depends_on": {name: {"condition": "service_healthy", "required": False} for name in servers},
    }


def _image() -> Service:
    rights = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
    return {"image": "mmload", "build": {"context": str(ROOT)}, **rights}


def _life() -> Service:
    """How a server is ended, and asked for its health: SGLang answers within 20 s, or not at all."""
    ask = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{PORT}/health', timeout=25)"
    times = {"start_period": 1800, "start_interval": 5, "interval": 600, "timeout": 30, "retries": 3}
    health = {"test": ["CMD", "python3", "-c", ask], **times}
    return {"init": True, "stop_grace_period": 30, "healthcheck": health}


# The comparison


def faults(services: Mapping[str, Service], settings: Settings) -> list[str]:
    """A sentence for each thing in the resolved services that is not as it must be."""
    wanted = expected(settings)
    found = [f"there is no service {name}" for name in wanted if name not in services]
    found += [f"the service {name} is not expected" for name in services if name not in wanted]
    for name, service in services.items():
        found += [f"{name}: {fault}" for fault in _differences(wanted.get(name, {}), plain(service))]
        found += [f"{name}: {fault}" for fault in _refusals(service)]
    return found


def _differences(wanted: Service, said: Service) -> Iterator[str]:
    for key in sorted(wanted.keys() | said.keys()):
        if key not in wanted:
            yield f"{key} is not expected: {said[key]}"
        elif key not in said:
            yield f"{key} is missing: {wanted[key]}"
        elif wanted[key] != said[key]:
            yield f"{key} is {said[key]}, and should be {wanted[key]}"


def _refusals(service: Service) -> Iterator[str]:
    """Where the image's entry point is mmload: whether it has such a command, with such options."""
    if service.get("image") == RUNNER:
        asked = CliRunner().invoke(app, [*words(service.get("command", "")), "--help"])
        if asked.exit_code != 0:
            yield f"mmload refuses its command: {' '.join(asked.output.split())}"


def main() -> int:
    os.environ["MMLOAD_SGLANG_PYTHON"] = sys.executable  # its command is compared, and not run
    os.environ.pop("PYTHONPATH", None)
    found = [
        f"{name}: {fault}"
        for name, client in clients().items()
        for settings in (NOTHING_SET, ALL_SET)
        for fault in faults(resolved(client, settings.variables()), settings)
    ]
    print("\n".join(found) or f"docker-compose.yml is what mmload serve would run, says {' and '.join(clients())}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
