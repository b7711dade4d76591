"""Options turned into plain values; each error names the option and what it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from typer import Context

from mmload.errors import UsageError
from mmload.model.plan import Access, AgentPlan, ProfileMode
from mmload.plan.access import check_access
from mmload.plan.load_words import in_range

OUT = Path("profiles")

_HEADER = re.compile(r"^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)$")  # RFC 9110, 5.1 and 5.5


def refuse_contradictions(context: Context, excluded: Mapping[str, Sequence[str]]) -> None:
    """Raise UsageError when an option was given together with one that it leaves no room for."""
    given = _given(context)
    for option, others in excluded.items():
        for other in others:
            if option in given and other in given:
                raise UsageError(f"{_flag(option)} and {_flag(other)} exclude each other", "leave one of them out")


def refuse_beside(context: Context, option: str, allowed: Sequence[str]) -> None:
    """Raise UsageError when anything but `allowed` was given beside `option`."""
    for other in sorted(_given(context) - set(allowed)):
        raise UsageError(
            f"{_flag(option)} decides everything: {_flag(other)} would be ignored", "leave one of them out"
        )


def _given(context: Context) -> set[str]:
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


def _flag(name: str) -> str:
    words = {"engine_args": "-- ENGINE ARGS", "runs": "RUN", "continue_": "--continue"}
    return words.get(name, f"--{name.replace('_', '-')}")


def whole(value: int | None, option: str, low: int, high: int) -> int | None:
    """The same for an integer that may be absent."""
    if value is not None:
        in_range(value, option, low, high)
    return value


def headers(lines: list[str]) -> dict[str, str]:
    """`Name: value`, each once -> name to value."""
    found = {}
    for line in lines:
        match = _HEADER.match(line)
        if match is None:
            raise UsageError(f"--header {line!r} is not a header", "write it as --header 'Name: value'")
        found[match[1]] = match[2]
    return found


def agent_plan(agent: str | None, token_variable: str, ca: Path | None, url: str | None) -> AgentPlan | None:
    """The agent of the server's host; None without one."""
    if agent is None:
        if ca is not None:
            raise UsageError("--agent-ca is for --agent", "give the agent's URL too, or leave it out")
        return None
    if url is None:
        raise UsageError("--agent is for a server on another host", "name the server with --url")
    plan = AgentPlan(url=agent, token_variable=token_variable, ca_file=None if ca is None else str(ca.resolve()))
    check_access(agent, Access(ca_file=plan.ca_file))
    return plan


def address(text: str, option: str) -> tuple[str, int]:
    """`HOST:PORT`; an IPv6 host may stand in brackets."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()):
        raise UsageError(f"{option} {text!r} is not an address", "write it as HOST:PORT, 10.0.0.5:5557 for example")
    return host.removeprefix("[").removesuffix("]"), int(in_range(int(port), option, 0, 65535))


def json_object(text: str | None, option: str) -> dict[str, object]:
    """The fields of a JSON object; none without text."""
    try:
        document = json.loads(text or "{}")
    except ValueError as error:
        raise UsageError(f"{option} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{option} {text!r} is not a JSON object", """write it as '{"top_p": 0.9}'""")
    if "stream" in document:
        raise UsageError(f"{option} can't set stream", "`stream` in the workload's file decides how answers are read")
    return document


def profile_mode(text: str) -> ProfileMode:
    modes: tuple[ProfileMode, ...] = ("active", "idle", "native", "gil")
    for mode in modes:
        if text == mode:
            return mode
    raise UsageError(f"--profile-mode {text!r} is not known", f"it takes {', '.join(modes)}")
