"""A campaign's record around runs that lie there."""

from mmload.model.campaign import Campaign, Scene, Slot
from mmload.model.plan import OpenLoop, Plan
from mmload.store.campaigns import making, write_campaign

PLAN = Plan(variant=None, workload_name="images-small", workload={}, load=OpenLoop(rate_rps=50))
ID = "20261120T031500Z-compare-0001"


def campaign_of(out, sides, **facts):
    """sides: variant -> its runs, None where one was not made."""
    slots = [
        Slot(scene="main", round=number, variant=name, run_id=run and run.run_id)
        for name, runs in sides.items()
        for number, run in enumerate(runs)
    ]
    made = {"kind": "compare", "status": "complete", "variants": list(sides), "slots": slots}
    campaign = Campaign(campaign_id=ID, scenes={"main": Scene(plan=PLAN, rounds=2)}, **(made | facts))
    with making(ID, out):
        write_campaign(campaign, out)
