"""Who looks at the server's processes: this process, or an agent on their host."""

from __future__ import annotations

from mmload.model.plan import Plan
from mmload.observe.agent_protocol import Sought
from mmload.observe.local import LocalObserver
from mmload.observe.remote import RemoteObserver
from mmload.plan.access import Site
from mmload.serve.target import Target, is_this_host


def reach_agent(plan: Plan) -> RemoteObserver | None:
    """The plan's agent, before anything is made or started; None without one. Raises UsageError or ServerError where it
    can't be used, or does not grant the processes."""
    if plan.agent is None:
        return None
    sought = Sought(pids=list(plan.pids)) if plan.pids else Sought(port=Site(plan.url or "").port)
    observer = RemoteObserver(plan.agent, sought)
    observer.find()
    return observer


def local_observer(plan: Plan, target: Target) -> LocalObserver:
    """One that finds nothing where the server is on another host. Raises ServerError for a name without an address."""
    if plan.pids or target.pid is not None:
        return LocalObserver(pids=plan.pids, root=target.pid)
    return LocalObserver(port=target.client.port if is_this_host(target.client.host) else None)
