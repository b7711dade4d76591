"""The overlay as SGLang's plugin, and what it shares with the older versions, without SGLang."""

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import types
from pathlib import Path

import pytest

from mmload.handoff.counters import Counters
from mmload.handoff.strategy import BuildFailed, HandoffFailed, Strategy
from mmload.serve import overlay
from mmload.serve.overlay.envelope import Envelope, opened
from mmload.serve.overlay.plugin.http_server import refuse_other_transports
from mmload.serve.overlay.rank_side import RankSide, add_request_to_queue, get_multimodal_inputs
from mmload.serve.overlay.tokenizer_side import Kinds, TokenizerSide

HOOK = Path(overlay.__file__).parent / "hook"

# SGLang's loader and registry, as far as the overlay sees them.
LOADER = """
import importlib.metadata
from sglang.srt.plugins.hook_registry import HookRegistry

def load_plugins():
    for point in importlib.metadata.entry_points(group="sglang.srt.plugins"):
        try:
            point.load()()
        except Exception as error:
            print("swallowed", error)
    HookRegistry.apply_hooks()
"""
REGISTRY = """
import enum, functools, pkgutil, typing
HookType = enum.Enum("HookType", ["AROUND"])
HookSource = typing.NamedTuple("HookSource", [("plugin_name", str), ("dist_name", object)])

class HookRegistry:
    hooks = {}

    @classmethod
    def register(cls, target, hook, hook_type, *, source):
        cls.hooks[target] = hook

    @classmethod
    def apply_hooks(cls):
        for target, hook in cls.hooks.items():
            owner, _, name = target.rpartition(".")
            owner = pkgutil.resolve_name(owner)
            inner = getattr(owner, name)
            print("hooked", name)
            setattr(owner, name, functools.wraps(inner)(functools.partial(hook, inner)))
        cls.hooks.clear()
"""
MM_UTILS = """
def hash_feature(f):
    return 7

def wrap_shm_features(obj):
    return obj.mm_inputs.mm_items
"""
PLUGIN = "mmload.serve.overlay.plugin.entry"
LOAD = "from sglang.srt.plugins import load_plugins; load_plugins()"
USE = "import sglang.srt.managers.mm_utils as m; print(m.hash_feature(0))"


@pytest.fixture
def sglang(tmp_path):
    """sglang(code, **environment) runs code beside a package of this name; sglang.add(module, source) adds to it."""

    def add(module, source):
        file = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)

    def run(code, **environment):
        settings = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{HOOK}{os.pathsep}{tmp_path}", **environment}
        return subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=False)

    for package in ("sglang", "sglang.srt", "sglang.srt.managers", "sglang.srt.entrypoints"):
        add(f"{package}.__init__", "")
    add("sglang.srt.managers.mm_utils", MM_UTILS)
    run.add = add
    return run


@pytest.fixture
def with_plugins(sglang):
    sglang.add("sglang.srt.plugins.__init__", LOADER)
    sglang.add("sglang.srt.plugins.hook_registry", REGISTRY)
    return sglang


HOSTED = {"MMLOAD_HOOKS": "mmload.serve.overlay.install", overlay.VARIANT_VARIABLE: "shm"}


def test_the_plugin_is_found_on_the_path_and_hooks_what_is_imported_later(with_plugins):
    assert with_plugins(f"{LOAD}\n{USE}", **HOSTED).stdout == "hooked hash_feature\nhooked wrap_shm_features\n7\n"


def test_what_is_in_memory_already_is_hooked_by_the_loader(with_plugins):
    assert "hooked hash_feature" in with_plugins(f"{USE}\n{LOAD}", **HOSTED).stdout


def test_without_a_variant_the_plugin_does_nothing(with_plugins):
    done = with_plugins(f"{LOAD}\n{USE}\nimport sys; print('{PLUGIN}' in sys.modules)", MMLOAD_HOOKS="")
    assert done.stdout == "7\nFalse\n", done.stderr


def test_a_version_that_looks_otherwise_ends_the_process_though_the_loader_swallows_errors(with_plugins):
    with_plugins.add("sglang.srt.managers.mm_utils", MM_UTILS.replace("hash_feature(f)", "hash_feature(f, seed=0)"))
    for order in (f"{LOAD}\n{USE}", f"{USE}\n{LOAD}"):
        done = with_plugins(f"{order}\nprint('went on')", **HOSTED)
        assert "went on" not in done.stdout
        assert "mm_utils.hash_feature takes (f, seed) and not (f)" in done.stderr


def test_a_server_whose_plugins_are_loaded_without_ours_is_refused(with_plugins):
    with_plugins.add("sglang.srt.entrypoints.http_server", "")
    done = with_plugins("import sglang.srt.entrypoints.http_server; print('went on')", **HOSTED)
    assert "went on" not in done.stdout
    assert "SGLang did not load the plugin `mmload`" in done.stderr


def test_a_version_with_plugins_is_hooked_by_nothing_else(with_plugins):
    assert with_plugins(f"{USE}\nprint(hasattr(m.hash_feature, '__wrapped__'))", **HOSTED).stdout == "7\nFalse\n"


def test_a_version_without_plugins_is_hooked_on_import(sglang):
    assert sglang(f"{USE}\nprint(hasattr(m.hash_feature, '__wrapped__'))", **HOSTED).stdout == "7\nTrue\n"


class Environ:
    def __init__(self, value):
        self.get = lambda: value


@pytest.mark.parametrize(
    ("args", "environ", "said"),
    [
        ({"mm_feature_transport": "cuda_ipc"}, {}, "--mm-feature-transport cuda_ipc"),
        ({}, {"SGLANG_USE_PICKLE_IPC": False}, "SGLANG_USE_PICKLE_IPC=0"),
        ({}, {"SGLANG_RUST_SERVER": True}, "SGLANG_RUST_SERVER=1"),
    ],
)
def test_other_transports_are_refused_by_their_option(monkeypatch, args, environ, said):
    def look(args, environ):
        envs = {name: Environ(value) for name, value in environ.items()}
        monkeypatch.setitem(
            sys.modules, "sglang.srt.environ", types.SimpleNamespace(envs=types.SimpleNamespace(**envs))
        )
        refuse_other_transports(types.SimpleNamespace(**args))

    usual = {"SGLANG_USE_PICKLE_IPC": True, "SGLANG_RUST_SERVER": False}
    look({"mm_feature_transport": "cpu"}, usual)
    with pytest.raises(SystemExit, match=said):
        look(args, usual | environ)


def test_an_envelope_that_is_forgotten_withdraws_its_payload_and_one_that_was_sent_does_not():
    withdrawn = []
    Envelope("forgotten", withdrawn.append)
    envelope = Envelope("sent", withdrawn.append)
    envelope.sent()
    del envelope
    gc.collect()
    assert withdrawn == ["forgotten"]


def test_the_ranks_open_what_the_tokenizer_put_into_an_envelope():
    there = pickle.loads(pickle.dumps(Envelope({"rid": 1}, print)))
    assert opened(there) == {"rid": 1}
    assert list(there.mm_items) == []
    assert opened("raw") == "raw"


class Counting(Strategy):
    """Each payload is a number of its own; the word `full` is refused, and no rank can build from `bad`."""

    name = "counting"

    def __init__(self, host):
        super().__init__(host)
        self.made, self.withdrawn, self.aborted = 0, [], []

    def at_tokenizer(self, raw):
        if raw == "full":
            raise HandoffFailed("no room")
        self.made += 1
        return self.made

    def withdraw(self, payload):
        self.withdrawn.append(payload)

    def materialise(self, request):
        if request.mm_inputs == "bad":
            raise BuildFailed("bad")
        return f"inputs of {request.mm_inputs}"

    def on_abort(self, rid):
        self.aborted.append(rid)


class HttpError(Exception):
    pass


def request(mm_inputs, n=1):
    return types.SimpleNamespace(rid="r", mm_inputs=mm_inputs, sampling_params=types.SimpleNamespace(n=n))


@pytest.fixture
def tokenizer(monkeypatch):
    """tokenizer(variant, kinds of inputs that are SGLang's own)"""

    def tokenizer(variant, *own):
        monkeypatch.setenv(overlay.VARIANT_VARIABLE, variant)
        return TokenizerSide(Counters(), str, Kinds(types.SimpleNamespace, own, HttpError))

    return tokenizer


COUNTING = f"{__name__}:Counting"


def test_what_sglang_can_carry_travels_as_it_is(tokenizer):
    raw = request("raw")
    asyncio.run(tokenizer("original", str).tokenized(raw))
    assert raw.mm_inputs == "raw"


def test_any_other_payload_travels_in_an_envelope_and_is_withdrawn_where_its_request_is_forgotten(tokenizer):
    side = tokenizer(COUNTING, str)
    leaves, stays = request("raw"), request("raw")
    for each in (leaves, stays):
        asyncio.run(side.tokenized(each))
        side.before_sending(each)
    assert [opened(leaves.mm_inputs), opened(stays.mm_inputs)] == [1, 2]
    side.sent(leaves)
    del leaves, stays, each
    gc.collect()
    assert side.strategy.withdrawn == [2]


def test_each_copy_of_a_request_has_a_payload_of_its_own_made_when_it_is_sent(tokenizer):
    side = tokenizer(COUNTING, str)
    copies = [request("raw", n=2) for _ in range(2)]
    asyncio.run(side.tokenized(copies[0]))
    assert copies[0].mm_inputs == "raw"
    for copy in copies:
        side.before_sending(copy)
    assert [opened(copy.mm_inputs) for copy in copies] == [1, 2]


def test_what_can_not_be_handed_over_is_refused_with_503_and_words_pass_by(tokenizer):
    side = tokenizer(COUNTING)
    with pytest.raises(HttpError) as refused:
        asyncio.run(side.tokenized(request("full")))
    assert refused.value.args == (503, "no room")
    words = request(None)
    asyncio.run(side.tokenized(words))
    side.sent(words)
    assert (words.mm_inputs, side.strategy.made) == (None, 0)


def test_a_payload_whose_client_left_while_it_was_made_is_withdrawn(tokenizer):
    side = tokenizer(COUNTING)
    inner = side.strategy.at_tokenizer

    async def leave():
        loop, reached, go_on = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

        def slowly(raw):
            loop.call_soon_threadsafe(reached.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
            return inner(raw)

        side.strategy.at_tokenizer = slowly
        tokenizing = asyncio.create_task(side.tokenized(request("raw")))
        await reached.wait()
        tokenizing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tokenizing
        go_on.set()
        await asyncio.to_thread(side._threads.shutdown)

    asyncio.run(leave())
    assert side.strategy.withdrawn == [1]


class Board:
    def __init__(self):
        self.agreed = []
        self.agree = self.agreed.append


@pytest.fixture
def scheduler(monkeypatch):
    """As far as the hooks see it: .mmload, what it queued, and a handler of its own."""
    monkeypatch.setenv(overlay.VARIANT_VARIABLE, COUNTING)
    scheduler = types.SimpleNamespace(queue=[])
    scheduler.mmload = RankSide(types.SimpleNamespace(counters=Counters(), rank=1), Board())

    def handle(request):
        made = None
        if request.mm_inputs is not None:
            made = get_multimodal_inputs(lambda _self, raw: f"SGLang's own of {raw}", scheduler, request.mm_inputs)
        queued = types.SimpleNamespace(made=made, error=None)
        queued.set_finish_with_abort = lambda error: setattr(queued, "error", error)
        add_request_to_queue(lambda self, req: self.queue.append(req), scheduler, queued)

    scheduler.handle = handle
    return scheduler


def test_a_request_is_opened_on_receipt_and_made_by_the_strategy(scheduler):
    received = request(Envelope("payload"))
    scheduler.mmload.receive([received])
    assert received.mm_inputs == "payload"
    scheduler.mmload.handle(received, scheduler.handle)
    assert scheduler.queue[0].made == "inputs of payload"
    assert scheduler.mmload.host.counters["receive_batches"] == 1


def test_a_request_that_no_rank_can_build_leaves_with_an_error_and_the_next_one_without(scheduler):
    scheduler.mmload.handle(request("bad"), scheduler.handle)
    scheduler.mmload.handle(request("good"), scheduler.handle)
    assert [queued.error for queued in scheduler.queue] == ["The multimodal inputs can't be built: bad", None]
    assert scheduler.mmload._board.agreed == ["r"]
    assert scheduler.mmload.strategy.aborted == []


def test_a_request_of_another_kind_is_made_as_sglang_makes_it(scheduler):
    scheduler.handle(request("embedded"))
    assert scheduler.queue[0].made == "SGLang's own of embedded"


def test_what_is_held_for_a_request_that_sglang_refuses_before_its_inputs_is_forgotten(scheduler):
    scheduler.mmload.handle(request("payload"), lambda _request: None)
    assert scheduler.mmload.strategy.aborted == ["r"]
