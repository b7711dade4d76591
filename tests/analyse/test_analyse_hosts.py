"""Samples of two hosts in one folder: what is said of the server's host and what of the driver's."""

import msgspec
import numpy as np
import pytest
from factory import START_NS, make_run

from mmload.analyse.summary import summarise
from mmload.judge.comparable import differences
from mmload.model.manifest import AgentInfo
from mmload.model.records import HostSample
from mmload.store.append import LineWriter, write_document
from mmload.store.read import Run

AGENT = AgentInfo(
    url="http://gpu-1:5560",
    host="gpu-1",
    version="0.1.0",
    clock_offset_ns=7,
    clock_error_ms=0.2,
    about={"name": "gpu-1", "cpu": "a large one", "cores": 4},
)


def host_samples(host, cores, busy):
    """A minute of a host that is busy to a known share."""
    for second in range(60):
        yield HostSample(
            t_ns=START_NS + second * 1_000_000_000,
            cpu_busy_s=second * cores * busy,
            cores=cores,
            load_1m=0.0,
            memory_available_bytes=1,
            memory_total_bytes=2,
            net_bytes_sent=0,
            net_bytes_received=0,
            host=host,
        )


@pytest.fixture
def two_hosts(tmp_path):
    """two_hosts(driver, server) -> a run whose hosts are busy to these shares."""

    def make(driver, server, agent=AGENT, **truth):
        run = make_run(tmp_path, "optimized", response_ms=np.full(4000, 60.0), **truth)
        run.layout.host.unlink()
        with LineWriter(run.layout.host) as writer:
            for sample in (*host_samples(None, 2, driver), *host_samples(agent.host, 4, server)):
                writer.write(sample)
        write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, agent=agent))
        return Run(run.layout.path)

    return make


def test_the_servers_host_and_the_drivers_are_told_apart(two_hosts):
    run = two_hosts(0.5, 0.25)
    assert {sample.host for sample in run.host} == {"gpu-1"}
    assert {sample.cores for sample in run.host} == {4}
    assert {sample.cores for sample in run.driver_host} == {2}


def test_a_folder_without_an_agent_has_one_host(tmp_path):
    run = make_run(tmp_path, "optimized", response_ms=np.full(4000, 60.0))
    assert run.host == run.driver_host != []


@pytest.mark.parametrize(
    ("driver", "server", "said"),
    [
        (0.5, 0.5, []),
        (0.99, 0.5, ["the driver's host was 99% busy"]),
        (0.5, 0.97, ["gpu-1 was 97% busy"]),
        (0.99, 0.97, ["gpu-1 was 97% busy", "the driver's host was 99% busy"]),
    ],
)
def test_a_busy_host_is_named(two_hosts, driver, server, said):
    busy = [
        warning.partition(":")[0] for warning in summarise(two_hosts(driver, server)).warnings if "busy:" in warning
    ]
    assert busy == said


def test_runs_of_two_server_hosts_are_not_compared(two_hosts):
    other = msgspec.structs.replace(AGENT, host="gpu-2", about={**AGENT.about, "name": "gpu-2"})
    first, same, second = two_hosts(0.5, 0.5), two_hosts(0.5, 0.5, number=1), two_hosts(0.5, 0.5, other, number=2)
    assert differences(first, same) == []
    assert any("gpu-1" in reason and "gpu-2" in reason for reason in differences(first, second))
