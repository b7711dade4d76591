"""What is asked of a server before anything is measured."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from mmload.errors import ServerError, UsageError
from mmload.model.plan import OpenLoop, Plan
from mmload.serve.client import Announcement, RankWord, ServerClient, ServerInfo
from mmload.serve.engines import start_command
from mmload.serve.process import free_port
from mmload.serve.target import Target, check_ready_for, preflight


def a_plan(**more):
    plan = Plan(variant=None, workload_name="text", workload={}, load=OpenLoop(rate_rps=1))
    return msgspec.structs.replace(plan, **more)


def an_info(**more):
    info = ServerInfo(engine="sglang", version="0.5.6", model="m", tp=2, idle_policy="poll", announcement=None)
    return msgspec.structs.replace(info, **more)


def announced(*variants, variant="optimized"):
    ranks = [RankWord(rank=rank, variant=word) for rank, word in enumerate(variants)]
    return an_info(announcement=Announcement(variant=variant, ranks=ranks))


@pytest.fixture
def fake():
    """fake(**answers) -> URL of a server that answers GET path with (status, text)."""
    servers = []

    def start(answers):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, text = answers.get(self.path, (404, ""))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_stock_server_is_described_by_its_own_flags(fake):
    flags = {"version": "0.5.6", "tp_size": 4, "model_path": "qwen", "sleep_on_idle": False, "internal_states": [1]}
    model = {"has_image_understanding": True, "has_audio_understanding": False}
    url = fake({"/server_info": (200, json.dumps(flags)), "/model_info": (200, json.dumps(model))})
    info = ServerClient(url).info()
    assert (info.engine, info.version, info.tp, info.model) == ("sglang", "0.5.6", 4, "qwen")
    assert (info.idle_policy, info.images, info.audio, info.announcement) == ("poll", True, False, None)
    assert "internal_states" not in info.flags


def test_older_paths_are_asked_too(fake):
    url = fake({"/get_server_info": (200, '{"version": "0.5.5"}'), "/get_model_info": (200, '{"model_path": "m"}')})
    assert ServerClient(url).info().version == "0.5.5"


def test_something_that_is_not_sglang_is_said_to_be_so(fake):
    with pytest.raises(ServerError, match="not as an SGLang server"):
        ServerClient(fake({"/": (200, "hello")})).info()


@pytest.mark.parametrize("text", ["<html>", "[1]", ""])
def test_an_answer_that_is_no_document_is_no_information(fake, text):
    with pytest.raises(ServerError):
        ServerClient(fake({"/server_info": (200, text)})).info()


def test_health_is_a_200_and_nothing_else(fake):
    assert ServerClient(fake({"/health": (200, "")})).is_healthy(1.0)
    assert not ServerClient(fake({"/health": (503, "")})).is_healthy(1.0)
    assert not ServerClient(f"http://127.0.0.1:{free_port()}").is_healthy(1.0)


def test_an_unhealthy_server_is_not_waited_for_when_attached(fake):
    url = fake({"/health": (503, ""), "/server_info": (200, "{}"), "/v1/models": (200, '{"data": []}')})
    with pytest.raises(ServerError, match="not healthy"):
        Target(url, server=None).wait_until_ready(lambda: None)


@pytest.mark.parametrize("modality", ["image", "images", "video", "mixed"])
def test_a_text_only_server_is_not_asked_for_images(modality):
    with pytest.raises(UsageError, match="text only"):
        check_ready_for(an_info(images=False), {"text", modality}, None)


def test_what_a_server_will_not_say_is_not_held_against_it():
    check_ready_for(an_info(images=None, audio=None), {"image", "audio", "video"}, None)
    check_ready_for(an_info(images=False, audio=False), {"text"}, "stock")


def test_a_server_without_audio_is_not_asked_for_it():
    with pytest.raises(UsageError, match="no audio"):
        check_ready_for(an_info(audio=False), {"audio"}, None)


@pytest.mark.parametrize(
    ("asked", "info"),
    [
        ("optimized", announced("optimized", "optimized")),
        (None, announced("optimized", "optimized")),
        ("stock", announced("original", "original", variant="stock")),
        (None, announced("original", "original", variant="stock")),
        ("stock", an_info()),
        (None, an_info()),
    ],
)
def test_ranks_that_run_what_was_asked_for_are_accepted(asked, info):
    check_ready_for(info, {"text"}, asked)


@pytest.mark.parametrize(
    ("asked", "info", "said"),
    [
        ("optimized", announced("optimized", "original"), "rank 1 runs original"),
        (None, announced("optimized", "original"), "rank 1 runs original"),
        ("commit", announced("optimized", "optimized"), "rank 0 runs optimized, rank 1 runs optimized"),
        ("stock", announced("optimized", "optimized"), "rank 0 runs optimized"),
        ("optimized", an_info(), "does not say which variant it runs"),
    ],
)
def test_a_rank_that_runs_another_variant_is_named(asked, info, said):
    with pytest.raises(ServerError, match=said):
        check_ready_for(info, {"text"}, asked)


def test_preflight_finds_a_port_in_use_and_an_unknown_engine(fake):
    port = int(fake({}).rpartition(":")[2])
    with pytest.raises(ServerError, match=f"port {port} is in use"):
        preflight(a_plan(port=port))
    with pytest.raises(UsageError, match="unknown engine"):
        preflight(a_plan(engine="sglang-xpu"))
    assert preflight(a_plan()) == "stock"
    assert preflight(a_plan(variant="commit")) == "commit"


def test_preflight_takes_an_attached_servers_word(fake):
    said = {"mmload": {"variant": "optimized", "idle_policy": "sleep", "ranks": []}}
    url = fake({"/server_info": (200, json.dumps(said))})
    assert preflight(a_plan(url=url, engine=None)) == "optimized"
    assert preflight(a_plan(url=fake({"/v1/models": (200, "{}"), "/server_info": (200, '{"x": 1}')}))) == "stock"


@pytest.mark.parametrize("url", ["localhost:30000", "ftp://host", "http://", ""])
def test_a_url_without_its_parts_is_refused(url):
    with pytest.raises(UsageError, match="is not a server's URL"):
        ServerClient(url)


def test_the_start_command_carries_every_option():
    command = start_command("standin", port=1, tp=4, variant="commit", model="m", args=("--poll-on-idle",))
    assert command[1:] == [
        *("-m", "mmload.standin", "--port", "1", "--tp", "4", "--variant", "commit", "--model", "m", "--poll-on-idle")
    ]
