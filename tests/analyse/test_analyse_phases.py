"""Which phase a stack belongs to."""

import pytest

from mmload.analyse.phases import Judge
from mmload.errors import ConfigError
from mmload.plan.config import convert, names
from mmload.plan.phases import PhaseRule, PhaseRules, rules_for

LOOP = "run_scheduler_process (sglang/srt/managers/scheduler.py:2679);Scheduler.event_loop_normal (sglang/srt/managers/scheduler.py:970)"
RECEIVE = f"{LOOP};Scheduler.recv_requests (sglang/srt/managers/scheduler.py:1156)"
BROADCAST = "_exception_logger.<locals>.wrapper (torch/distributed/c10d_logger.py:83);broadcast (torch/distributed/distributed_c10d.py:3151)"
HANDLE = f"{LOOP};Scheduler.process_input_requests (sglang/srt/managers/scheduler.py:1184);Scheduler.handle_generate_request (sglang/srt/managers/scheduler.py:1354)"
COMMIT = f"{HANDLE};Scheduler._process_and_broadcast_mm_inputs (sglang/srt/managers/scheduler.py:1249)"
FROM_DICT = f"{HANDLE};MultimodalInputs.from_dict (sglang/srt/managers/schedule_batch.py:332)"
NEXT = f"{LOOP};Scheduler.get_next_batch_to_run (sglang/srt/managers/scheduler.py:1675)"
SELF_CHECK = f"{LOOP};SchedulerRuntimeCheckerMixin.self_check_during_idle (sglang/srt/managers/scheduler_runtime_checker_mixin.py:300)"
PYOBJ = "broadcast_pyobj (sglang/srt/utils/common.py:{})"
RECV = "Socket.recv_pyobj (zmq/sugar/socket.py:{})"
SEND = "Socket.send_pyobj (zmq/sugar/socket.py:1002)"

# As they stand in SGLang 0.5.6 and pyzmq 27.
SOURCE = {
    "sglang/srt/managers/scheduler.py:1156": "recv_reqs = broadcast_pyobj(",
    "sglang/srt/managers/scheduler.py:1174": "for recv_req in recv_reqs:",
    "sglang/srt/utils/common.py:1285": "dist.broadcast(tensor_size, src=src, group=dist_group)",
    "sglang/srt/utils/common.py:1287": "serialized_data = pickle.dumps(data)",
    "sglang/srt/utils/common.py:1296": "dist.broadcast(tensor_data, src=src, group=dist_group)",
    "sglang/srt/utils/common.py:1300": "dist.broadcast(tensor_size, src=src, group=dist_group)",
    "sglang/srt/utils/common.py:1309": "serialized_data = bytes(tensor_data.cpu().numpy())",
    "sglang/srt/utils/common.py:1310": "data = pickle.loads(serialized_data)",
    "zmq/sugar/socket.py:1002": "msg = pickle.dumps(obj, protocol)",
    "zmq/sugar/socket.py:1033": "msg = self.recv(flags)",
    "zmq/sugar/socket.py:1034": "return self._deserialize(msg, pickle.loads)",
}


def phase_of(stack, rules, source):
    return Judge(rules, source).phase(stack)


def rules(*rows):
    return PhaseRules(rules=tuple(PhaseRule(**row) for row in rows))


@pytest.mark.parametrize(
    ("phase", "stack"),
    [
        ("idle-poll", f"{RECEIVE};{RECV.format(1033)}"),
        ("idle-poll", f"{RECEIVE};{RECV.format(1033)};Again.__init__ (zmq/error.py:130)"),
        ("idle-poll", f"{RECEIVE};{PYOBJ.format(1285)};{BROADCAST}"),
        ("idle-poll", f"{RECEIVE};{PYOBJ.format(1300)};{BROADCAST}"),
        ("idle-poll", f"{SELF_CHECK};_check_radix_cache_memory (sglang/srt/managers/scheduler_runtime_checker_mixin.py:128)"),
        ("idle-poll", f"{SELF_CHECK};RadixCache.evictable_size (sglang/srt/mem_cache/radix_cache.py:604)"),
        ("idle-poll", f"{LOOP};Scheduler.process_input_requests (sglang/srt/managers/scheduler.py:1174)"),
        ("idle-poll", f"{LOOP};EnvField.get (sglang/srt/environ.py:24);getenv (<frozen os>:777)"),
        ("idle-poll", LOOP),
        ("pickle", f"{RECEIVE};{RECV.format(1034)};Socket._deserialize (zmq/sugar/socket.py:840)"),
        ("pickle", f"{RECEIVE};{PYOBJ.format(1287)}"),
        ("pickle", f"{RECEIVE};{PYOBJ.format(1310)};_load_from_bytes (torch/storage.py:535)"),
        ("broadcast", f"{RECEIVE};{PYOBJ.format(1296)};{BROADCAST}"),
        ("broadcast", f"{RECEIVE};{PYOBJ.format(1309)}"),
        ("broadcast", RECEIVE),
        ("broadcast", f"{COMMIT};broadcast_object_list (torch/distributed/distributed_c10d.py:4045);{BROADCAST}"),
        ("pickle", f"{COMMIT};broadcast_object_list (torch/distributed/distributed_c10d.py:4010);_object_to_tensor (torch/distributed/distributed_c10d.py:3000)"),
        ("materialise", FROM_DICT),
        ("hash", f"{FROM_DICT};MultimodalDataItem.set_pad_value (sglang/srt/managers/schedule_batch.py:255);data_hash (sglang/srt/managers/mm_utils.py:796)"),
        ("schedule", HANDLE),
        ("schedule", f"{NEXT};RadixCache.evictable_size (sglang/srt/mem_cache/radix_cache.py:604)"),
        ("forward", f"{LOOP};Scheduler.run_batch (sglang/srt/managers/scheduler.py:2000);all_reduce (torch/distributed/distributed_c10d.py:3245)"),
        ("reply", f"{LOOP};Scheduler.process_batch_result (sglang/srt/managers/scheduler.py:2100);{SEND}"),
        ("pickle", f"TokenizerManager._send_one_request (sglang/srt/managers/tokenizer_manager.py:1009);{SEND}"),
        ("device-wait", f"{LOOP};Scheduler.process_batch_result (sglang/srt/managers/scheduler.py:2112);Event.synchronize (torch/cuda/streams.py:231)"),
        ("other", "<module> (<string>:1)"),
    ],
)  # fmt: skip
def test_stacks_seen_in_sglang_have_their_phase(phase, stack):
    assert phase_of(stack, rules_for("sglang"), SOURCE) == phase


def test_without_source_lines_a_broadcast_that_may_be_work_is_work():
    assert phase_of(f"{RECEIVE};{PYOBJ.format(1285)};{BROADCAST}", rules_for("sglang"), {}) == "broadcast"


RANK = "Scheduler.{} (mmload/standin/rank.py:1)"
EVENT_LOOP = RANK.format("event_loop")


@pytest.mark.parametrize(
    ("phase", "functions"),
    [
        ("idle-poll", "recv_requests poll_for_work wait_for_work"),
        ("idle-poll", "recv_requests wait_for_work"),
        ("device-wait", "run_batch wait_for_device"),
        ("receive", "recv_requests read_inbox"),
        ("pickle", "recv_requests read_inbox unpickle_object"),
        ("broadcast", "recv_requests broadcast_pyobj send_object broadcast _send"),
        ("pickle", "recv_requests broadcast_pyobj send_object pickle_object"),
        ("materialise", "process_input_requests handle_generate_request materialise build from_dict"),
        ("hash", "process_input_requests handle_generate_request materialise from_dict set_pad_value hash_feature"),
        ("broadcast", "process_input_requests handle_generate_request materialise broadcast_object broadcast_size"),
        ("schedule", "process_input_requests handle_generate_request add"),
        ("schedule", "get_next_batch_to_run next_batch"),
        ("forward", "run_batch gather_digests gather"),
        ("reply", "process_batch_result _reply"),
        ("schedule", ""),
    ],
)
def test_the_functions_of_the_stand_in_have_their_phase(phase, functions):
    stack = ";".join([EVENT_LOOP, *(RANK.format(function) for function in functions.split())])
    assert phase_of(stack, rules_for("standin"), {}) == phase


WAITS = ";".join(
    RANK.format(function) for function in ("event_loop", "recv_requests", "poll_for_work", "wait_for_work")
)


@pytest.mark.parametrize(
    ("phase", "below"),
    [
        ("idle-poll", "Collective.broadcast_size (mmload/standin/collective.py:90);_send (mmload/standin/collective.py:120)"),
        ("idle-poll", "Socket.poll (zmq/sugar/socket.py:1106)"),
        ("hash", "hash_feature (mmload/standin/inputs.py:60)"),
        ("materialise", "from_dict (mmload/standin/inputs.py:40);<listcomp> (mmload/standin/inputs.py:41)"),
    ],
)  # fmt: skip
def test_a_stack_that_was_torn_between_work_and_a_wait_belongs_to_the_work(phase, below):
    """Its innermost frames were read first."""
    assert phase_of(f"{WAITS};{below}", rules_for("standin"), {}) == phase


HTTP = "Handle._run (asyncio/events.py:80);RequestHandler.start (aiohttp/web_protocol.py:676)"
RESPOND = f"{HTTP};Frontend._respond (mmload/standin/frontend.py:142)"
POOL = "Thread.run (threading.py:982);_worker (concurrent/futures/thread.py:83);Frontend._prepare (mmload/standin/frontend.py:150)"
TRANSPORT = "_SelectorSocketTransport.{} (asyncio/selector_events.py:1057)"


@pytest.mark.parametrize(
    ("phase", "stack"),
    [
        ("receive", f"{TRANSPORT.format('_read_ready__data_received')};RequestHandler.data_received (aiohttp/web_protocol.py:446)"),
        ("receive", f"{RESPOND};BaseRequest.read (aiohttp/web_request.py:754)"),
        ("receive", f"{POOL};parse (mmload/standin/openai.py:79);decode_media (mmload/standin/api.py:56)"),
        ("reply", f"{RESPOND};_stream (mmload/standin/frontend.py:161);StreamWriter.write (aiohttp/http_writer.py:211)"),
        ("reply", f"StreamWriter._writelines (aiohttp/http_writer.py:116);{TRANSPORT.format('write')}"),
        ("reply", "Manager._read_replies (mmload/standin/manager.py:132);Socket.poll (zmq/sugar/socket.py:1106)"),
        ("pickle", f"{POOL};Processor.prepare (mmload/standin/processor.py:47);pickle_object (mmload/standin/pickles.py:13)"),
        ("other", f"{POOL};Processor.prepare (mmload/standin/processor.py:34);image_features (mmload/standin/vision.py:91)"),
    ],
)  # fmt: skip
def test_the_tokenizer_of_the_stand_in_receives_and_replies(phase, stack):
    assert phase_of(stack, rules_for("standin"), {}) == phase


ASGI = "RequestResponseCycle.run_asgi (uvicorn/protocols/http/httptools_impl.py:420);get_request_handler.<locals>.app (fastapi/routing.py:428)"
STREAM = f"{ASGI};StreamingResponse.stream_response (starlette/responses.py:253);OpenAIServingChat._generate_chat_stream (sglang/srt/entrypoints/openai/serving_chat.py:487)"
GENERATE = "TokenizerManager.generate_request (sglang/srt/managers/tokenizer_manager.py:429)"


@pytest.mark.parametrize(
    ("phase", "stack"),
    [
        ("receive", "HttpToolsProtocol.data_received (uvicorn/protocols/http/httptools_impl.py:170)"),
        ("receive", f"{ASGI};Request.json (starlette/requests.py:264);loads (json/__init__.py:299)"),
        ("other", f"{STREAM};{GENERATE};TokenizerManager._tokenize_one_request (sglang/srt/managers/tokenizer_manager.py:672)"),
        ("reply", f"{STREAM};{GENERATE};TokenizerManager._wait_one_response (sglang/srt/managers/tokenizer_manager.py:1041)"),
        ("reply", STREAM),
    ],
)  # fmt: skip
def test_the_tokenizer_of_sglang_receives_and_replies(phase, stack):
    assert phase_of(stack, rules_for("sglang"), SOURCE) == phase


SLEEPING = {
    "standin": [
        f"{RANK.format('recv_requests')};{RANK.format('wait_for_work')};Socket.poll (zmq/sugar/socket.py:1106)",
        f"{RANK.format('run_batch')};wait_for_device (mmload/standin/rank.py:228)",
        "BaseEventLoop._run_once (asyncio/base_events.py:1890);EpollSelector.select (selectors.py:468)",
        "Thread.run (threading.py:982);_worker (concurrent/futures/thread.py:81)",
    ],
    "sglang": [
        f"{LOOP};IdleSleeper.maybe_sleep (sglang/srt/managers/scheduler.py:2571);Poller.poll (zmq/sugar/poll.py:106)",
        "Thread.run (threading.py:982);_worker (concurrent/futures/thread.py:81)",
    ],
}
SPINNING = {
    "standin": [
        f"{RANK.format('poll_for_work')};{RANK.format('wait_for_work')};Socket.poll (zmq/sugar/socket.py:1106)"
    ],
    "sglang": [f"{RECEIVE};{RECV.format(1033)}", f"{LOOP};Event.synchronize (torch/cuda/streams.py:231)"],
}


@pytest.mark.parametrize("engine", ["standin", "sglang"])
def test_a_wait_that_sleeps_is_told_from_one_that_spins(engine):
    judge = Judge(rules_for(engine), SOURCE)
    assert all(judge.sleeps(stack) for stack in SLEEPING[engine])
    assert not any(judge.sleeps(stack) for stack in (*SPINNING[engine], "work (a.py:1)"))


def test_the_innermost_frame_that_a_rule_matches_decides():
    table = rules({"phase": "forward", "functions": "outer"}, {"phase": "hash", "functions": "inner"})
    assert phase_of("outer (a.py:1);inner (a.py:2);unknown (a.py:3)", table, {}) == "hash"


def test_of_rules_on_the_same_frame_the_first_decides():
    table = rules({"phase": "hash", "functions": "f"}, {"phase": "reply", "functions": ".*"})
    assert phase_of("f (a.py:1)", table, {}) == "hash"
    assert phase_of("g (a.py:1)", table, {}) == "reply"


@pytest.mark.parametrize(
    ("condition", "matching", "other"),
    [
        ({"functions": "f"}, "A.<locals>.f (a.py:1)", "ff (a.py:1)"),
        ({"functions": "f", "file": "zmq"}, "f (x/zmq/a.py:1)", "f (a.py:1)"),
        ({"functions": "f", "line": r"pickle\."}, "f (a.py:2)", "f (a.py:1)"),
        ({"functions": "f", "line": "."}, "f (a.py:1)", "f (a.py:99)"),
        ({"functions": "f", "under": "g"}, "C.g (a.py:1);h (a.py:1);f (a.py:1)", "f (a.py:1);g (a.py:1)"),
        ({"functions": "f", "leaf": True}, "f (a.py:1)", "f (a.py:1);g (a.py:1)"),
    ],
)
def test_every_condition_of_a_rule_must_hold(condition, matching, other):
    source = {"a.py:1": "x = 1", "a.py:2": "pickle.dumps(x)"}
    table = rules({"phase": "hash", **condition})
    assert phase_of(matching, table, source) == "hash"
    assert phase_of(other, table, source) == "other"


def test_a_wrong_thread_rule_is_an_error_too():
    rows = {"rules": [], "threads": [{"names": "gloo", "calls": "("}]}
    with pytest.raises(ConfigError, match="regular expression"):
        convert(rows, PhaseRules, "phases/mine.toml")


@pytest.mark.parametrize("name", names("phases"))
def test_every_shipped_rules_file_loads_and_uses_known_phases(name):
    assert rules_for(name).rules


def test_an_engine_without_rules_of_its_own_has_those_of_sglang():
    assert rules_for("sglang-cpu") == rules_for("sglang")
    assert rules_for("standin") != rules_for("sglang")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"phase": "hash", "functions": "("}, "regular expression"),
        ({"phase": "hash", "functions": "f", "line": "["}, "regular expression"),
        ({"phase": "hashing", "functions": "f"}, "hashing"),
        ({"phase": "hash", "functions": "f", "sleeps": True}, "only idle-poll and device-wait can sleep"),
        ({"phase": "hash"}, "functions"),
        ({"phase": "hash", "functions": "f", "function": "g"}, "function"),
    ],
)
def test_a_wrong_rule_is_an_error_that_names_the_file_and_the_key(row, message):
    with pytest.raises(ConfigError, match=message) as caught:
        convert({"rules": [row]}, PhaseRules, "phases/mine.toml")
    assert str(caught.value).startswith("phases/mine.toml: ")
    assert "rules" in str(caught.value)
