"""A rank of real SGLang that stands still under load is named while it lasts, and the run goes on behind it."""

import re
import time

import pytest
from command import ranks
from sglang_asked import RUN

pytestmark = pytest.mark.sglang


def test_a_stopped_rank_is_named_and_the_run_goes_on_when_it_is_let_go(mmload):
    words = [*RUN, "--engine", "sglang-cpu", "--tp", "2", "--variant", "commit", "--timeout", "60s"]
    run = mmload("run", *words, "--duration", "8s")
    run.until(lambda: list(run.out.glob("*/requests.jsonl")), timeout_s=240)
    run.until_measuring()
    stopped = ranks(run)[1]
    stopped.suspend()
    run.until(lambda: run.document("manifest.json")["stalls"])
    run.until(lambda: run.document("manifest.json")["stalls"][0]["sentence"])
    (stall,) = run.document("manifest.json")["stalls"]
    resumed_ns = time.monotonic_ns()
    stopped.resume()
    run.finish()
    assert run.code in (0, 4), run.stderr  # 4: the host was busy
    said = stall["sentence"]
    assert stall["end_ns"] is None
    assert said.startswith(f"scheduler_TP1 (pid {stopped.pid}) is stopped by a signal, in ")
    assert "scheduler_TP0 waits for scheduler_TP1 in " in said
    assert re.search(r"tokenizer (waits for the ranks|\(pid \d+\) is at work in )", said), said  # requests keep coming
    dumps = {path.stem: path.read_text() for path in (run.run_folder / stall["dumps"]).iterdir()}
    assert set(dumps) >= {"tokenizer", "scheduler_TP0", "scheduler_TP1", "detokenizer"}
    assert all("event_loop" in dumps[f"scheduler_TP{rank}"] for rank in range(2))
    (after,) = run.document("manifest.json")["stalls"]
    assert after["sentence"] == said
    assert after["start_ns"] < resumed_ns < after["end_ns"]
    records = run.lines("requests.jsonl")
    assert {each["outcome"] for each in records} == {"ok"}
    assert any(each["due_ns"] < resumed_ns < each["done_ns"] for each in records)
