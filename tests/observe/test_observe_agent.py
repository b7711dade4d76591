"""What an agent grants and what it refuses: with words for who may know them, and with none for who may not."""

import asyncio
import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from agents import TOKEN, TOKEN_VARIABLE, AgentCommand, TitledServer
from aiohttp.test_utils import TestClient, TestServer
from command import gone

from mmload.discover import read_stat
from mmload.observe.agent import Agent
from mmload.observe.agent_permits import Permits

pytestmark = pytest.mark.live


@pytest.fixture
def server():
    """server(*titles) -> a running TitledServer."""
    servers = []

    def start(*titles):
        servers.append(TitledServer(*titles))
        return servers[-1]

    yield start
    for one in servers:
        one.end()


@pytest.fixture
def sleeper():
    """A process that is nobody's business."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


# What takes stacks, and how it is to.
STACKS = {
    "/profile": {"mode": "active", "rate_hz": 10, "duration_s": 60},
    "/stamp": {"rate_hz": 10, "duration_s": 60},
}


def process_id(pid):
    return {"pid": pid, "start_ticks": read_stat(pid).start_ticks}


def asked_of(one, titled, path):
    """A request for the stacks of all of a server's processes."""
    found = json.loads(one.send("POST", "/find", {"port": titled.port})[1])["processes"]
    processes = [process_id(process["pid"]) for process in found]
    return {"sought": {"port": titled.port}, "processes": processes, **STACKS[path]}


def begun(one, path, body):
    """The socket of a stream that has begun."""
    host, port = re.match(r"http://(.*):(\d+)", one.url).groups()
    payload = json.dumps(body).encode()
    connection = socket.create_connection((host, int(port)))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {one.token}\r\nContent-Length: {len(payload)}\r\n\r\n"
    connection.sendall(head.encode() + payload)
    said = b""
    while b'"begun"' not in said:
        more = connection.recv(4096)
        assert more, said
        said += more
    return connection


WRONG = {
    "no token": {},
    "a wrong token": {"Authorization": "Bearer guess"},
    "a token without its scheme": {"Authorization": TOKEN},
    "another scheme": {"Authorization": f"Basic {TOKEN}"},
    "a part of the token": {"Authorization": f"Bearer {TOKEN[:-1]}"},
    "no token at all": {"Authorization": "Bearer "},
}


def test_who_has_no_token_learns_nothing_not_even_which_paths_there_are(agent):
    one = agent()
    asked = [("GET", "/hello"), ("GET", "/clock"), ("GET", "/"), ("GET", "/nowhere"), ("DELETE", "/find")]
    asked += [("POST", f"/{path}") for path in ("find", "sample", "profile", "stamp", "stop", "dump")]
    answers = {one.send(*request, headers=headers) for request in asked for headers in WRONG.values()}
    assert answers == {(401, '{"error":"not permitted","hint":""}')}
    refused = [line for line in one.log.splitlines() if "refused" in line]
    assert len(refused) == len(asked) * len(WRONG)
    assert all(re.search(r"127\.0\.0\.1: 401 (no|a wrong) token", line) for line in refused)
    for secret in (TOKEN, TOKEN[:-1], "guess"):
        assert secret not in one.log


def test_who_has_it_is_told_what_was_wrong_and_the_log_has_the_peer(agent):
    one = agent()
    malformed = [
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"", "the body is not JSON"),
        ({"port": "30000"}, "Expected `int | null`, got `str` - at `$.port`"),
        ({"port": 0}, "Expected `int` >= 1"),
        ({"pids": [0]}, "Expected `int` >= 1"),
        ({"pids": list(range(1, 300))}, "Expected `array` of length <= 256"),
        ({"pids": 1}, "Expected `array`, got `int`"),
        ({"file": "/etc/passwd"}, "unknown field `file`"),
        ([], "Expected `object`, got `array`"),
        ({}, "neither a port nor a pid is given"),
    ]
    for body, words in malformed:
        status, said = one.send("POST", "/find", body)
        assert status == 400
        assert words in json.loads(said)["error"]
        assert words in one.log.splitlines()[-1]
        assert "127.0.0.1" in one.log.splitlines()[-1]


def test_paths_outside_and_other_methods_are_refused(agent):
    one = agent()
    outside = ("/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/stacks/source.json", "//etc/passwd", "/proc/1/environ")
    for path in outside:
        status, said = one.send("GET", path)
        assert (status, said) == (404, '{"error":"not found","hint":""}')
    assert one.send("GET", "/find")[0] == 405
    assert one.send("PUT", "/hello")[0] == 405
    assert sum("404 not found" in line for line in one.log.splitlines()) == len(outside)


def test_a_file_can_be_named_in_no_request(agent, server):
    one, titled = agent(), server("sglang::scheduler_TP0")
    sought = {"sought": {"port": titled.port}, "processes": []}
    for path in ("/sample", "/profile", "/stamp", "/dump"):
        for field in ("folder", "file", "name", "output"):
            status, said = one.send("POST", path, {**sought, field: "/etc/passwd"})
            assert status == 400
            assert f"unknown field `{field}`" in said


def test_an_oversized_request_is_refused_before_it_is_read(agent):
    one = agent()
    assert one.send("POST", "/find", b"[" * 100_000)[0] == 413
    host, port = re.match(r"http://(.*):(\d+)", one.url).groups()
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"POST /find HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Length: 9000000000\r\n\r\n[".encode()
        )
        assert b" 413 " in connection.recv(4096)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /hello HTTP/1.1\r\nAuthorization: Bearer \x00" + TOKEN.encode() + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /hello HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    ],
)
def test_what_is_no_request_is_refused_in_one_line_of_the_log_that_does_not_repeat_it(agent, sent):
    one = agent()
    host, port = re.match(r"http://(.*):(\d+)", one.url).groups()
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(sent)
        assert b" 400 " in connection.recv(4096)
    (line,) = one.until(lambda: [line for line in one.log.splitlines() if "refused" in line])
    assert "127.0.0.1: not a request that can be read" in line
    assert TOKEN not in one.log
    assert "Traceback" not in one.log


def test_a_server_is_found_by_its_port_with_all_its_ranks(agent, server):
    one, titled = agent(), server("sglang::scheduler_TP0", "sglang::scheduler_TP1")
    status, said = one.send("POST", "/find", {"port": titled.port})
    assert status == 200
    found = json.loads(said)
    names = [process["name"] for process in found["processes"]]
    assert names == ["tokenizer", "scheduler_TP0", "scheduler_TP1"]
    assert set(found["states"]) == set(names)


def test_what_is_no_server_of_sglang_is_refused_with_the_same_words_as_nothing_at_all(agent, server):
    one, other = agent(), server("some_other_daemon")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        free = unused.getsockname()[1]
        answers = [one.send("POST", "/find", {"port": port}) for port in (other.port, free)]
    assert [status for status, _ in answers] == [403, 403]
    texts = [
        json.loads(said)["error"].replace(str(port), "N")
        for (_, said), port in zip(answers, (other.port, free), strict=True)
    ]
    assert texts[0] == texts[1] == "no SGLang server that this agent may look at listens on port N"
    assert "has started no ranks of SGLang" in one.log
    assert "no process on this host listens" in one.log


def test_a_foreign_pid_is_refused_wherever_it_is_named(agent, server, sleeper):
    one, titled = agent(), server("sglang::scheduler_TP0")
    for pid in (sleeper.pid, 1, os.getpid(), 2**22):
        status, said = one.send("POST", "/find", {"pids": [titled.pid, pid]})
        assert status == 403
        assert json.loads(said)["error"] == f"pid {pid} is none that this agent may look at"
    for path, more in {"/sample": {}, "/dump": {}, **STACKS}.items():
        body = {"sought": {"port": titled.port}, "processes": [process_id(titled.pid), process_id(sleeper.pid)], **more}
        status, said = one.send("POST", path, body)
        assert status == 403
        assert json.loads(said)["error"] == f"pid {sleeper.pid} is none of the server's"
    assert "sleep" not in one.log


def test_an_agent_may_be_told_of_pids_and_of_ports(agent, server, sleeper):
    plain, ranks = server("some_other_daemon"), server("sglang::scheduler_TP0")
    told = agent("--pid", sleeper.pid, "--port", plain.port)
    assert told.send("POST", "/find", {"pids": [sleeper.pid]})[0] == 200
    status, said = told.send("POST", "/find", {"port": plain.port})
    assert (status, len(json.loads(said)["processes"])) == (200, 2)
    for sought in ({"port": ranks.port}, {"pids": [ranks.pid]}):
        assert told.send("POST", "/find", sought)[0] == 403
    assert f"not told of port {ranks.port}" in told.log


def test_ranks_and_what_they_belong_to_may_be_named_by_pid(agent, server):
    one, titled = agent(), server("sglang::scheduler_TP0", "helper")
    found = json.loads(one.send("POST", "/find", {"port": titled.port})[1])["processes"]
    status, said = one.send("POST", "/find", {"pids": [process["pid"] for process in found]})
    assert status == 200
    assert [process["pid"] for process in json.loads(said)["processes"]] == [process["pid"] for process in found]


def test_a_process_that_a_told_pid_became_is_a_foreign_one(agent, sleeper):
    mortal = subprocess.Popen(["sleep", "60"])
    one = agent("--pid", mortal.pid)
    mortal.kill()
    mortal.wait()
    assert one.send("POST", "/find", {"pids": [mortal.pid]})[0] == 403


def test_sessions_are_counted_and_only_one_profiles(agent, server):
    one, titled = agent(), server("sglang::scheduler_TP0")
    sought = {"sought": {"port": titled.port}, "processes": []}
    profile, stamp = ({**sought, **more} for more in STACKS.values())
    streams = [begun(one, "/profile", profile)]
    for path, second in (("/profile", profile), ("/stamp", stamp)):
        status, said = one.send("POST", path, second)
        assert status == 409
        assert "two at once would disturb each other" in json.loads(said)["error"]
    streams += [begun(one, "/sample", sought) for _ in range(7)]
    status, said = one.send("POST", "/sample", sought)
    assert (status, json.loads(said)["error"]) == (503, "8 sessions are open already")
    for stream in streams:
        stream.close()
    one.until(lambda: one.log.count("or is gone") == 8)
    with begun(one, "/stamp", stamp):
        assert one.send("POST", "/profile", profile)[0] == 409


def test_strangers_that_hold_every_connection_keep_no_driver_out(agent):
    one = agent()
    host, port = re.match(r"http://(.*):(\d+)", one.url).groups()
    idle = [socket.create_connection((host, int(port))) for _ in range(64)]

    def a_stranger_goes():
        assert one.send("GET", "/hello")[0] == 200
        return "it sends nothing, and others wait" in one.log

    one.until(a_stranger_goes)
    for connection in idle:
        connection.close()


def test_too_many_connections_are_turned_away_and_the_next_are_served_again(agent):
    one = agent()
    host, port = re.match(r"http://(.*):(\d+)", one.url).groups()
    kept = [http.client.HTTPConnection(host, int(port)) for _ in range(64)]
    for connection in kept:
        connection.request("GET", "/hello", headers={"Authorization": f"Bearer {one.token}"})
        assert connection.getresponse().read()
    one.until(lambda: answered_nothing(host, port))
    assert "64 connections are open already" in one.log
    for connection in kept:
        connection.close()
    one.until(lambda: is_served(one))


def test_nobody_is_told_what_the_agent_is_made_of(agent):
    one = agent()
    for headers in ({}, {"Authorization": f"Bearer {one.token}"}):
        connection = http.client.HTTPConnection(one.url.removeprefix("http://"))
        connection.request("GET", "/hello", headers=headers)
        assert connection.getresponse().getheader("Server") is None
        connection.close()


def is_served(one):
    try:
        return one.send("GET", "/hello")[0] == 200
    except ConnectionError:
        return False


def answered_nothing(host, port):
    with socket.create_connection((host, int(port))) as connection:
        connection.settimeout(0.2)
        try:
            return connection.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True


def test_another_protocol_is_refused_in_words(agent):
    one = agent()
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Mmload-Protocol": "99"}
    status, said = one.send("POST", "/find", {"port": 1}, headers)
    assert (status, json.loads(said)["error"]) == (400, "this agent speaks protocol 2")
    assert one.send("GET", "/hello", headers=headers)[0] == 200


@pytest.mark.parametrize("path", STACKS)
def test_a_driver_that_vanishes_takes_its_py_spy_with_it(agent, server, path):
    one, titled = agent(), server("sglang::scheduler_TP0")
    stream = begun(one, path, asked_of(one, titled, path))
    one.until(one.profilers)
    stream.close()
    one.until(lambda: not one.children())
    assert one.send("GET", "/hello")[0] == 200


@pytest.mark.parametrize(
    ("number", "code", "path"), [(signal.SIGINT, 130, "/profile"), (signal.SIGTERM, 143, "/stamp")]
)
def test_a_signal_ends_it_in_order_with_what_it_started(agent, server, number, code, path):
    one, titled = agent(), server("sglang::scheduler_TP0")
    stream = begun(one, path, asked_of(one, titled, path))
    spies = one.until(one.profilers)
    scratch = list(Path("/dev/shm").glob(f"mmload-{one.process.pid}-*"))
    assert one.end(number) == code
    assert not any(folder.exists() for folder in scratch)
    said = b""
    while more := stream.recv(65536):
        said += more
    assert f"it was ended by signal {int(number)}".encode() in said
    assert not any(spy.is_running() for spy in spies)


@pytest.mark.parametrize("path", STACKS)
def test_a_killed_agent_leaves_no_py_spy_behind(agent, server, path):
    one, titled = agent(), server("sglang::scheduler_TP0")
    with begun(one, path, asked_of(one, titled, path)):
        spies = one.until(one.profilers)
        one.end(signal.SIGKILL)
    assert spies
    assert gone(spies, timeout_s=30)


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("mmload.observe.agent_guard._BODY_TIMEOUT_S", 0.05)

    async def trickle():
        yield b"{"
        await asyncio.Event().wait()

    async def asked():
        async with TestClient(TestServer(Agent(TOKEN, Permits(), tmp_path)._application())) as client:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            answer = await client.post("/find", data=trickle(), headers=headers)
            return answer.status, (await answer.json())["error"]

    assert asyncio.run(asked()) == (408, "the body did not come within 0.05 s")


def test_a_body_that_is_not_packed_as_it_says_is_refused(agent):
    one = agent()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"}
    assert one.send("POST", "/find", b"no gzip at all", headers=headers)[0] == 400
    assert "400 the body is not what its headers say" in one.log


def agent_ends(*args, token=TOKEN):
    environment = {**os.environ, TOKEN_VARIABLE: token}
    command = [sys.executable, "-m", "mmload", "agent", *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--listen", "0.0.0.0:0"), "can be reached from other hosts"),
        (("--listen", "*:0"), "can be reached from other hosts"),
        (("--listen", "[::]:0"), "can be reached from other hosts"),
        (("--listen", "nowhere.invalid:0"), "cannot resolve nowhere.invalid"),
        (("--listen", "127.0.0.1"), "is not an address"),
        (("--cert", "here.pem"), "--cert and --key belong together"),
        (("--cert", "here.pem", "--key", "there.pem"), "cannot use here.pem"),
        (("--listen", "192.0.2.1:0", "--insecure"), "cannot listen on 192.0.2.1"),
    ],
)
def test_what_would_not_be_safe_or_possible_is_refused_at_the_start(args, words):
    ended = agent_ends(*args)
    assert ended.returncode == 2
    assert words in " ".join(ended.stderr.split())
    assert "hint: " in ended.stderr


def test_beyond_loopback_it_listens_when_told_that_this_is_meant(agent):
    assert agent("--insecure", listen="0.0.0.0:0").url.startswith("http://0.0.0.0:")


def test_without_a_terminal_a_token_is_asked_for_and_not_made():
    ended = agent_ends(token="")
    assert ended.returncode == 2
    assert "$MMLOAD_AGENT_TOKEN is not set" in ended.stderr


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("0123456789abcde", "can be guessed"),
        ("0123456789abcdef\r", "more than a token"),
        ("0123456789 abcdef", "more than a token"),
    ],
)
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused_without_repeating_it(token, words):
    ended = agent_ends(token=token)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "0123456789" not in ended.stderr


def test_a_made_token_is_shown_on_the_terminal_once_and_works(tmp_path):
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    command = [sys.executable, "-m", "mmload", "agent", "--listen", "127.0.0.2:0"]
    process = subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE, env=environment)
    os.close(theirs)
    try:
        shown = read_until(ours, "listening on")
        token = re.search(r"export MMLOAD_AGENT_TOKEN=([0-9a-f]{64})\r?\n", shown)[1]
        one = AgentCommand.__new__(AgentCommand)
        one.token, one.log_file = token, tmp_path / "shown"
        one.log_file.write_text(shown)
        assert one.send("GET", "/hello")[0] == 200
        assert one.send("GET", "/hello", headers={})[0] == 401
        process.terminate()
        assert process.wait(30) == 143
        assert (shown + read_until(ours, "ended by signal")).count(token) == 1
        assert process.stdout.read() == b""
    finally:
        process.kill()
        process.communicate()
        os.close(ours)


def read_until(terminal, words, limit_s=30):
    text, give_up = "", time.monotonic() + limit_s
    while words not in text:
        assert time.monotonic() < give_up, text
        text += os.read(terminal, 4096).decode()
    return text
