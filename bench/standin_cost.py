"""What the stand-in server costs: CPU milliseconds a request, by process and by stage of the handoff.

    python bench/standin_cost.py [--variant original] [--tp 2] [--rate 100] [--duration 10] [--pixels 224] [--tokens 16]

Starts a server, sends Poisson arrivals of streamed chat requests with distinct noise images, and ends it. The client
is light but shares the cores: on a busy machine the latencies are those of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import subprocess
import time

import aiohttp
import msgspec
import numpy as np
import psutil
from PIL import Image

from mmload.observe.prometheus import parse_prometheus
from mmload.serve.engines import start_command


def bodies(count: int, pixels: int, tokens: int, rng: np.random.Generator) -> list[bytes]:
    made = []
    for index in range(count):
        file = io.BytesIO()
        noise = rng.integers(0, 256, (pixels, pixels, 3), dtype=np.uint8)
        Image.fromarray(noise).save(file, "JPEG", quality=90)
        image = {"url": "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()}
        content = [{"type": "image_url", "image_url": image}, {"type": "text", "text": f"What is in image {index}?"}]
        message = {"role": "user", "content": content}
        options = {"max_tokens": tokens, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
        made.append(msgspec.json.encode({"model": "default", "messages": [message], **options}))
    return made


async def one(session: aiohttp.ClientSession, body: bytes, due: float, results: list, gaps: list) -> None:
    await asyncio.sleep(due - time.monotonic())
    headers = {"Content-Type": "application/json"}
    last = None
    async with session.post("/v1/chat/completions", data=body, headers=headers) as response:
        response.raise_for_status()
        async for line in response.content:
            if line.startswith(b"data: {") and b'"content":" ' in line:
                now = time.monotonic()
                if last is not None:
                    gaps.append(now - last)
                last = now
    results.append(time.monotonic() - due)


async def load(url: str, made: list[bytes], rate: float, rng: np.random.Generator) -> tuple[list, list]:
    results: list[float] = []
    gaps: list[float] = []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        start = time.monotonic() + 0.2
        offsets = np.sort(rng.uniform(0, len(made) / rate, len(made)))
        await asyncio.gather(
            *(one(session, body, start + offset, results, gaps) for body, offset in zip(made, offsets, strict=True))
        )
    return results, gaps


async def measure(url: str, root: psutil.Process, arguments: argparse.Namespace) -> None:
    rng = np.random.default_rng(0)
    count = int(arguments.rate * arguments.duration)
    made = bodies(count, arguments.pixels, arguments.tokens, rng)
    warm = bodies(20, arguments.pixels, arguments.tokens, rng)
    await load(url, warm, 20, rng)
    async with aiohttp.ClientSession(url) as session:
        async with session.get("/server_info") as response:
            ranks = (await response.json())["mmload"]["ranks"]
        processes = {"tokenizer": root} | {f"scheduler_TP{r['rank']}": psutil.Process(r["pid"]) for r in ranks}

        async def state() -> tuple[dict, dict]:
            async with session.get("/metrics") as response:
                metrics = parse_prometheus(await response.text())
            return metrics, {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}

        metrics_before, cpu_before = await state()
        results, gaps = await load(url, made, arguments.rate, rng)
        metrics_after, cpu_after = await state()
    print(f"{arguments.variant}, TP {arguments.tp}, {arguments.rate:g} req/s, {count} requests, {len(made[0])} bytes")
    p = np.percentile(results, [50, 90, 99]) * 1e3
    g = np.percentile(gaps, [50, 99]) * 1e3
    print(f"response p50 {p[0]:.0f}, p90 {p[1]:.0f}, p99 {p[2]:.0f} ms")
    print(f"gap between tokens p50 {g[0]:.1f}, p99 {g[1]:.1f} ms")
    spent = {name: (cpu_after[name] - cpu_before[name]) * 1e3 / count for name in processes}
    parts = ", ".join(f"{name} {ms:.2f}" for name, ms in spent.items())
    print(f"CPU ms a request: {parts}; together {sum(spent.values()):.2f}")
    for name in processes:
        stages = {
            stage: (metrics_after[key] - metrics_before[key]) * 1e3 / count
            for stage in ("receive", "build", "hash", "pickle", "broadcast", "sample")
            for key in [f'mmload_handoff_{stage}_cpu_seconds_total{{process="{name}"}}']
        }
        print(f"  {name}:", ", ".join(f"{stage} {ms:.2f}" for stage, ms in stages.items()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--variant", default="original")
    parser.add_argument("--tp", type=int, default=2)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--duration", type=float, default=10)
    parser.add_argument("--pixels", type=int, default=224)
    parser.add_argument("--tokens", type=int, default=16)
    arguments = parser.parse_args()
    server = subprocess.Popen(
        start_command("standin", port=0, tp=arguments.tp, variant=arguments.variant), stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        assert server.stdout.readline().startswith("ready")
        asyncio.run(measure(url, psutil.Process(server.pid), arguments))
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
