"""Campaigns whose runs are made up: each is what a test planted for it."""

import msgspec
from factory import make_run

from mmload.campaign.make import Means
from mmload.campaign.order import slots_of
from mmload.model.campaign import Campaign, HostState, Scene
from mmload.model.plan import OpenLoop, Plan
from mmload.plan.workload import load_workload
from mmload.store.append import write_document

AT_REST = HostState(t_ns=1, load_1m=0.5, cpu_busy_pct=3.0, memory_available_bytes=8 * 2**30)


def campaign_of(*variants, rounds=2, **facts):
    name, workload = load_workload("images-small")
    said = msgspec.to_builtins(workload)
    plan = Plan(variant=None, workload_name=name, workload=said, load=OpenLoop(rate_rps=20), duration_s=2, seed=5)
    scenes = {"main": Scene(plan=plan, rounds=rounds)}
    made = {"kind": "compare", "variants": list(variants), "scenes": scenes, "slots": slots_of(variants, scenes)}
    return Campaign(campaign_id="20261120T031500Z-compare-0001", **(made | facts))


class MadeUp:
    """A session that makes runs up. planted[n]: of the nth run, fields of its truth, with `fails` an error that ends it
    once it is sealed, `refused` one that ends it before it has a folder."""

    def __init__(self, planted):
        self.planted = planted
        self.plans = []
        self.members = []

    def __call__(self, plan, out, _show, sealed, member):
        number = len(self.plans)
        self.plans.append(plan)
        self.members.append(member)
        truth = dict(self.planted.get(number, {}))
        if refused := truth.pop("refused", None):
            raise refused
        fails, idle = truth.pop("fails", None), truth.pop("before_load", False)
        short = {"seed": plan.seed, "rate_rps": 20.0, "duration_s": 2.0, "warmup_s": 0.5, "stack_samples": 0}
        run = make_run(out, plan.variant, number=number, member=member, **(short | truth))
        if idle:
            write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, phases=[]))
            del run.manifest
        sealed(run)
        if fails:
            raise fails
        return run


def made_up(planted=None):
    """The session, and the means to make a campaign by it."""
    session = MadeUp(planted or {})
    return session, Means(session=session, look=lambda: AT_REST)
