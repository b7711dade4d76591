"""Exchanges against a server that misbehaves on purpose, in a child process (gevent patches its own)."""

import json
import subprocess
import sys
import textwrap

import pytest

SCRIPT = textwrap.dedent(
    """
    from locust import User  # patches as in a worker
    import json, socket, struct, sys, threading, time
    import gevent.monkey
    import msgspec
    from mmload.drive.connection import Connections
    from mmload.drive.exchange import Due, Exchanger
    from mmload.drive.job import Endpoint

    HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
    TOKEN = b'data: {"choices":[{"delta":{"content":"hi"}}]}\\n\\n'
    DONE = b"data: [DONE]\\n\\n"

    def chunk(data):
        return b"%x\\r\\n%s\\r\\n" % (len(data), data)

    GOOD = HEAD + chunk(TOKEN) + chunk(DONE) + b"0\\r\\n\\r\\n"
    ERROR = b'{"error": {"message": "planted"}}'
    ANSWERS = {
        "good": GOOD,
        "http_500": b"HTTP/1.1 500 Oops\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(ERROR), ERROR),
        "http_503_cut": b"HTTP/1.1 503 Busy\\r\\nContent-Length: 99\\r\\n\\r\\nbusy",
        "closed": b"",
        "reset": None,
        "truncated_body": HEAD + chunk(TOKEN)[:-9],
        "truncated_stream": HEAD + chunk(TOKEN),
        "no_done": HEAD + chunk(TOKEN) + b"0\\r\\n\\r\\n",
        "malformed_event": HEAD + chunk(b"data: {oops\\n\\n") + b"0\\r\\n\\r\\n",
        "not_http": b"SSH-2.0-OpenSSH\\r\\n",
        "wrong_type": GOOD.replace(b"text/event-stream", b"text/html"),
        "stream_error": HEAD + chunk(b'data: {"error": {"message": "planted"}}\\n\\n') + b"0\\r\\n\\r\\n",
        "empty": HEAD + chunk(DONE) + b"0\\r\\n\\r\\n",
        "cut_after_done": HEAD + chunk(TOKEN) + chunk(DONE),
        "until_close": HEAD.replace(b"Transfer-Encoding: chunked\\r\\n", b"") + TOKEN + DONE,
        "interim": b"HTTP/1.1 100 Continue\\r\\n\\r\\n" + GOOD,
        "never": "never",
        "interim_apart": [b"HTTP/1.1 100 Continue\\r\\n\\r\\n", GOOD],
        "not_utf8": HEAD + chunk(b'data: {"choices":[{"delta":{"content":"\\xff"}}]}\\n\\n') + b"0\\r\\n\\r\\n",
        "nested": HEAD + chunk(b'data: {"x":' + b"[" * 100_000 + b"\\n\\n") + b"0\\r\\n\\r\\n",
        "gzip": GOOD.replace(b"Transfer", b"Content-Encoding: gzip\\r\\nTransfer", 1),
        "event_error": HEAD + chunk(TOKEN) + chunk(b"event: error\\ndata: planted\\n\\n") + chunk(DONE) + b"0\\r\\n\\r\\n",
        "framing_never_ends": [HEAD + chunk(TOKEN) + chunk(DONE), None],
    }
    kind = sys.argv[1]
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        while True:
            data = b""
            while b"\\r\\n\\r\\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    return
                data += piece
            head, _, body = data.partition(b"\\r\\n\\r\\n")
            length = int([l for l in head.split(b"\\r\\n") if l.lower().startswith(b"content-length")][0].split()[1])
            while len(body) < length:
                body += connection.recv(65536)
            answer = ANSWERS[kind]
            if answer == "never":
                time.sleep(5)
            elif isinstance(answer, list):
                for piece in answer:
                    time.sleep(0.05 if piece else 5)
                    connection.sendall(piece or b"")
            elif answer is None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                for start in range(0, len(answer), 7):
                    connection.sendall(answer[start:start + 7])
            if kind not in ("good", "interim", "interim_apart"):
                connection.close()
                return

    def accept():
        while True:
            connection, _ = listener.accept()
            gevent.spawn(serve, connection)

    gevent.spawn(accept)
    url = "http://127.0.0.1:%d" % listener.getsockname()[1]
    if kind == "refused":
        listener.close()
    endpoint = Endpoint(url=url, path="/v1/chat/completions", timeout_s=0.4)
    connections = Connections(url, 0.4)
    exchanger = Exchanger(endpoint, connections, worker=0, keep=print)
    for number in range(2):
        body = memoryview(b"x" * 300_000)
        due = Due(f"r{number}", "measure", time.monotonic_ns(), "i", "image", body)
        print(msgspec.json.encode(exchanger.exchange(due)).decode())
    """
)


def exchange_twice(kind):
    done = subprocess.run([sys.executable, "-c", SCRIPT, kind], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.live
@pytest.mark.parametrize(
    ("kind", "outcome", "status"),
    [
        ("good", "ok", 200),
        ("interim", "ok", 200),
        ("interim_apart", "ok", 200),
        ("framing_never_ends", "ok", 200),
        ("not_utf8", "malformed", 200),
        ("nested", "malformed", 200),
        ("gzip", "malformed", 200),
        ("event_error", "http_error", 200),
        ("cut_after_done", "ok", 200),
        ("until_close", "ok", 200),
        ("http_500", "http_error", 500),
        ("http_503_cut", "http_error", 503),
        ("closed", "connection_error", None),
        ("reset", "connection_error", None),
        ("refused", "connection_error", None),
        ("truncated_body", "truncated", 200),
        ("truncated_stream", "truncated", 200),
        ("no_done", "truncated", 200),
        ("malformed_event", "malformed", 200),
        ("not_http", "malformed", None),
        ("wrong_type", "malformed", 200),
        ("stream_error", "http_error", 200),
        ("empty", "wrong_output", 200),
        ("never", "timeout", None),
    ],
)
def test_every_fault_of_a_server_has_its_kind(kind, outcome, status):
    for record in exchange_twice(kind):
        assert (record["outcome"], record["status"]) == (outcome, status), record["error"]
        assert (record["error"] is None) == (outcome == "ok")
        if kind == "refused":
            assert record["sent_ns"] is None
            continue
        assert record["due_ns"] <= record["sent_ns"] <= record["done_ns"]
        if outcome == "ok":
            assert record["sent_ns"] < record["first_byte_ns"] <= record["first_token_ns"] <= record["done_ns"]
            assert record["bytes_up"] == 300_000


@pytest.mark.live
def test_a_connection_is_kept_alive_and_a_broken_one_is_not():
    first, second = exchange_twice("good")
    assert first["connect_ns"] > 0
    assert second["connect_ns"] == 0
    assert all(record["connect_ns"] > 0 for record in exchange_twice("truncated_stream"))
