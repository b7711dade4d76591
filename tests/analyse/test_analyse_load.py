import msgspec
import pytest
from factory import START_NS, S, Truth, make_run, requests_of

from mmload.analyse import load
from mmload.analyse.load import Window
from mmload.store.append import write_document
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


def test_a_run_that_never_measured_has_no_window(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, phases=[], status="failed"))
    run.layout.requests.write_bytes(b"")
    assert load.measure_window(type(run)(run.layout.path)) is None


def test_scheduled_requests_without_a_record_are_missing(tmp_path):
    run = make_run(tmp_path, rate_rps=100, duration_s=10)
    measured = load.measured_requests(run.requests, load.measure_window(run))
    assert load.missing_requests(measured[:-7], load.measure_window(run), run.plan) == 7


def test_nobody_knows_what_is_missing_in_a_closed_loop(tmp_path):
    run = make_run(tmp_path, concurrency=8, duration_s=5)
    assert load.missing_requests(table_of([]), load.measure_window(run), run.plan) == 0


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
        (1, [1.5, 2], None, 2),  # the server does not say how many: one an event
        (9, [], 30, 0),  # not streamed, done after the window
    ],
)
def test_tokens_count_when_they_arrive_whenever_their_request_was_due(due_s, token_s, tokens, within):
    streamed = request(due_s, 11, token_ns=[round(s * S) for s in token_s], completion_tokens=tokens)
    assert load.tokens_per_s(table_of([streamed]), WINDOW) == within / 10
