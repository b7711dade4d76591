"""Options that several commands have, so that they are the same everywhere: how the server and an agent are talked to,
how stacks are taken, where the result goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmload.commands import options
from mmload.model.plan import Access
from mmload.plan.load_words import in_range

SERVER, PROFILE, RESULT = "Server", "Profile", "Result"

Headers = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME:VALUE", help="Sent with every request (repeatable).", rich_help_panel=SERVER),
]
TokenEnv = Annotated[
    str, typer.Option(help="Environment variable that holds the bearer token.", rich_help_panel=SERVER)
]
Ca = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Certificates to trust (PEM), for https.", rich_help_panel=SERVER)
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Take any certificate, for https.", rich_help_panel=SERVER)]
Agent = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The mmload agent of the server's host: its processes are looked at there.",
        rich_help_panel=SERVER,
    ),
]
AgentTokenEnv = Annotated[
    str, typer.Option(help="Environment variable that holds the agent's token.", rich_help_panel=SERVER)
]
AgentCa = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Certificates to trust (PEM), for an agent's https.", rich_help_panel=SERVER),
]
ProfileMode = Annotated[str, typer.Option(help="active, idle, native or gil.", rich_help_panel=PROFILE)]
ProfileRate = Annotated[int, typer.Option(help="Samples per second.", rich_help_panel=PROFILE)]
Out = Annotated[Path, typer.Option(help="Where run folders are made.", rich_help_panel=RESULT)]
Json = Annotated[
    bool,
    typer.Option("--json", help="summary.json on standard output, and nothing else there.", rich_help_panel=RESULT),
]

TOKEN_ENV = "MMLOAD_TOKEN"  # noqa: S105 (the name of a variable)
AGENT_TOKEN_ENV = "MMLOAD_AGENT_TOKEN"  # noqa: S105


def access(headers: list[str] | None, token_env: str, ca: Path | None, *, insecure: bool) -> Access:
    return Access(
        headers=options.headers(headers or []),
        token_variable=token_env,
        ca_file=None if ca is None else str(ca.resolve()),
        verify=not insecure,
    )


def profile_rate(hertz: int) -> int:
    return int(in_range(hertz, "--profile-rate", 1, 1000))
