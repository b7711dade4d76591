"""A server in processes of its own, and what a test asks of it over HTTP."""

import base64
import http.client
import io
import json
import os
import signal
import subprocess
import wave

import av
import numpy as np
from PIL import Image

PATIENCE_S = 30  # how long a test waits for something that must happen, before it calls it a hang


def picture(seed=0, width=112, height=84, form="JPEG"):
    """A data: URI of a noise image of its own."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return f"data:image/{form.lower()};base64," + base64.b64encode(file.getvalue()).decode()


def data_uri(kind, data):
    return f"data:{kind};base64," + base64.b64encode(data).decode()


def film():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(8):
            noise = np.random.default_rng(index).integers(0, 256, (48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    return data_uri("video/mp4", file.getvalue())


def sound():
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16_000, 0, "NONE", ""))
        writer.writeframes(np.random.default_rng(0).integers(-9999, 9999, 8000, dtype=np.int16).tobytes())
    return data_uri("audio/wav", file.getvalue())


def chat(*images, text="What is this?", **options):
    """The body of a chat request."""
    content = [{"type": "image_url", "image_url": {"url": image}} for image in images]
    messages = [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]
    return {"model": "default", "messages": messages, "max_tokens": 8, "temperature": 0, **options}


def counters(metrics, name):
    """{'tokenizer': .., 'scheduler_TP0': ..} of one handoff counter."""
    prefix = f'mmload_handoff_{name}_total{{process="'
    return {key[len(prefix) : -2]: value for key, value in metrics.items() if key.startswith(prefix)}


class HttpServer:
    """What a test asks of a server. Subclasses start one: `process`, and the `host` that it listens on."""

    process: subprocess.Popen
    host: str

    def open(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE_S)
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        return connection, connection.getresponse()

    def send_and_leave(self, path, body):
        """A client that is gone before anything can have come of its request."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE_S)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        connection.close()

    def get(self, path):
        connection, response = self.open("GET", path)
        with connection.sock or response:
            return response.status, response.read().decode()

    def post(self, path, body):
        connection, response = self.open("POST", path, body)
        with connection.sock or response:
            text = response.read().decode()
        return response.status, json.loads(text) if response.headers["Content-Type"] == "application/json" else text

    def info(self):
        return json.loads(self.get("/server_info")[1])

    def answer(self, *images, **options):
        status, reply = self.post("/v1/chat/completions", chat(*images, **options))
        assert status == 200, reply
        return reply["choices"][0]["message"]["content"]

    def metrics(self):
        lines = (line.rpartition(" ") for line in self.get("/metrics")[1].splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise
        self.process.stdout.close()
        self.process.stderr.close()
