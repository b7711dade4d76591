"""The command lines that make a stored run, or a whole campaign, again; and what of a plan no command line says."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from mmload.model.campaign import MAIN_SCENE, Campaign
from mmload.model.plan import IDENTITY_ITEMS, Access, AgentPlan, GeneratorLimits, Plan, ProfilePlan
from mmload.plan import config
from mmload.plan.load_text import engine_arguments, seconds_text, variant_options, what_is_sent


def repeat_command(plan: Plan) -> str:
    """`mmload run`, with all that the plan says and an option can."""
    words = ["mmload", "run", *variant_options(plan), *what_is_sent(plan)]
    words += ["--port", str(plan.port)] if plan.port is not None and not plan.url else []
    words += [word for pid in plan.pids for word in ("--pid", str(pid))]
    words += [*_access_options(plan.access), *(_agent_options(plan.agent) if plan.agent else [])]
    words += _profile_options(plan.profile, stamped_s=plan.profile.duration_s / 2)
    words += ["--gate", plan.gate] if plan.gate else []
    return shlex.join([*words, *engine_arguments(plan)])


def campaign_command(campaign: Campaign) -> str | None:
    """`mmload compare --variants` or `mmload gate --run`; None of a self-test, whose faults no option plants."""
    scene = campaign.scenes.get(MAIN_SCENE)
    if scene is None or campaign.kind == "selftest":
        return None
    plan = scene.plan
    if campaign.kind == "gate":
        words = ["mmload", "gate", "--run", "--gate", campaign.gate_name or ""]
        words += ["--candidate", campaign.candidate] if campaign.candidate else []
        words += ["--engine", plan.engine or "standin", "--tp", str(plan.tp)]
        words += ["--model", plan.model] if plan.model else []
        return shlex.join([*words, *engine_arguments(plan)])
    sides = ",".join(name.partition("#")[0] for name in campaign.variants)
    words = ["mmload", "compare", "--variants", sides, "--rounds", str(scene.rounds), *what_is_sent(plan)]
    words += [*_profile_options(plan.profile, stamped_s=0.0), *(["--force"] if campaign.force else [])]
    return shlex.join([*words, *engine_arguments(plan)])


def changed_gate(campaign: Campaign) -> str | None:
    """Where the gate that a campaign was made for is not what stands under its name today."""
    if campaign.gate is None or not campaign.gate_name:
        return None
    if campaign.gate_name not in config.names("gates"):
        return f"the file of the gate {campaign.gate_name}"
    is_same = config.read_text(config.find("gates", campaign.gate_name)) == campaign.gate
    return None if is_same else f"the gate {campaign.gate_name} as it was then: it has changed since"


def withheld(plan: Plan) -> Iterator[str]:
    """What `repeat_command` can't say of a plan, or should not: a phrase each."""
    if plan.access.headers:
        yield f"the headers {', '.join(sorted(plan.access.headers))}, which may hold secrets"
    if plan.workload.get("dataset") is None and plan.workload_name not in config.names("workloads"):
        yield f"the file of the workload {plan.workload_name}"
    if plan.limits != GeneratorLimits():
        yield "limits of the generator"
    if plan.identity_items != IDENTITY_ITEMS:
        yield f"{plan.identity_items} identity items"


def _access_options(access: Access) -> list[str]:
    default = Access()
    words = ["--token-env", access.token_variable] if access.token_variable != default.token_variable else []
    words += ["--ca", access.ca_file] if access.ca_file else []
    return [*words, *([] if access.verify else ["--insecure"])]


def _agent_options(agent: AgentPlan) -> list[str]:
    default = AgentPlan(url=agent.url)
    words = ["--agent", agent.url]
    words += ["--agent-token-env", agent.token_variable] if agent.token_variable != default.token_variable else []
    return [*words, *(["--agent-ca", agent.ca_file] if agent.ca_file else [])]


def _profile_options(profile: ProfilePlan, stamped_s: float) -> list[str]:
    """Those that differ from their defaults. stamped_s: that of the command's --stamped-duration."""
    if not profile.enabled:
        return ["--no-profile"]
    default = ProfilePlan()
    words = []
    if profile.duration_s != default.duration_s:
        words += ["--profile-duration", seconds_text(profile.duration_s)]
    if profile.stamped_s != stamped_s:
        words += ["--stamped-duration", seconds_text(profile.stamped_s)]
    words += ["--profile-mode", profile.mode] if profile.mode != default.mode else []
    return [*words, *(["--profile-rate", str(profile.rate_hz)] if profile.rate_hz != default.rate_hz else [])]
