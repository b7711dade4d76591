"""docker-compose.yml is valid, starts what `mmload serve` starts, and the check that says so notices what is wrong."""

import copy
import subprocess
import sys

import compose_check
import pytest
from compose_check import ALL_SET, NOTHING_SET, faults
from compose_clients import FILE, clients, resolved


@pytest.fixture(autouse=True, scope="module")
def an_sglang_that_is_only_named():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMLOAD_SGLANG_PYTHON", sys.executable)
        patch.delenv("PYTHONPATH", raising=False)
        yield


def read_by_podman(settings):
    return resolved(clients()["podman-compose"], settings.variables())


@pytest.fixture(scope="module")
def services():
    return read_by_podman(ALL_SET)


def test_the_file_is_valid_by_the_schema_of_the_compose_specification():
    schema = ["--builtin-schema", "vendor.compose-spec"]
    subprocess.run([sys.executable, "-m", "check_jsonschema", *schema, str(FILE)], check=True)


@pytest.mark.parametrize("settings", [NOTHING_SET, ALL_SET], ids=["nothing set", "all set"])
def test_the_file_starts_what_mmload_serve_would_start(settings):
    assert faults(read_by_podman(settings), settings) == []


def test_every_difference_of_start_command_is_one_of_the_file(services, monkeypatch):
    real = compose_check.start_command
    monkeypatch.setattr(compose_check, "start_command", lambda *given, **more: [*real(*given, **more), "--new-flag"])
    found = faults(services, ALL_SET)
    assert len(found) == len(services) - 2  # all but the stand-in and mmload
    assert all("--new-flag" in fault for fault in found)


PLANTED = {
    "a mount is missing": ("shm", lambda it: it["volumes"].pop(), "volumes"),
    "a mount can be written to": (
        "shm",
        lambda it: it["volumes"].append(it["volumes"].pop().removesuffix(":ro")),
        "volumes",
    ),
    "a mount too many": ("mmload", lambda it: it["volumes"].append("/:/host"), "volumes"),
    "another variant's name": (
        "shm",
        lambda it: it["environment"].update(MMLOAD_OVERLAY_VARIANT="delta"),
        "environment",
    ),
    "no overlay": ("commit", lambda it: it["environment"].pop("MMLOAD_HOOKS"), "environment"),
    "the overlay in stock": ("stock", lambda it: it["environment"].update(MMLOAD_HOOKS="x"), "environment"),
    "another hook folder": ("delta", lambda it: it["environment"].update(PYTHONPATH="/mmload/mmload"), "environment"),
    "a flag too many": ("delayed", lambda it: it["command"].append("--disable-radix-cache"), "command"),
    "a flag too few": ("original", lambda it: it["command"].remove("--enable-metrics"), "command"),
    "a server on all interfaces": ("optimized", lambda it: it["command"].__setitem__(6, "0.0.0.0"), "command"),
    "another profile": ("rollback", lambda it: it.update(profiles=["commit"]), "profiles"),
    "no profile": ("combined", lambda it: it.pop("profiles"), "profiles is missing"),
    "a tag that moves": ("shm", lambda it: it.update(image="lmsysorg/sglang:latest"), "image"),
    "a GPU too few": (
        "shm",
        lambda it: it["deploy"]["resources"]["reservations"]["devices"][0].update(count=1),
        "deploy",
    ),
    "a privileged server": ("async-batch", lambda it: it.update(privileged=True), "privileged is not expected"),
    "a published port": ("standin", lambda it: it.update(ports=["30000:30000"]), "ports is not expected"),
    "a right too many": ("mmload", lambda it: it["cap_add"].append("SYS_ADMIN"), "cap_add"),
    "rights that are not dropped": ("mmload", lambda it: it.pop("cap_drop"), "cap_drop is missing"),
    "the host's processes": ("mmload", lambda it: it.update(pid="host"), "pid"),
    "a server that nobody waits for": ("mmload", lambda it: it["depends_on"].pop("shm"), "depends_on"),
    "no health check": ("dynamic-batch", lambda it: it.pop("healthcheck"), "healthcheck is missing"),
    "a health check that idles the server": ("shm", lambda it: it["healthcheck"].update(interval="5s"), "healthcheck"),
    "an option that mmload has not": ("mmload", lambda it: it["command"].append("--gpus"), "No such option: --gpus"),
    "a command that mmload has not": (
        "standin",
        lambda it: it["command"].__setitem__(0, "start"),
        "No such command 'start'",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_named(services, name):
    service, plant, word = PLANTED[name]
    planted = copy.deepcopy(services)
    plant(planted[service])
    found = faults(planted, ALL_SET)
    assert any(fault.startswith(f"{service}: ") and word in fault for fault in found), found
    assert all(fault.startswith(f"{service}: ") for fault in found), "the others are as they were"


def test_a_variant_without_a_service_and_a_service_of_no_variant_are_named(services):
    renamed = {("sham" if name == "shm" else name): service for name, service in services.items()}
    found = faults(renamed, ALL_SET)
    assert "there is no service shm" in found
    assert "the service sham is not expected" in found


def test_whatever_is_taken_from_a_service_is_missed(services):
    for position in range(max(len(service) for service in services.values())):
        taken = {name: list(service)[position % len(service)] for name, service in services.items()}
        left = {
            name: {key: value for key, value in service.items() if key != taken[name]}
            for name, service in services.items()
        }
        found = faults(left, ALL_SET)
        assert [
            name for name in services if not any(f"{name}: {taken[name]} is missing" in fault for fault in found)
        ] == []
