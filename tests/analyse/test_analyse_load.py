import msgspec
import pytest
from factory import START_NS, S, Truth, make_run, requests_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmload.analyse import load
from mmload.analyse.load import Window
from mmload.model.plan import OpenLoop
from mmload.model.records import RequestRecord
from mmload.store.append import write_document
from mmload.store.lock import writing
from mmload.store.read import Run, read_lines
from mmload.store.requests import table_of

WINDOW = Window(0, 10 * S, complete=True)
ONE = next(r for r in requests_of(Truth()) if r.phase == "measure")


def request(due_s, done_s, **changes):
    return msgspec.structs.replace(ONE, due_ns=round(due_s * S), done_ns=round(done_s * S), **changes)


def test_the_achieved_rate_counts_answers_complete_in_the_window():
    records = table_of(
        [
            request(-1, 1, phase="warmup"),  # was under way when the window began
            request(1, 2),
            request(9, 11),  # a backlog answered later
            request(3, 4, outcome="http_error"),
        ]
    )
    assert load.achieved_rps(records, WINDOW) == pytest.approx(0.2)


def test_outcomes_are_of_the_requests_due_in_the_window():
    warm, failed = request(-1, 1, phase="warmup"), request(3, 4, outcome="http_error")
    records = table_of([warm, request(1, 2), request(9, 11), failed])
    assert load.outcomes(load.measured_requests(records, WINDOW)) == {"ok": 2, "http_error": 1}


def test_a_complete_run_has_the_window_of_its_manifest(tmp_path):
    run = make_run(tmp_path, duration_s=10)
    assert load.measure_window(run) == Window(*Truth(duration_s=10).measure_ns, complete=True)


def test_the_window_of_a_partial_run_ends_at_the_last_evidence(tmp_path):
    run = make_run(tmp_path, duration_s=40, warmup_s=2, ends_after_s=12, status="partial")
    window = load.measure_window(run)
    assert window == Window(START_NS + 2 * S, START_NS + 12 * S, complete=False)


def test_a_request_that_was_sent_is_evidence_though_it_was_never_answered(tmp_path):
    run = make_run(tmp_path, duration_s=40, warmup_s=2, ends_after_s=12, status="partial")
    for path in (run.layout.processes, run.layout.generator, run.layout.server):
        path.write_bytes(b"")
    sent = msgspec.structs.replace(ONE, due_ns=START_NS + 13 * S, sent_ns=START_NS + 14 * S, done_ns=None)
    with run.layout.requests.open("ab") as file:
        file.write(msgspec.json.encode(sent) + b"\n")
    assert load.measure_window(type(run)(run.layout.path)).end_ns == START_NS + 14 * S


def test_a_run_cut_off_after_its_window_has_a_complete_one(tmp_path):
    run = make_run(tmp_path, duration_s=10, warmup_s=2, ends_after_s=14, status="running")
    assert load.measure_window(run) == Window(START_NS + 2 * S, START_NS + 12 * S, complete=True)


def test_a_window_without_length_is_none(tmp_path):
    run = make_run(tmp_path, duration_s=2)
    phases = [msgspec.structs.replace(phase, end_ns=phase.start_ns) for phase in run.manifest.phases]
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, phases=phases))
    assert load.measure_window(Run(run.layout.path)) is None


def test_a_run_that_never_measured_has_no_window(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, phases=[], status="failed"))
    run.layout.requests.write_bytes(b"")
    assert load.measure_window(type(run)(run.layout.path)) is None


def without(run, *numbers):
    """The same run, of which the measured requests at these places have lost their records."""
    lost = {f"measure-{number:06d}" for number in numbers}
    kept = [r for r in read_lines(run.layout.requests, RequestRecord) if r.id not in lost]
    run.layout.requests.write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in kept))
    return Run(run.layout.path)


def missing_and_offered(run):
    window = load.measure_window(run)
    measured = load.measured_requests(run.requests, window)
    return load.missing_requests(run, measured, window), load.offered_rps(run, measured, window)


def test_scheduled_requests_without_a_record_are_missing_and_were_offered(tmp_path):
    run = without(make_run(tmp_path, rate_rps=100, duration_s=10), *range(993, 1000))
    assert missing_and_offered(run) == (7, 100)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lost=st.sets(st.integers(0, 900)), ends_after_s=st.floats(11.5, 30))
def test_what_was_offered_does_not_depend_on_which_records_survived_a_kill(tmp_path_factory, lost, ends_after_s):
    truth = {
        "duration_s": 40,
        "warmup_s": 2,
        "status": "partial",
        "ends_after_s": ends_after_s,
        "response_ms": [0.2] * 4000,
    }
    run = make_run(tmp_path_factory.mktemp("run"), **truth)
    missing, offered = missing_and_offered(run)
    assert missing <= 1  # one may have been in flight
    assert offered == pytest.approx(100, rel=0.2)
    assert missing_and_offered(without(run, *lost)) == (missing + len(lost), offered)


def test_while_a_run_goes_on_what_has_no_record_is_in_flight_and_was_offered(tmp_path):
    run = make_run(tmp_path, duration_s=40, ends_after_s=22, response_ms=[1000.0] * 4000, status="running")
    killed, offered = missing_and_offered(run)
    assert killed == pytest.approx(100, abs=40)
    with writing(run.layout.plan):
        assert missing_and_offered(Run(run.layout.path)) == (0, offered)


@pytest.mark.parametrize(("ends_after_s", "missing"), [(None, 7), (22, 0)])
def test_without_its_trace_the_plan_and_the_records_say_what_was_offered(tmp_path, ends_after_s, missing):
    run = make_run(tmp_path, ends_after_s=ends_after_s, status="complete" if ends_after_s is None else "partial")
    lost = OpenLoop(rate_rps=100, arrival="trace", trace=str(tmp_path / "gone.csv"), trace_sha256="0" * 64)
    write_document(run.layout.plan, msgspec.structs.replace(run.plan, load=lost))
    assert missing_and_offered(without(run, *range(7)))[0] == missing


def test_in_a_closed_loop_what_the_generator_counted_and_has_no_record_is_missing(tmp_path):
    whole = make_run(tmp_path, concurrency=8, duration_s=5)
    assert missing_and_offered(whole) == (0, None)
    assert missing_and_offered(without(whole, 3, 400)) == (2, None)


def test_nobody_knows_what_is_missing_of_a_closed_loop_that_was_cut_short(tmp_path):
    run = make_run(tmp_path, concurrency=8, duration_s=5, status="partial")
    assert missing_and_offered(without(run, 3)) == (0, None)


def test_tokens_and_cache_are_unknown_where_the_server_does_not_say():
    silent = table_of([request(1, 2, token_ns=[], completion_tokens=None, cached_tokens=None)])
    found = (load.tokens_per_s(silent, WINDOW), load.cached_token_share(silent), load.cache_hit_share(silent))
    assert found == (None, None, None)
    said = table_of([request(1, 2, token_ns=[], completion_tokens=30, cached_tokens=25, prompt_tokens=100)])
    assert (load.tokens_per_s(said, WINDOW), load.cached_token_share(said)) == (3.0, 0.25)


def test_a_cache_hit_is_a_request_of_which_more_than_half_was_cached():
    cached = [request(1, 2, cached_tokens=tokens, prompt_tokens=100) for tokens in (1, 50, 51, 99)]
    assert load.cache_hit_share(table_of(cached)) == 0.5


@pytest.mark.parametrize(
    ("due_s", "token_s", "tokens", "within"),
    [
        (9, [9.5, 9.9, 10.5, 11], 4, 2),  # a backlog: the rest came later
        (-1, [-0.5, 0.5, 1, 2], 4, 3),  # due in warm-up, answered in the window
        (9, [9.5, 10.5], 12, 6),  # an event may bring several tokens
        (9, [9.5, 9.9, 10.5, 11], 3, 2),  # more pieces than the server says tokens
        (1, [1.5, 2], None, 2),  # the server does not say how many: one an event
        (9, [], 30, 0),  # not streamed, done after the window
    ],
)
def test_tokens_count_when_they_arrive_whenever_their_request_was_due(due_s, token_s, tokens, within):
    streamed = request(due_s, 11, token_ns=[round(s * S) for s in token_s], completion_tokens=tokens)
    assert load.tokens_per_s(table_of([streamed]), WINDOW) == within / 10
