"""The command line that judges what a report is about. Which runs a gate would take is tried, so that no page names a
command that refuses them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmload.commands.gate import DEFAULT
from mmload.commands.options import OUT
from mmload.errors import FolderError, UsageError
from mmload.judge.choice import choose_runs
from mmload.judge.choice_campaign import choice_of_campaign
from mmload.judge.comparison_sides import variant_of
from mmload.judge.definition import Gate, gate_of, load_gate
from mmload.store.campaigns import StoredCampaign, campaign_layout
from mmload.store.read import Run


def runs_command(runs: Sequence[Run], sides: Mapping[str, Sequence[Run]], out: Path, *, force: bool) -> str | None:
    """`mmload gate RUN..`; None where no gate takes these. sides: the first holds the baseline that was asked for; none
    where nobody asked."""
    try:
        gate = load_gate(DEFAULT)
        against = {variant_of(name): list(side) for name, side in list(sides.items())[:1]}
        against = {variant: side for variant, side in against.items() if variant in gate.baselines}
        apart = {run.run_id for side in against.values() for run in side}
        judged = [run for run in runs if run.run_id not in apart]
        variants = [run.manifest.variant for run in judged]
        are_baselines = len(runs) > 1 and set(variants) <= set(gate.baselines)
        candidate = variants[-1] if are_baselines else None
        choose_runs(judged, gate, candidate, against, also=(), force=force)
    except (FolderError, UsageError):
        return None
    words = [_word(run, out) for run in judged]
    words += ["--candidate", candidate] if candidate else []
    for variant, side in against.items():
        words += [word for run in side for word in ("--baseline", f"{variant}={_word(run, out)}")]
    return _command(words, out, force=force)


def campaign_command(stored: StoredCampaign, out: Path, *, force: bool) -> str | None:
    """`mmload gate CAMPAIGN`, by its own gate or the release's; None where that does not take its runs."""
    campaign = stored.campaign
    try:
        gate = load_gate(DEFAULT) if campaign.gate is None else _own_gate(stored)
        choice_of_campaign(campaign, stored.runs, gate, force=force)
    except (FolderError, UsageError):
        return None
    is_below = campaign_layout(campaign.campaign_id, out).path.absolute() == stored.layout.path
    name = campaign.campaign_id if is_below else str(stored.layout.path)
    return _command([name], out, force=force)


def _own_gate(stored: StoredCampaign) -> Gate:
    campaign = stored.campaign
    return gate_of(campaign.gate or "", campaign.gate_name or "", str(stored.layout.campaign), made=campaign.scenes)


def _word(run: Run, out: Path) -> str:
    return run.run_id if (out / run.run_id).absolute() == run.layout.path else str(run.layout.path)


def _command(words: Sequence[str], out: Path, *, force: bool) -> str:
    where = ["--out", str(out)] if out != OUT else []
    return shlex.join(["mmload", "gate", *words, *(["--force"] if force else []), *where])
