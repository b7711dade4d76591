import msgspec
import pytest
from factory import make_run

from mmload.analyse.handoff import BUILD_STAGES, block_growth, handoff_counters, per_request
from mmload.analyse.load import measure_window
from mmload.model.records import ServerScrape


def counters_of(run):
    return handoff_counters(run.server, measure_window(run))


def with_counters(run, planted):
    """The run's counters, and `planted`: column -> process -> what a request adds to it."""
    requests = 'mmload_handoff_requests_total{process="scheduler_TP0"}'
    scrapes = [
        msgspec.structs.replace(
            scrape,
            metrics=scrape.metrics
            | {
                f'mmload_handoff_{column}_total{{process="{process}"}}': scrape.metrics[requests] * each
                for column, rows in planted.items()
                for process, each in rows.items()
            },
        )
        for scrape in run.server
    ]
    return handoff_counters(scrapes, measure_window(run))


def test_costs_are_per_request_over_all_processes_and_by_process(tmp_path):
    found = per_request(counters_of(make_run(tmp_path, build_ms={"scheduler_TP0": 2.0, "scheduler_TP1": 1.0})))
    assert found["build_cpu_ms_per_request"] == pytest.approx(3.0, rel=0.05)
    assert found['build_cpu_ms_per_request{process="scheduler_TP1"}'] == pytest.approx(1.0, rel=0.05)
    assert found["handoff_cpu_ms_per_request"] == pytest.approx(7.5, rel=0.05)  # five stages of half each
    assert found['build_cpu_ms_per_request{process="tokenizer"}'] == 0.0


def test_a_backlog_before_the_ranks_makes_nothing_cheaper(tmp_path):
    build_ms = {"tokenizer": 1.0, "scheduler_TP0": 2.0, "scheduler_TP1": 2.0}
    queued = make_run(tmp_path, build_ms=build_ms, met={"scheduler_TP0": 0.5, "scheduler_TP1": 0.5})
    found = per_request(counters_of(queued))
    assert found["build_cpu_ms_per_request"] == pytest.approx(5.0, rel=0.05)
    assert found['build_cpu_ms_per_request{process="scheduler_TP0"}'] == pytest.approx(2.0, rel=0.05)
    assert found["broadcasts_per_request"] == 1.0


def test_a_process_that_does_nothing_is_left_out_and_one_that_met_no_request_makes_the_cost_unknown(tmp_path):
    idle = make_run(tmp_path, build_ms={"tokenizer": 1.0}, met={"scheduler_TP1": 0.0})
    assert counters_of(idle).processes == ["scheduler_TP0", "tokenizer"]
    window = measure_window(idle)
    key = 'mmload_handoff_hash_cpu_seconds_total{process="scheduler_TP1"}'
    spending = [
        msgspec.structs.replace(scrape, metrics={**scrape.metrics, key: n / 10}) for n, scrape in enumerate(idle.server)
    ]
    assert handoff_counters(spending, window) is None


def test_counters_that_began_anew_are_of_two_processes_and_say_nothing(tmp_path):
    run = make_run(tmp_path, build_ms={"scheduler_TP0": 2.0})
    scrapes = list(run.server)
    anew = len(scrapes) // 3
    for n, scrape in enumerate(scrapes[anew:], anew):
        counted = {name: value - scrapes[anew].metrics[name] for name, value in scrape.metrics.items()}
        scrapes[n] = msgspec.structs.replace(scrape, metrics=counted)
    assert handoff_counters(run.server, measure_window(run))
    assert handoff_counters(scrapes, measure_window(run)) is None


def test_an_event_that_every_rank_counts_is_counted_once(tmp_path):
    assert per_request(counters_of(make_run(tmp_path, tp=4, build_ms={})))["broadcasts_per_request"] == 1.0


@pytest.mark.parametrize(
    ("column", "counted", "expected"),
    [
        ("background_broadcasts", (1.0, 1.0), 1.0),
        ("cache_hits", (1.0, 1.0), 1.0),
        ("cache_evictions", (1.0, 1.0), 1.0),
        ("fallbacks", (0.0, 1.0), 1.0),  # of one rank alone
        ("feature_hits", (1.0, 1.0), 1.0),
        ("feature_evictions", (1.0, 1.0), 1.0),
        ("shm_bytes", (0.0, 3.0), 3.0),  # whoever writes counts
        ("shm_unlinked", (0.5, 0.5), 1.0),  # now the one, now the other
    ],
)
def test_what_ranks_do_together_is_counted_once_and_what_one_does_is_added(tmp_path, column, counted, expected):
    planted = {column: {f"scheduler_TP{rank}": each for rank, each in enumerate(counted)}}
    found = per_request(with_counters(make_run(tmp_path, build_ms={}), planted))
    assert found[f"{column}_per_request"] == pytest.approx(expected, rel=0.01)


def test_a_rank_waits_in_the_handler_as_long_as_the_slowest_makes_it(tmp_path):
    planted = {"handler_wall_seconds": {"scheduler_TP0": 0.003, "scheduler_TP1": 0.002}}
    found = per_request(with_counters(make_run(tmp_path, build_ms={}), planted))
    assert found['handler_wall_ms_per_request{process="scheduler_TP1"}'] == pytest.approx(2.0)
    assert found["handler_wall_ms_per_request"] == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("hits", "fallbacks", "rate"),
    [((1.0, 1.0), (0.0, 0.0), 1.0), ((1.0, 0.6), (0.0, 0.4), 0.8), ((0.0, 0.0), (1.0, 1.0), 0.0)],
)
def test_the_cache_hit_rate_is_over_all_ranks(tmp_path, hits, fallbacks, rate):
    planted = {
        column: {f"scheduler_TP{rank}": each for rank, each in enumerate(counted)}
        for column, counted in (("cache_hits", hits), ("fallbacks", fallbacks))
    }
    found = per_request(with_counters(make_run(tmp_path, build_ms={}), planted))
    assert found["cache_hit_rate"] == pytest.approx(rate)


def test_a_variant_without_a_cache_has_no_hit_rate(tmp_path):
    planted = {column: {"scheduler_TP0": 0.0, "scheduler_TP1": 0.0} for column in ("cache_hits", "fallbacks")}
    assert "cache_hit_rate" not in per_request(with_counters(make_run(tmp_path, build_ms={}), planted))


def test_a_server_without_counters_has_no_figures(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    window = measure_window(run)
    bare = [ServerScrape(t_ns=window.start_ns + n, metrics={"sglang:num_queue_reqs": 1.0}) for n in range(5)]
    assert handoff_counters(bare, window) is None
    assert handoff_counters([], window) is None


def test_a_failed_scrape_is_passed_over(tmp_path):
    run = make_run(tmp_path, build_ms={"tokenizer": 2.0})
    failed = ServerScrape(t_ns=list(run.server)[20].t_ns + 1, error="timed out")
    window = measure_window(run)
    assert per_request(handoff_counters([*run.server, failed], window)) == per_request(counters_of(run))


def test_the_order_in_which_a_server_prints_its_counters_does_not_matter(tmp_path):
    run = make_run(tmp_path, build_ms={"tokenizer": 2.0, "scheduler_TP0": 1.0})
    turned = [
        msgspec.structs.replace(scrape, metrics=dict(reversed(scrape.metrics.items()))) if n % 3 == 1 else scrape
        for n, scrape in enumerate(run.server)
    ]
    found, expected = handoff_counters(turned, measure_window(run)), counters_of(run)
    for process in expected.processes:
        assert found.cpu_s(BUILD_STAGES, process).tolist() == expected.cpu_s(BUILD_STAGES, process).tolist()
        assert found.requests(process).tolist() == expected.requests(process).tolist()


def test_counters_of_another_version_are_not_guessed_at(tmp_path):
    run = make_run(tmp_path, build_ms={"tokenizer": 2.0})
    older = [
        msgspec.structs.replace(scrape, metrics={k: v for k, v in scrape.metrics.items() if "receive_cpu" not in k})
        for scrape in run.server
    ]
    assert handoff_counters(older, measure_window(run)) is None


def test_blocks_add_up_to_the_whole(tmp_path):
    counters = counters_of(make_run(tmp_path, build_ms={"tokenizer": 2.0}))
    cpu_s = counters.cpu_s(BUILD_STAGES, "tokenizer")
    assert block_growth(counters, cpu_s).sum() == pytest.approx(cpu_s[-1] - cpu_s[0])
