"""Other load generators against the same exact server: what they cost, and what they report.

A peer that is not installed is said to be absent, never passed over. The project depends on none of them but Locust.
Give an interpreter (AIPerf: the command) of the environment in which one is installed:

    --vllm PYTHON      `vllm bench serve`
    --sglang PYTHON    `sglang.bench_serving`
    --aiperf BIN       AIPerf
    --tokenizer DIR    a model's folder, for their tokenizers (no weights are read)
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import psutil
from common import CpuWatch, exact_server, percentile

LOCUSTFILE = """
from locust import FastHttpUser, constant_throughput, task
BODY = open({body!r}, "rb").read()
class Stock(FastHttpUser):
    wait_time = constant_throughput({each})
    @task
    def ask(self):
        self.client.post("/v1/chat/completions", data=BODY, headers={{"Content-Type": "application/json"}})
"""
TIMEOUT_S = 180


class Load(msgspec.Struct, frozen=True):
    """What each peer is asked to send: Poisson at `rate_rps` where it can, bodies such as `body`. users: Locust's; 0 is
    one for each request per second."""

    body: bytes
    rate_rps: float
    requests: int
    tokenizer: str = ""
    users: int = 0

    @property
    def image_uri(self) -> str:
        """The image inside the body."""
        parts = json.loads(self.body)["messages"][-1]["content"]
        (uri,) = (part["image_url"]["url"] for part in parts if part["type"] == "image_url")
        return str(uri)


class Said(msgspec.Struct, frozen=True):
    """A peer's own report. p50_ms, p99_ms, p90_ms: of its response times; None where it gives none."""

    completed: int
    failed: int
    p50_ms: float | None
    p99_ms: float | None
    p90_ms: float | None = None


class Outcome(msgspec.Struct, frozen=True):
    """A peer's run. cpu_s: of all its processes from the first request to the last answer. sent: POSTs on the wire;
    body_bytes: the longest of them.
    wire_p50_ms, wire_p99_ms: from the first byte of a request to its answer, of those answered."""

    said: Said
    cpu_s: float
    sent: int
    body_bytes: int
    planted: int
    wire_p50_ms: float
    wire_p99_ms: float

    @property
    def cpu_s_per_1000(self) -> float:
        return 1000 * self.cpu_s / self.sent


class Peer(msgspec.Struct, frozen=True):
    """command(folder, url, load): what to run in `folder`. said(folder, output): its report, once it has ended."""

    name: str
    command: Callable[[Path, str, Load], list[str]]
    said: Callable[[Path, str], Said]


def run_peer(folder: Path, peer: Peer, load: Load, delay_s: float, *options: str) -> Outcome:
    """Send the load at an exact server with these options. Raises RuntimeError with the end of the peer's output when
    it made no report (also: took more than TIMEOUT_S), or sent bodies of another size."""
    with exact_server(folder, delay_s, *options) as server:
        output = folder / f"{peer.name}.log"
        errors = folder / f"{peer.name}.err"
        with output.open("wb") as out, errors.open("wb") as err:
            command = peer.command(folder, server.url, load)
            process = subprocess.Popen(command, stdout=out, stderr=err, cwd=folder)
            watch = CpuWatch(process.pid)
            try:
                process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                for child in (*psutil.Process(process.pid).children(recursive=True), process):
                    child.kill()
                process.wait()
            watch.stop()
    text = output.read_text(errors="replace")
    seen = sorted(server.wire().seen, key=lambda one: one.first_ns)[-load.requests :]  # before them: a check, a warm-up
    answered = [one for one in seen if one.out_ns]
    try:
        said = peer.said(folder, text)
        start_ns, end_ns = seen[0].first_ns, max(one.out_ns[-1] for one in answered)
    except (LookupError, OSError, ValueError) as error:
        last_words = " ".join((text + errors.read_text(errors="replace"))[-400:].split())
        raise RuntimeError(f"{peer.name} made no report ({error!r}); its last words: {last_words}") from error
    body_bytes = max(one.body_bytes for one in seen)
    if not 0.9 < body_bytes / len(load.body) < 1.1:
        raise RuntimeError(f"{peer.name} sent {body_bytes:,} B at a time, where {len(load.body):,} were asked for")
    wire_ms = [(one.out_ns[-1] - one.first_ns) / 1e6 for one in answered]
    return Outcome(
        said=said,
        cpu_s=watch.between(start_ns, end_ns),
        sent=len(seen),
        body_bytes=body_bytes,
        planted=sum(one.planted != "ok" for one in seen),
        wire_p50_ms=percentile(wire_ms, 0.5),
        wire_p99_ms=percentile(wire_ms, 0.99),
    )


def locust(folder: Path, url: str, load: Load) -> list[str]:
    """Users that each keep to a throughput: Locust's own way to a rate."""
    users = load.users or round(load.rate_rps)
    (folder / "body").write_bytes(load.body)
    (folder / "locustfile.py").write_text(LOCUSTFILE.format(body=str(folder / "body"), each=load.rate_rps / users))
    length = f"{load.requests / load.rate_rps:g}s"
    command = [sys.executable, "-m", "locust", "-f", "locustfile.py", "--headless", "--host", url, "--json"]
    return [*command, "-u", str(users), "-r", str(users), "-t", length, "--loglevel", "ERROR"]


def said_by_locust(_folder: Path, output: str) -> Said:
    (entry,) = json.loads(output)
    times_ms = [float(ms) for ms, count in entry["response_times"].items() for _ in range(count)]
    failed = entry["num_failures"]
    p50_ms, p90_ms, p99_ms = (percentile(times_ms, share) for share in (0.5, 0.9, 0.99))
    return Said(entry["num_requests"] - failed, failed, p50_ms, p99_ms, p90_ms)


def vllm(interpreter: str, folder: Path, url: str, load: Load) -> list[str]:
    item = {"prompt": "What is this?", "image_files": [load.image_uri], "output_tokens": 1}
    (folder / "vllm.jsonl").write_text(json.dumps(item) + "\n")
    command = [interpreter, "-m", "vllm.entrypoints.cli.main", "bench", "serve", "--backend", "openai-chat"]
    command += ["--base-url", url, "--endpoint", "/v1/chat/completions", "--model", load.tokenizer]
    command += ["--dataset-name", "custom_image", "--dataset-path", "vllm.jsonl", "--custom-output-len", "1"]
    command += ["--num-prompts", str(load.requests), "--request-rate", f"{load.rate_rps:g}", "--disable-tqdm"]
    command += ["--percentile-metrics", "e2el", "--metric-percentiles", "50,99"]
    return [*command, "--save-result", "--result-dir", str(folder), "--result-filename", "vllm.json"]


def said_by_vllm(folder: Path, _output: str) -> Said:
    found = json.loads((folder / "vllm.json").read_text())
    return Said(found["completed"], found["failed"], found["p50_e2el_ms"], found["p99_e2el_ms"])


def sglang(interpreter: str, folder: Path, url: str, load: Load) -> list[str]:
    """Its images are noise of quality 85: the side is chosen so that the body is about as long."""
    side_px = round((len(load.body) / 1.035) ** 0.5)
    command = [interpreter, "-m", "sglang.bench_serving", "--backend", "sglang-oai-chat", "--base-url", url]
    command += ["--dataset-name", "image", "--image-count", "1", "--image-resolution", f"{side_px}x{side_px}"]
    command += ["--random-input-len", "8", "--random-output-len", "1", "--model", load.tokenizer, "--disable-tqdm"]
    command += ["--num-prompts", str(load.requests), "--request-rate", f"{load.rate_rps:g}", "--warmup-requests", "0"]
    return [*command, "--output-file", str(folder / "sglang.json")]


def said_by_sglang(folder: Path, output: str) -> Said:
    found = json.loads((folder / "sglang.json").read_text().splitlines()[-1])
    asked = int(output.partition("num_prompts=")[2].partition(",")[0])
    completed = found["completed"]
    return Said(completed, asked - completed, found["median_e2e_latency_ms"], found["p99_e2e_latency_ms"])


def aiperf(binary: str, folder: Path, url: str, load: Load) -> list[str]:
    (folder / "aiperf.jsonl").write_text(json.dumps(json.loads(load.body)) + "\n")
    command = [binary, "profile", "--url", url, "--endpoint-type", "chat", "--streaming", "--ui", "none"]
    command += ["--model", load.tokenizer, "--tokenizer", load.tokenizer]
    command += ["--input-file", str(folder / "aiperf.jsonl"), "--custom-dataset-type", "raw-payload"]
    command += ["--request-count", str(load.requests), "--request-rate", f"{load.rate_rps:g}"]
    return [*command, "--request-rate-mode", "poisson", "--artifact-dir", str(folder / "aiperf")]


def said_by_aiperf(folder: Path, _output: str) -> Said:
    (file,) = (folder / "aiperf").rglob("profile_export_aiperf.json")  # ValueError unless it wrote one
    found = json.loads(file.read_text())
    failed = found["error_request_count"]["avg"] if found.get("error_request_count") else 0
    times = found.get("request_latency") or {}
    return Said(int(found["request_count"]["avg"]), int(failed), times.get("p50"), times.get("p99"))


LOCUST = Peer("locust", locust, said_by_locust)
_OTHERS = {"vllm": (vllm, said_by_vllm), "sglang": (sglang, said_by_sglang), "aiperf": (aiperf, said_by_aiperf)}


def add_options(parser: argparse.ArgumentParser) -> None:
    for name in _OTHERS:
        parser.add_argument(f"--{name}", metavar="BIN" if name == "aiperf" else "PYTHON")
    parser.add_argument("--tokenizer", metavar="DIR", default="")


def installed(arguments: argparse.Namespace) -> dict[str, Peer | None]:
    """Each peer by name; None for one that no option says where to find."""
    peers: dict[str, Peer | None] = {"locust": LOCUST}
    for name, (command, said) in _OTHERS.items():
        where = getattr(arguments, name)
        peers[name] = Peer(name, partial(command, where), said) if where else None
    return peers
