import pytest
from sglang_asked import QUESTIONS, answers_of, identity, measured
from sglang_server import SglangServer


@pytest.fixture(scope="session")
def stock(tmp_path_factory):
    """What the server as it is answers: by hand, and in the identity phase of a run."""
    server = SglangServer("stock", tmp_path_factory.mktemp("stock") / "server.log")
    try:
        answers = answers_of(server)
        manifest, records = measured(tmp_path_factory.mktemp("run"), "--url", server.url)
    finally:
        server.end()
    assert len(set(answers.values())) == len(QUESTIONS)
    assert (manifest["variant"], {each["outcome"] for each in records}) == ("stock", {"ok"})
    return answers, identity(records)
