"""docker-compose.yml as a compose client reads it, anchors merged and variables filled in; that needs no engine."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).resolve().parents[1] / "docker-compose.yml"
GIB = 2**30

Service = dict[str, Any]


def clients() -> dict[str, list[str]]:
    """The compose clients that are here."""
    found = {"podman-compose": [sys.executable, "-m", "podman_compose", "--dry-run"]}
    docker = ["docker", "compose"]
    if shutil.which("docker") and not subprocess.run([*docker, "version"], capture_output=True, check=False).returncode:
        found["docker compose"] = docker
    return found


def resolved(client: list[str], variables: Mapping[str, str]) -> dict[str, Service]:
    """All services, whatever their profiles, with these variables and no others set. Ends the program with the client's
    words where it refuses the file."""
    services = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"].values()
    profiles = sorted({profile for service in services for profile in service.get("profiles", ())})
    flags = [word for profile in profiles for word in ("--profile", profile)]
    known = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_CONFIG") if name in os.environ}
    done = subprocess.run(
        [*client, "--env-file", os.devnull, "-f", str(FILE), *flags, "config"],
        env={**known, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{shlex.join(client)} refuses the file: {done.stderr.strip()}")
    return dict(yaml.safe_load(done.stdout)["services"])


def plain(service: Service) -> Service:
    """A resolved service in one form for all clients: absolute paths, bytes, seconds, numbers, no defaults added."""
    said = {key: value for key, value in service.items() if value not in (None, {"default": None})}
    return {key: _CONVERSIONS.get(key, _same)(value) for key, value in said.items()}


def _same(value: Any) -> Any:
    return value


def words(command: list[str] | str) -> list[str]:
    """podman-compose splits a command before it fills in the variables: what it filled in is split here."""
    return shlex.split(command if isinstance(command, str) else " ".join(command))


def _mounts(volumes: list[Any]) -> list[str]:
    """SOURCE:TARGET[:MODE], sorted."""
    found = []
    for volume in volumes:
        if isinstance(volume, str):
            source, rest = volume.split(":", 1)
        else:
            source, rest = volume["source"], volume["target"] + (":ro" if volume.get("read_only") else "")
        found.append(f"{(FILE.parent / Path(source).expanduser()).resolve()}:{rest}")
    return sorted(found)


def _build(build: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in build.items() if (key, value) != ("dockerfile", "Dockerfile")}


def _deploy(deploy: Service) -> Service:
    devices = deploy["resources"]["reservations"]["devices"]
    counted = [{**device, "count": int(device["count"])} for device in devices]
    return {**deploy, "resources": {**deploy["resources"], "reservations": {"devices": counted}}}


def _bytes(size: str | int) -> int:
    number, unit, _ = str(size).partition("gb")
    return int(number) * (GIB if unit else 1)


def _seconds(value: Any) -> Any:
    """Of '10m', '10m0s' and '30s'; what is no duration as it is."""
    minutes, _, seconds = str(value).rpartition("m")
    is_duration = isinstance(value, str) and value.endswith(("s", "m"))
    return 60 * int(minutes or 0) + int(seconds.removesuffix("s") or 0) if is_duration else value


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "command": words,
    "volumes": _mounts,
    "build": _build,
    "deploy": _deploy,
    "shm_size": _bytes,
    "stop_grace_period": _seconds,
    "healthcheck": lambda health: {key: _seconds(value) for key, value in health.items()},
}
