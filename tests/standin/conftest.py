import re

import pytest
from standin_client import Server

from mmload.plan.config import find


@pytest.fixture(scope="session")
def fast_device(tmp_path_factory):
    """An engine file with a device that takes hardly any time."""
    standard = find("engines", "standin").read_text()
    text, changed = re.subn(r"(?m)^(prefill_ms|prefill_ms_per_1000_tokens|decode_ms) = .*", r"\1 = 0.5", standard)
    assert changed == 3
    path = tmp_path_factory.mktemp("engines") / "fast.toml"
    path.write_text(text)
    return path


@pytest.fixture
def start(fast_device):
    servers = []

    def start_one(variant="original", tp=2, *extra):
        servers.append(Server(variant, tp, *(extra if "--config" in extra else (*extra, "--config", str(fast_device)))))
        return servers[-1]

    yield start_one
    for server in servers:
        server.end()


@pytest.fixture(scope="module")
def server(fast_device):
    """One server for all tests of a module that leave it as it was."""
    shared = Server("original", 2, "--config", str(fast_device))
    yield shared
    shared.end()
