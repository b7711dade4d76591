"""Work is told from polling: a server at rest has none, whatever it burns."""

import json

import pytest

pytestmark = [pytest.mark.live, pytest.mark.alone]


@pytest.mark.parametrize(("policy", "least_pct", "most_pct"), [("--poll-on-idle", 40, 210), ("", 0, 10)])
def test_a_server_at_rest_works_next_to_nothing_whether_it_polls_or_sleeps(
    standin, mmload, policy, least_pct, most_pct
):
    server = standin("--tp", 2, *(["--", policy] if policy else []))
    profile = mmload("profile", "--url", server.url, "--duration", "3s", "--json").finish()
    assert profile.code == 0, profile.stderr
    ranks = [cpu for name, cpu in json.loads(profile.stdout)["cpu"].items() if name.startswith("scheduler")]
    assert len(ranks) == 2
    assert least_pct <= sum(rank["total_pct"] for rank in ranks) < most_pct, "two ranks may have to share a core"
    assert all(rank["work_pct"] < 3 for rank in ranks)
