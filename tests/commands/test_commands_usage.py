"""What a wrong command line answers: one sentence, the mend, exit code 2, and nothing started."""

import pytest
from typer.testing import CliRunner

from mmload.cli import app
from mmload.errors import MmloadError, UsageError
from mmload.plan.arrivals import build_schedule, pool_size
from mmload.plan.check import check_plan


def refusal(*args) -> MmloadError:
    result = CliRunner().invoke(app, args)
    assert isinstance(result.exception, MmloadError), result.output
    return result.exception


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["--variant", "optimised"], "unknown variant 'optimised'", "did you mean optimized"),
        (["--variant", "zzz"], "unknown variant 'zzz'", "there are: async-batch"),
        (["--workload", "image-small"], "unknown workload 'image-small'", "images-small"),
        (["--gate", "relase"], "unknown gate 'relase'", "release"),
        (["--engine", "standing"], "unknown engine 'standing'", "standin"),
        (["--rate", "0"], "--rate 0 req/s is out of range", "0.01 to 100000"),
        (["--rate", "-5"], "--rate -5 req/s is out of range", "0.01"),
        (["--rate", "10", "--concurrency", "4"], "exclude each other", "open loop"),
        (["--concurrency", "0"], "--concurrency 0 is out of range", "1 to"),
        (["--duration", "soon"], "--duration 'soon' is not a duration", "40s"),
        (["--duration", "0s"], "--duration 0s is out of range", "1s to 14d"),
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
        (["--url", "http://127.0.0.1:99999"], "'http://127.0.0.1:99999' is not a server's URL", "http://"),
        (["--url", "http://127.0.0.1:0"], "is not a server's URL", "http://"),
        (["--url", "http://[::1"], "is not a server's URL", "http://"),
        (["--url", "http://user:pw@127.0.0.1:1"], "holds a user name or password", "$MMLOAD_TOKEN, or give --header"),
        (["--url", "http://user@127.0.0.1:1/v1?a=@"], "holds a user name or password", "$MMLOAD_TOKEN"),
        (["--header", "Content-Length: 5"], "the header Content-Length can't be set", "leave it out"),
        (["--header", "transfer-encoding: chunked"], "the header transfer-encoding can't be set", "leave it out"),
        (["--header", "X-Request-ID: 1"], "the header X-Request-ID can't be set", "leave it out"),
        (["--header", "Accept: text/plain"], "the header Accept can't be set", "leave it out"),
        (["--header", "Accept-Encoding: gzip"], "the header Accept-Encoding can't be set", "leave it out"),
        (["--header", "Content-Type: text/plain"], "the header Content-Type can't be set", "leave it out"),
        (["--header", "Connection: close"], "the header Connection can't be set", "leave it out"),
        (["--ca", "nowhere.pem", "--url", "https://127.0.0.1:1"], "nowhere.pem", "PEM"),
        (["--ca", "nowhere.pem", "--url", "http://127.0.0.1:1"], "(--ca) are for https", "leave --ca out"),
        (["--ca", "nowhere.pem"], "(--ca) are for https", "leave --ca out"),
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


def test_a_password_in_a_url_is_never_shown_or_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["run", "--url", "http://user:hush@127.0.0.1:1"])
    assert "hush" not in result.output + str(result.exception) + result.exception.hint
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_names_the_file_and_the_nearest_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text('about = "x"\nrate_rps = 5\nstreem = true\n[[items]]\nmodality = "text"\n')
    error = refusal("run", "--workload", "my.toml")
    assert error.exit_code == 2
    assert "my.toml: unknown key `streem`" in str(error)
    assert "stream" in error.hint


def sent(monkeypatch, *args):
    """The plan that a command line makes, and what is said on standard error; nothing is run."""
    plans = []
    monkeypatch.setattr("mmload.commands.run._measure", lambda plan, _out, **_options: plans.append(plan) or 0)
    result = CliRunner().invoke(app, ["run", *args])
    assert result.exit_code == 0, result.output
    return plans[0], result.stderr


def test_a_trace_may_be_as_sparse_as_it_was_recorded(tmp_path, monkeypatch):
    (tmp_path / "night.csv").write_text("t_s\n0\n1500\n")
    plan, said = sent(monkeypatch, "--trace", str(tmp_path / "night.csv"))
    check_plan(plan)
    schedule = build_schedule(plan)
    assert (len(schedule.main), len(schedule.profile)) == (2, 0)
    assert pool_size(plan, schedule) == (2, 2)
    assert said == ""


def test_a_traces_unused_columns_are_named_on_standard_error(tmp_path, monkeypatch):
    file = tmp_path / "mooncake.jsonl"
    file.write_text('{"timestamp": 0, "input_length": 9}\n{"timestamp": 15, "input_length": 9}\n')
    _, said = sent(monkeypatch, "--trace", str(file))
    assert f"{file}: columns not used: input_length" in said
    assert "`timestamp` is read as seconds" in said
