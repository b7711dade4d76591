"""The load generator against a server that answers in exactly 50 ms, beside stock Locust: what it costs, how late it
sends, and whether what it reports is what happened on the wire.

    python bench/generator.py [--seconds 20] [--rate 100]

Stops by itself after some two minutes. Ratios hold on a noisy machine; absolute times want a quiet one.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
BODIES = {"133 kB": 224, "1.34 MB": 712}  # side of a noise JPEG of quality 100, in pixels
LOCUSTFILE = """
from locust import FastHttpUser, constant_throughput, task
BODY = open({body!r}, "rb").read()
class Stock(FastHttpUser):
    wait_time = constant_throughput({each})
    @task
    def ask(self):
        self.client.post("/v1/chat/completions", data=BODY, headers={{"Content-Type": "application/json"}})
"""


@contextmanager
def exact_server(delay_s: float, wire: Path) -> Iterator[str]:
    command = [sys.executable, str(HERE / "exact_server.py"), str(delay_s), str(wire)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin
    assert server.stdout
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.stdin.close()
        server.wait(20)


def workload(folder: Path, side_px: int) -> Path:
    file = folder / f"noise-{side_px}.toml"
    item = f'[[items]]\nmodality = "image"\nwidth_px = {side_px}\nquality = 100\n'
    file.write_text(f'about = "a body of one size"\nrate_rps = 100\n{item}')
    return file


def run_mmload(folder: Path, url: str, side_px: int, *load: str) -> Path:
    """The folder of a finished run."""
    out = folder / "profiles"
    command = [sys.executable, "-m", "mmload", "run", "--url", url, "--workload", str(workload(folder, side_px))]
    command += ["--warmup", "1s", "--no-profile", "--json", "--out", str(out), *load]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 4):
        sys.exit(done.stderr)
    return Path(json.loads(done.stdout)["run_dir"])


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def paced(folder: Path, name: str, side_px: int, rate: float, seconds: float) -> dict[str, float]:
    wire_file = folder / "wire"
    with exact_server(0.05, wire_file) as url:
        run = run_mmload(folder, url, side_px, "--rate", str(rate), "--duration", f"{seconds:g}s")
    wire = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in wire_file.read_text().splitlines()}
    records = [json.loads(line) for line in (run / "requests.jsonl").open()]
    measured = [record for record in records if record["phase"] == "measure"]
    reported = [(record["done_ns"] - record["sent_ns"]) / 1e6 for record in measured]
    true = [(wire[record["id"]][2] - wire[record["id"]][0]) / 1e6 for record in measured]
    health = json.loads((run / "summary.json").read_text())["generator"]
    figures = {
        "cpu_s_per_1000": health["cpu_s_per_1000_requests"],
        "lag_p50_ms": health["lag_p50_ms"],
        "lag_p99_ms": health["lag_p99_ms"],
        "p50_reported_over_wire": percentile(reported, 0.5) / percentile(true, 0.5),
        "p99_reported_over_wire": percentile(reported, 0.99) / percentile(true, 0.99),
        "ks_over_critical": ks_over_critical(sorted(record["sent_ns"] for record in measured)),
    }
    print(f"mmload  {name:8} {rate:g}/s  " + "  ".join(f"{key} {value:.3f}" for key, value in figures.items()))
    return figures


def ks_over_critical(sent_ns: list[int]) -> float:
    """Kolmogorov-Smirnov distance of the gaps from an exponential of their mean, over the 5 % critical value."""
    gaps = np.sort(np.diff(sent_ns))
    n = len(gaps)
    theory = 1 - np.exp(-gaps / gaps.mean())
    distance = max(np.max(np.arange(1, n + 1) / n - theory), np.max(theory - np.arange(n) / n))
    return float(distance / (1.358 / math.sqrt(n)))


def as_fast_as_possible(folder: Path, seconds: float, workers: int) -> float:
    with exact_server(0.0, folder / "wire") as url:
        load = ("--concurrency", "64", "--duration", f"{seconds:g}s", "--workers", str(workers))
        run = run_mmload(folder, url, BODIES["133 kB"], *load)
    summary = json.loads((run / "summary.json").read_text())
    per_core = 1000 / summary["generator"]["cpu_s_per_1000_requests"]
    rate = summary["achieved_rate_rps"]
    print(f"mmload  133 kB   64 in flight, {workers} worker(s): {rate:.0f}/s, {per_core:.0f}/s per core of generator")
    return per_core


def stock_locust(folder: Path, side_px: int, rate: float, seconds: float) -> float:
    """CPU seconds per 1,000 requests of stock Locust with the same body (one user for each request per second)."""
    with exact_server(0.05, folder / "wire") as url:
        made = folder / "body"
        command = [sys.executable, "-m", "mmload", "workload", "show", str(workload(folder, side_px))]
        subprocess.run([*command, "--save", str(folder / "saved"), "--count", "1"], check=True, capture_output=True)
        made.write_bytes(next((folder / "saved").glob(f"noise-{side_px}*.body.json")).read_bytes())
        (folder / "locustfile.py").write_text(LOCUSTFILE.format(body=str(made), each=1))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        users = round(rate)
        command = [sys.executable, "-m", "locust", "-f", str(folder / "locustfile.py"), "--headless", "--host", url]
        command += ["-u", str(users), "-r", str(users), "-t", f"{seconds:g}s", "--json", "--loglevel", "ERROR"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    requests = json.loads(done.stdout)[0]["num_requests"]
    idle = _startup_cpu_s(folder)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - idle
    print(f"locust  stock    {requests / seconds:.0f}/s  cpu_s_per_1000 {1000 * cpu_s / requests:.3f}")
    return 1000 * cpu_s / requests


def _startup_cpu_s(folder: Path) -> float:
    """What Locust costs without a request: its imports."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "locust", "--version"], check=True, capture_output=True, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=100.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        folder = Path(scratch)
        small = paced(folder, "133 kB", BODIES["133 kB"], arguments.rate, arguments.seconds)
        paced(folder, "1.34 MB", BODIES["1.34 MB"], arguments.rate, min(arguments.seconds, 8.0))
        stock = stock_locust(folder, BODIES["133 kB"], arguments.rate, arguments.seconds)
        print(f"ratio of CPU per request to stock Locust: {small['cpu_s_per_1000'] / stock:.2f}")
        as_fast_as_possible(folder, min(arguments.seconds, 6.0), workers=1)


if __name__ == "__main__":
    main()
