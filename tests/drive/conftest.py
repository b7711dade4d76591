"""Workers against a plain server whose behaviour is known."""

import subprocess
import sys
import textwrap
import time

import msgspec
import pytest

from mmload.drive.fleet import Fleet
from mmload.drive.job import Closed, Endpoint, Identity, Job, Open
from mmload.model.plan import ClosedLoop, OpenLoop, Plan
from mmload.model.records import RequestRecord
from mmload.plan.access import request_headers
from mmload.plan.arrivals import PoolSize, build_schedule
from mmload.plan.payloads import prepare
from mmload.plan.workload import Image, Workload
from mmload.store.append import create_run_folder
from mmload.store.read import read_lines

SERVER = textwrap.dedent(
    """
    import asyncio, sys

    DELAY_S = float(sys.argv[1])
    BODY = b'data: {"choices":[{"delta":{"content":"hi"}}]}\\n\\ndata: [DONE]\\n\\n'
    ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(BODY), BODY)

    class Server(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport, self.left, self.head = transport, None, b""

        def data_received(self, data):
            if self.left is None:
                self.head += data
                head, end, body = self.head.partition(b"\\r\\n\\r\\n")
                if not end:
                    return
                length = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
                self.left, self.head = length - len(body), b""
            else:
                self.left -= len(data)
            if self.left == 0:
                self.left = None
                asyncio.get_running_loop().call_later(DELAY_S, self.transport.write, ANSWER)

    async def main():
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    asyncio.run(main())
    """
)


class Load:
    """A plan, its payloads and its workers, against one server."""

    def __init__(self, url, folder, *, load, duration_s=1.0, workers=1, timeout_s=10.0, environment=None, **more):
        workload = Workload(about="test", rate_rps=100, items=(Image(width_px=56),))
        plan = Plan(
            variant=None,
            workload_name="test",
            workload=msgspec.to_builtins(workload),
            load=load,
            duration_s=duration_s,
            warmup_s=0.5,
            workers=workers,
            identity_items=3,
            timeout_s=timeout_s,
            **more,
        )
        self.folder = folder
        self.layout = create_run_folder(folder, "run")
        self.schedule = build_schedule(plan)
        prepare(plan, PoolSize(40, 40), folder / "pool")
        schedules = {}
        if self.schedule is not None:
            self.schedule.main.save(folder / "main.npy")
            schedules["main"] = str(folder / "main.npy")
        headers = request_headers(plan.access, environment or {})
        endpoint = Endpoint(url=url, path="/v1/chat/completions", timeout_s=timeout_s, headers=headers)
        self.jobs = [
            Job(
                worker=worker,
                workers=workers,
                plan=plan,
                endpoint=endpoint,
                pool=str(folder / "pool"),
                schedules=schedules,
                run_folder=str(self.layout.path),
                run_tag="test",
            )
            for worker in range(workers)
        ]
        self.fleet = Fleet.of_children(self.jobs, self.layout, folder)
        self.until(lambda: self.fleet.is_ready)

    def until(self, condition, timeout_s=30.0):
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "waited too long"
            self.fleet.poll(0.05)

    def start(self, segment="main"):
        start_ns = time.monotonic_ns() + 200_000_000
        plan = self.jobs[0].plan
        if segment == "identity":
            self.fleet.command(Identity())
        elif isinstance(plan.load, OpenLoop):
            self.fleet.command(Open(segment=segment, start_ns=start_ns))
        else:
            phases = [("warmup", plan.warmup_s), ("measure", plan.duration_s)]
            self.fleet.command(
                Closed(segment=segment, start_ns=start_ns, concurrency=plan.load.concurrency, phases=phases)
            )
        return start_ns

    def finish(self, segment="main"):
        self.until(lambda: self.fleet.is_drained(segment))
        return self.records

    @property
    def records(self):
        return list(read_lines(self.layout.requests, RequestRecord))


@pytest.fixture
def server():
    """server(delay_s) -> URL of a server that answers every request after that time."""
    started = []

    def start(delay_s):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(delay_s)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return f"http://127.0.0.1:{int(process.stdout.readline())}"

    yield start
    for process in started:
        process.stdin.close()
        process.wait(10)


@pytest.fixture
def run_load(tmp_path):
    """run_load(url, **plan) -> Load, its workers ended with the test."""
    loads = []

    def start(url, *, rate_rps=None, concurrency=None, **more):
        load = OpenLoop(rate_rps=rate_rps) if rate_rps else ClosedLoop(concurrency=concurrency)
        loads.append(Load(url, tmp_path, load=load, **more))
        return loads[-1]

    yield start
    for load in loads:
        load.fleet.close()
