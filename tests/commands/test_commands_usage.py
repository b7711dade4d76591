"""What a wrong command line answers: one sentence, the mend, exit code 2, and nothing started."""

import pytest
from typer.testing import CliRunner

from mmload.cli import app
from mmload.errors import MmloadError, UsageError


def refusal(*args) -> MmloadError:
    result = CliRunner().invoke(app, args)
    assert isinstance(result.exception, MmloadError), result.output
    return result.exception


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["--variant", "optimised"], "unknown variant 'optimised'", "did you mean optimized"),
        (["--variant", "zzz"], "unknown variant 'zzz'", "there are: commit"),
        (["--workload", "image-small"], "unknown workload 'image-small'", "images-small"),
        (["--gate", "relase"], "unknown gate 'relase'", "release"),
        (["--engine", "standing"], "unknown engine 'standing'", "standin"),
        (["--rate", "0"], "--rate 0 req/s is out of range", "0.01 to 100000"),
        (["--rate", "-5"], "--rate -5 req/s is out of range", "0.01"),
        (["--rate", "10", "--concurrency", "4"], "exclude each other", "open loop"),
        (["--concurrency", "0"], "--concurrency 0 is out of range", "1 to"),
        (["--duration", "soon"], "--duration 'soon' is not a duration", "40s"),
        (["--duration", "0s"], "--duration 0s is out of range", "1 to"),
        (["--duration", "9999d"], "out of range", ""),
        (["--tp", "0"], "--tp 0 is out of range", "1 to 64"),
        (["--port", "99999"], "--port 99999 is out of range", "65535"),
        (["--arrival", "burst"], "--arrival 'burst' is not known", "gamma:CV"),
        (["--arrival", "gamma"], "--arrival 'gamma' lacks its CV", "gamma:2"),
        (["--workers", "many"], "--workers 'many' is not a number", "auto"),
        (["--profile-mode", "deep"], "--profile-mode 'deep' is not known", "native"),
        (["--seed", "-1"], "--seed -1 is out of range", ""),
        (["--header", "no colon"], "--header 'no colon' is not a header", "Name: value"),
        (["--extra-body", "{top_p"], "--extra-body is not JSON", ""),
        (["--extra-body", "[1]"], "is not a JSON object", "top_p"),
        (["--extra-body", '{"stream": false}'], "can't set stream", "workload"),
        (["--workers", "3", "--concurrency", "2"], "3 workers can't share 2 requests", "fewer"),
        (["--url", "http://127.0.0.1:1", "--tp", "4"], "--url and --tp exclude each other", ""),
        (["--requests", "5", "--duration", "5s"], "--requests and --duration exclude each other", ""),
        (["--concurrency", "5", "--arrival", "constant"], "--concurrency and --arrival exclude each other", ""),
        (["--plan", "p.json", "--rate", "9"], "--plan decides everything: --rate", ""),
        (["--items", "nowhere.jsonl"], "no file nowhere.jsonl", "--items"),
        (["--rate", "0.01", "--duration", "1s"], "is no request", "--rate"),
        (["--url", "localhost:30000"], "is not a server's URL", "http://"),
        (["--plan", "nowhere.json"], "no plan file", "plan.json"),
    ],
)
def test_a_wrong_option_is_named_with_what_it_takes(args, message, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = refusal("run", *args)
    assert isinstance(error, UsageError)
    assert error.exit_code == 2
    assert message in str(error)
    assert hint in error.hint
    assert not (tmp_path / "profiles").exists()


def test_an_unknown_key_names_the_file_and_the_nearest_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text('about = "x"\nrate_rps = 5\nstreem = true\n[[items]]\nmodality = "text"\n')
    error = refusal("run", "--workload", "my.toml")
    assert error.exit_code == 2
    assert "my.toml: unknown key `streem`" in str(error)
    assert "stream" in error.hint
