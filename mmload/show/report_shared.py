"""What a report says of several runs at once: what is wrong with any of them, what they have in common."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mmload.judge.comparable import declared_text
from mmload.judge.report import Report, ReportedRun
from mmload.plan.repeat_text import campaign_command, changed_gate, withheld
from mmload.show.report_about import Banner, banners, began_text, pairs_text
from mmload.show.report_shapes import Fact, facts
from mmload.show.terminal_figures import plain

_SAID_OF_ANY = {  # where what is said of one run names its reasons
    "INVALID": "The figures say nothing about the server.",
    "PARTIAL": "It has not come to its end; the figures are of what was measured.",
    "RUNNING": "It goes on while this is written; the figures are of what was measured.",
    "FAILED": "The server failed.",
    "DAMAGED": "A part of it could not be read.",
}


def loud_banners(runs: Sequence[ReportedRun]) -> list[Banner]:
    """What is said at the head of a page about several: each once, with the runs that it is of unless all are."""
    labels: dict[Banner, list[str]] = {}
    for run in runs:
        for banner in banners(run):
            labels.setdefault(_without_reasons(banner), []).append(run.label)
    return [banner if len(of) == len(runs) else _naming(banner, of) for banner, of in labels.items()]


def _without_reasons(banner: Banner) -> Banner:
    """Those are of one run, and stand where it is shown."""
    said = _SAID_OF_ANY.get(banner.word, banner.sentence)
    return msgspec.structs.replace(banner, sentence=said, reasons=())


def _naming(banner: Banner, labels: Sequence[str]) -> Banner:
    return msgspec.structs.replace(banner, sentence=f"{banner.sentence} These runs: {plain('; '.join(labels))}")


def shared_facts(report: Report) -> list[Fact]:
    """Of several runs: what they have in common, on what they ran, and how to make them all again."""
    runs, campaign = report.runs, report.campaign
    loads, servers = (dict.fromkeys(of) for of in zip(*map(_conditions, runs), strict=True))
    hosts = [pairs_text(run.manifest.agent.about if run.manifest.agent else run.manifest.host) for run in runs]
    began = sorted(began_text(run.manifest) for run in runs)
    found = facts(
        {
            "campaign": campaign and f"{campaign.campaign_id}, made by mmload {campaign.kind}, {campaign.status}",
            "load": "; ".join(loads),
            "server": "; ".join(servers),
            "host": "; ".join(dict.fromkeys(hosts)),
            "began": began[0] if len(began) == 1 else f"the first {began[0]}, the last {began[-1]}",
        }
    )
    again = campaign and campaign_command(campaign)
    if not campaign or not again:
        return [*found, Fact("to make them again", "each run says how, in Run by run")]
    found.append(Fact("to make them again", plain(again), is_code=True))
    plans = [scene.plan for scene in campaign.scenes.values()] if campaign.kind == "compare" else []
    missing = dict.fromkeys(thing for plan in plans for thing in withheld(plan))
    return [*found, *facts({"left out of that": "; ".join(filter(None, [*missing, changed_gate(campaign)]))})]


def conditions_apart(runs: Sequence[ReportedRun]) -> list[str]:
    """For each run, of its load and its server what not all have in common; empty where that is nothing."""
    described = [_conditions(run) for run in runs]
    kept = [place for place in range(2) if len({one[place] for one in described}) > 1]
    return [plain(", ".join(one[place] for place in kept)) for one in described]


def _conditions(run: ReportedRun) -> tuple[str, str]:
    """Its load, and what met it."""
    manifest = run.manifest
    load = manifest.workload if run.plan is None else declared_text(manifest.workload, run.plan.load, manifest.tp)
    server = " ".join(filter(None, (manifest.engine, manifest.engine_version)))
    return load, f"{server}, {manifest.model}" if manifest.model else server
