"""HTTPS, bearer token, headers of one's own and extra body fields, on the wire."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
import trustme

from mmload.errors import UsageError
from mmload.model.plan import Access
from mmload.plan.access import Site, check_access, request_headers, tls_context

EVENTS = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n'


@pytest.fixture
def secure(tmp_path):
    """A TLS server that keeps what it is sent: (url, file of the authority, requests, connections)."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    requests, connections = [], set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.headers.items(), body))
            connections.add(self.client_address)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(EVENTS)))
            self.end_headers()
            self.wfile.write(EVENTS)

        def do_GET(self):
            self.send_response(200 if self.headers["Authorization"] == "Bearer secret" else 401)
            host = ",".join(self.headers.get_all("Host")).encode()
            self.send_header("Content-Length", str(len(host)))
            self.end_headers()
            self.wfile.write(host)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}", tmp_path / "ca.pem", requests, connections
    server.shutdown()
    server.server_close()


@pytest.mark.live
def test_a_load_goes_over_tls_with_what_was_asked_for(secure, run_load):
    url, ca, requests, connections = secure
    access = Access(ca_file=str(ca), headers={"X-Team": "vision"})
    load = run_load(url, rate_rps=40, access=access, extra_body={"top_p": 0.5}, environment={"MMLOAD_TOKEN": "secret"})
    load.start()
    records = load.finish()
    assert {record.outcome for record in records} == {"ok"}, records[0].error
    assert len(requests) == len(records) == 60
    for sent, body in requests:
        headers = dict(sent)
        assert headers["Authorization"] == "Bearer secret"
        assert headers["X-Team"] == "vision"
        assert headers["X-Request-Id"] in {record.id for record in records}
        assert json.loads(body)["top_p"] == 0.5
    assert len(connections) < 15
    assert sum(record.connect_ns > 0 for record in records) == len(connections)


@pytest.mark.live
def test_host_and_authorization_take_the_place_of_mmloads_own_however_they_are_written(secure, run_load):
    url, ca, requests, _ = secure
    access = Access(ca_file=str(ca), headers={"host": "vision.example", "AUTHORIZATION": "Bearer secret"})
    load = run_load(url, rate_rps=20, access=access, environment={"MMLOAD_TOKEN": "another"})
    load.start()
    assert {record.outcome for record in load.finish()} == {"ok"}
    for headers, _ in requests:
        assert [(k, v) for k, v in headers if k.lower() == "host"] == [("Host", "vision.example")]
        assert [v for k, v in headers if k.lower() == "authorization"] == ["Bearer secret"]
    assert Site(url, access).get("/health", 5.0).body == b"vision.example"


@pytest.mark.live
def test_a_certificate_that_nobody_vouches_for_is_a_connection_error_unless_taken_on_purpose(secure, run_load):
    url, _, requests, _ = secure
    load = run_load(url, rate_rps=20, access=Access())
    load.start()
    records = load.finish()
    assert {record.outcome for record in records} == {"connection_error"}
    assert "certificate" in records[0].error.lower()
    assert requests == []


@pytest.mark.live
def test_control_requests_carry_the_token_too(secure):
    url, ca, _, _ = secure
    access = Access(headers={"Authorization": "Bearer secret"}, ca_file=str(ca))
    assert Site(url, access).get("/health", 5.0).status == 200
    assert Site(url, msgspec.structs.replace(access, ca_file=None, verify=False)).get("/health", 5.0).status == 200
    assert Site(url, Access(ca_file=str(ca))).get("/health", 5.0).status == 401
    with pytest.raises(ssl.SSLError):
        Site(url, Access()).get("/health", 5.0)


def test_no_secret_stands_in_a_plan():
    access = Access(token_variable="MY_TOKEN", headers={"X-A": "b"})
    assert request_headers(access, {"MY_TOKEN": "s"}) == {"Authorization": "Bearer s", "X-A": "b"}
    assert request_headers(access, {}) == {"X-A": "b"}
    assert b"Bearer" not in msgspec.json.encode(access)


def test_a_url_is_the_same_however_its_scheme_is_written():
    assert (Site("HTTP://127.0.0.1:1/v1/").url, Site("http://[::1]").port) == ("http://127.0.0.1:1/v1", 80)


def test_a_certificate_file_that_is_none_is_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        tls_context(Access(ca_file=str(tmp_path / "nowhere.pem")))
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(UsageError, match="bad"):
        tls_context(Access(ca_file=str(tmp_path / "bad.pem")))


@pytest.mark.parametrize("token", ["secret\r", "sec\nret", "sec ret", "s\u00e9cret", "\u65e5\u672c"])
def test_a_token_that_no_header_can_bear_is_refused_without_repeating_it(token):
    with pytest.raises(UsageError, match=r"\$MY_TOKEN holds more than a token") as refused:
        request_headers(Access(token_variable="MY_TOKEN"), {"MY_TOKEN": token})
    assert token not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("value", ["\u65e5\u672c", "a\nb", "a\x00b"])
def test_so_is_the_value_of_a_header(value):
    with pytest.raises(UsageError, match="the value of the header X-A") as refused:
        check_access(None, Access(headers={"X-A": value}))
    assert value not in str(refused.value)
