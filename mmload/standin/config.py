"""configs/engines/standin.toml: the modelled device and the limits of the stand-in server."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mmload.plan.config import load

Time = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


class DeviceModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a step takes on the device, how much fits on it, and how much comes in between two steps.

    max_prefill_tokens: prompt tokens in one prefill step (one longer request goes alone). max_recv_per_poll: messages
    received before a step. max_total_tokens: prompt and answer tokens of all running requests.
    """

    prefill_ms: Time
    prefill_ms_per_1000_tokens: Time
    decode_ms: Time
    decode_ms_per_request: Time
    max_running_requests: Count
    max_prefill_tokens: Count
    max_recv_per_poll: Count
    max_total_tokens: Count

    def prefill_ns(self, tokens: int) -> int:
        """The time of one prefill step that computes `tokens` prompt tokens."""
        return int(1e6 * (self.prefill_ms + self.prefill_ms_per_1000_tokens * tokens / 1000))

    def decode_ns(self, requests: int) -> int:
        """The time of one decode step over `requests` running requests."""
        return int(1e6 * (self.decode_ms + self.decode_ms_per_request * requests))


class VisionLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The pixels and frames that the processor keeps of an image or a video."""

    min_pixels: Count
    max_pixels: Count
    video_min_pixels: Count
    video_max_pixels: Count
    video_total_pixels: Count
    video_fps: Annotated[float, Meta(gt=0)]
    video_min_frames: Count
    video_max_frames: Count


class StandinConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """context_length: prompt and answer tokens of one request. drain_s: how long a stop waits for running requests."""

    about: str
    model: str
    context_length: Count
    default_max_tokens: Count
    body_limit_mb: Count
    processor_threads: Count
    drain_s: Time
    health_timeout_s: Time
    device: DeviceModel
    vision: VisionLimits


def load_config(name_or_file: str = "standin") -> StandinConfig:
    """Raises UsageError (not there) or ConfigError (wrong)."""
    return load("engines", name_or_file, StandinConfig)
