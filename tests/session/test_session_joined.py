"""Workers that join from elsewhere, over Locust's own protocol: real processes, each looking for its driver."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest
from command import gone

from mmload.model.plan import Plan
from mmload.plan.arrivals import build_schedule
from mmload.store.read import read_document

pytestmark = pytest.mark.live

SHORT = ("--rate", "40", "--warmup", "1s", "--duration", "3s", "--no-profile", "--json")
LONG = ("--rate", "40", "--warmup", "0s", "--duration", "60s", "--no-profile", "--json")


class Elsewhere:
    """`mmload worker` processes; none is left when the test ends."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.address = f"127.0.0.1:{server.getsockname()[1]}"

    def start(self, *options, before=(), **environment):
        command = [*before, sys.executable, "-m", "mmload", "worker", "--master", self.address, *options]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, cwd=self.folder, env={**os.environ, **environment}
        )
        self.processes.append(process)
        return process

    def join(self, count):
        """Options of `mmload run` for so many workers from elsewhere."""
        return ("--expect-workers", str(count), "--master-bind", self.address)


@pytest.fixture
def elsewhere(tmp_path):
    found = Elsewhere(tmp_path)
    yield found
    for process in found.processes:
        process.kill()
        process.communicate()


def finish(process):
    """Exit code and what it said."""
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def by_worker(run):
    records = [record for record in run.lines("requests.jsonl") if record["phase"] == "measure"]
    return {worker: [r for r in records if r["worker"] == worker] for worker in {r["worker"] for r in records}}


@pytest.mark.alone
def test_joined_workers_send_the_schedule_that_one_would(mmload, elsewhere):
    workers = [elsewhere.start() for _ in range(2)]  # before the driver: they look for it
    run = mmload("run", *SHORT, *elsewhere.join(2), "--workers", "1", "--variant", "original").finish()
    assert run.code == 0, run.stderr
    assert [finish(worker)[0] for worker in workers] == [0, 0]
    shares = by_worker(run)
    assert sorted(map(len, shares.values())) == [40, 40, 40]
    joined = run.document("manifest.json")["workers"]
    assert [worker["worker"] for worker in joined] == [0, 1, 2]
    assert {worker["pid"] for worker in joined} >= {worker.pid for worker in workers}

    schedule = build_schedule(read_document(run.run_folder / "plan.json", Plan)).main
    sent = sorted((r["due_ns"], r["item"]) for r in run.lines("requests.jsonl") if r["phase"] in ("warmup", "measure"))
    start_ns = sent[0][0] - schedule.due_offset_ns[0]
    assert [due_ns - start_ns for due_ns, _ in sent] == schedule.due_offset_ns.tolist()
    assert [int(item.rpartition("-")[2]) for _, item in sent] == schedule.item.tolist()


def test_another_hosts_clock_is_translated_to_the_drivers(mmload, elsewhere):
    shifted = ["unshare", "--time", "--monotonic", "5000", "--fork", "--kill-child"]
    if subprocess.run([*shifted, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no time namespace can be made here: that takes root and Linux 5.6")
    elsewhere.start(before=shifted)
    run = mmload("run", *SHORT, *elsewhere.join(1)).finish()
    assert run.code in (0, 4), run.stderr  # 4: the host was busy
    (worker,) = run.document("manifest.json")["workers"]
    assert 0 < worker["clock_error_ms"] < 100
    (window,) = [phase for phase in run.document("manifest.json")["phases"] if phase["name"] == "measure"]
    (records,) = by_worker(run).values()
    assert len(records) == 120
    for record in records:
        assert window["start_ns"] <= record["due_ns"] <= window["end_ns"]
        times = [record["due_ns"], record["sent_ns"], record["first_byte_ns"], *record["token_ns"], record["done_ns"]]
        assert times == sorted(times)
        assert record["first_token_ns"] == record["token_ns"][0]
    samples = [sample for sample in run.lines("generator.jsonl") if window["start_ns"] < sample["t_ns"]]
    assert len(samples) > 8
    digests = {r["id"]: r["output_sha256"] for r in run.lines("requests.jsonl") if r["phase"] == "identity"}
    answers = {answer["id"]: answer["text"] for answer in run.lines("answers.jsonl")}
    assert digests == {number: hashlib.sha256(text.encode()).hexdigest() for number, text in answers.items()}


def test_a_killed_joined_worker_is_named(mmload, elsewhere):
    workers = [elsewhere.start() for _ in range(2)]
    run = mmload("run", *LONG, *elsewhere.join(2))
    run.until_measuring()
    everything = run.children()
    workers[0].kill()
    run.finish()
    assert run.code == 4
    assert f"({socket.gethostname()}, pid {workers[0].pid})" in run.stderr
    assert run.document("manifest.json")["validity"] != "valid"
    assert finish(workers[1])[0] == 0
    assert gone(everything)


def test_a_joined_worker_that_is_ended_says_so_and_keeps_its_records(mmload, elsewhere):
    worker = elsewhere.start()
    run = mmload("run", *LONG, *elsewhere.join(1))
    run.until_measuring()
    worker.send_signal(signal.SIGTERM)
    assert finish(worker)[0] == 143
    run.finish()
    assert run.code == 4
    assert "ended by signal 15" in run.stderr
    assert run.document("summary.json")["requests"] > 0


def test_a_frozen_joined_worker_makes_no_quiet_number(mmload, elsewhere):
    worker = elsewhere.start()
    run = mmload("run", "--rate", "40", "--warmup", "0s", "--duration", "5s", "--no-profile", *elsewhere.join(1))
    run.until_measuring()
    psutil.Process(worker.pid).suspend()
    run.until(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)
    run.until(lambda: time.monotonic_ns() - run.lines("generator.jsonl")[-1]["t_ns"] > 1_000_000_000)
    psutil.Process(worker.pid).resume()
    run.finish()
    assert run.code == 4
    assert "the generator stood still" in " ".join(run.document("manifest.json")["validity"])
    assert run.document("summary.json")["generator"]["longest_stall_ms"] > 700


def test_a_worker_whose_driver_is_killed_stops_sending(mmload, elsewhere):
    worker = elsewhere.start()
    run = mmload("run", *LONG, *elsewhere.join(1))
    run.until_measuring()
    everything = run.children()
    run.process.kill()
    code, said = finish(worker)
    assert code == 4
    assert "the driver is gone" in said
    assert gone(everything)


def test_a_worker_too_many_is_sent_away(mmload, elsewhere):
    elsewhere.start()
    run = mmload("run", *LONG, *elsewhere.join(1))
    run.until_measuring()
    code, said = finish(elsewhere.start())
    assert code == 2
    assert "has all the workers that it waited for" in said
    assert run.process.poll() is None


def test_a_worker_with_another_token_is_refused(mmload, elsewhere):
    worker = elsewhere.start(MMLOAD_TOKEN="s3cret")
    run = mmload("run", *SHORT, *elsewhere.join(1)).finish()
    assert run.code == 2
    assert "$MMLOAD_TOKEN" in run.stderr
    assert "s3cret" not in run.stderr
    assert finish(worker)[0] == 2


def test_a_worker_that_makes_other_payloads_is_refused(mmload, elsewhere, tmp_path):
    items = tmp_path / "items.jsonl"
    items.write_text('{"text": "one"}\n{"text": "two"}\n')
    run = mmload("run", "--items", items, *SHORT[2:], "--rate", "20", *elsewhere.join(1))
    run.until(lambda: list(run.out.glob("*/logs/master.log")))
    items.write_text('{"text": "one"}\n{"text": "three"}\n')
    worker = elsewhere.start()
    run.finish()
    assert run.code == 2
    assert "makes another payloads" in run.stderr
    assert finish(worker)[0] == 2


def test_a_file_that_the_worker_lacks_is_named(mmload, elsewhere, tmp_path):
    items = tmp_path / "items.jsonl"
    items.write_text('{"text": "one"}\n')
    run = mmload("run", "--items", items, *SHORT[2:], "--rate", "20", *elsewhere.join(1))
    run.until(lambda: list(run.out.glob("*/logs/master.log")))
    items.unlink()
    elsewhere.start()
    run.finish()
    assert run.code == 2
    assert "items.jsonl" in run.stderr


def test_a_port_that_is_taken_is_told_before_anything_starts(mmload, elsewhere):
    host, port = elsewhere.address.split(":")
    with socket.create_server((host, int(port))):
        run = mmload("run", *SHORT, *elsewhere.join(1)).finish()
    assert run.code == 2
    assert elsewhere.address in run.stderr
    assert "--master-bind" in run.stderr


def test_a_worker_that_finds_no_driver_gives_up(elsewhere):
    code, said = finish(elsewhere.start("--wait", "1s"))
    assert code == 5
    assert f"nobody answers at {elsewhere.address}" in said


def page_of(run):
    """The address of Locust's page, which is told as soon as it is open."""
    for line in run.process.stderr:
        if "web page: " in line:
            return line.split("web page: ")[1].strip()
    raise AssertionError("no page was named")


def ask(url, data=None):
    with urllib.request.urlopen(url, data, timeout=10) as answer:
        return answer.read()


def test_locusts_page_knows_every_request_and_its_stop_ends_the_run(mmload):
    run = mmload("run", *LONG, "--web", "--workers", "2")
    page = page_of(run)
    run.until_measuring(answers=40)
    run.until(lambda: json.loads(ask(f"{page}/stats/requests"))["stats"][0]["num_requests"] >= 40)
    stats = json.loads(ask(f"{page}/stats/requests"))
    assert stats["worker_count"] == stats["user_count"] == 2
    assert stats["stats"][0]["name"] == "/v1/chat/completions image"
    assert b"<html" in ask(page).lower()
    ask(f"{page}/swarm", b"user_count=50&spawn_rate=50")  # the load is the plan's: a page can't change it
    ask(f"{page}/stop", b"")
    run.finish()
    assert run.code == 130
    assert "stopped in Locust's web page" in run.document("manifest.json")["error"]
    records = run.lines("requests.jsonl")
    assert len({record["id"] for record in records}) == len(records)
    assert sum(record["phase"] == "measure" for record in records) == 40 * 60
