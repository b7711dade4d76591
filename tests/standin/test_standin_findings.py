"""What a run says of a server with a planted fault, and of one without: real processes, real profiles."""

import pytest
from command import Command

pytestmark = [pytest.mark.live, pytest.mark.alone]

LOAD = ("--rate", "20", "--arrival", "constant", "--warmup", "1s", "--duration", "8s", "--profile-duration", "5s")


@pytest.fixture
def summary_of(start, tmp_path):
    """Strategy, ranks -> the summary of a run against such a server; whether a busy host made it invalid is not asked."""

    def run(strategy, tp=2, *load):
        server = start(strategy, tp)
        command = Command(["run", "--url", f"http://{server.host}", *LOAD, *load, "--json"], tmp_path).finish()
        assert command.code in (0, 4), command.stderr
        summary = command.document("summary.json")
        shown = " ".join(command.stderr.split())
        assert all(f"> {finding}" in shown for finding in summary["findings"][:3])
        return summary

    return run


def test_a_rank_that_does_far_more_than_its_peer_is_named(summary_of):
    findings = summary_of("faulty_strategies:SlowRank")["findings"]
    (found,) = [finding for finding in findings if "is skewed" in finding]
    assert found.startswith("scheduler_TP1 is skewed: its own work is")
    assert "in points: materialise" in found
    assert not any(finding.startswith("the tokenizer") for finding in findings)


def test_a_tokenizer_that_does_far_more_than_the_ranks_is_named(summary_of):
    found, *others = summary_of("faulty_strategies:HotTokenizer")["findings"]
    assert found.startswith(("the tokenizer is hot: ", "the tokenizer is the hottest process by far: "))
    assert not any("is skewed" in finding for finding in others)


@pytest.mark.parametrize(
    ("strategy", "hashing"),
    [("original", {f"scheduler_TP{rank}" for rank in range(4)}), ("optimized", {"tokenizer"})],
)
def test_an_even_server_has_no_findings_and_its_phases_show_who_builds(summary_of, strategy, hashing):
    summary = summary_of(strategy, 4, "--rate", "40")
    assert summary["findings"] == []
    assert {name for name, cpu in summary["cpu"].items() if "hash" in cpu["phases"]} == hashing
    costs = {name for name, cpu in summary["cpu"].items() if (cpu["by_phase"].get("hash") or {}).get("ms_per_request")}
    assert costs == hashing
