"""What is asked of the server: a workload file of configs/workloads/.

    about = "One 224 px JPEG a request"
    rate_rps = 100

    [[items]]                       # one table for each kind of request, drawn in proportion to `weight`
    modality = "image"
    width_px = 224
    prompt_words = 16
    max_tokens = 16

Every number of an item may be a distribution (workload_amounts). Instead of [[items]] a workload may name a `dataset`:
a JSONL file with the user's own requests (payloads_given).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mmload.errors import ConfigError
from mmload.model.plan import Plan
from mmload.plan import config
from mmload.plan.workload_amounts import Amount, Positive, bounds, check_range

Endpoint = Literal["/v1/chat/completions", "/generate"]
Content = Literal["noise", "gradient", "photo"]
ImageFormat = Literal["jpeg", "png", "webp"]

_BITS_PER_PIXEL = (0.2, 4.0)  # what media.video keeps to within a few percent, measured with every content


class Text(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="modality", tag="text"):
    """A request of words alone, and what every other kind has too.

    prompt_words: short common words, about one token each. max_tokens: how long the answer may get.
    """

    weight: Positive = 1.0
    prompt_words: Amount = 16
    max_tokens: Amount = 16

    def __post_init__(self) -> None:
        check_range("prompt_words", self.prompt_words, 1, 200_000)
        check_range("max_tokens", self.max_tokens, 1, 100_000)


class Image(Text, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="image"):
    """One image. height_px: None means square. quality: of JPEG and WebP. content: `noise` makes every pixel of every
    image its own, `photo` has a photograph's spectrum, `gradient` is as small as a file gets. folder: image files to
    send instead, in order of name, again from the first after the last; size, format and content then say nothing.
    """

    width_px: Amount = 224
    height_px: Amount | None = None
    format: ImageFormat = "jpeg"
    quality: Annotated[int, msgspec.Meta(ge=1, le=100)] = 85
    content: Content = "noise"
    folder: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("width_px", self.width_px, 8, 8192)
        if self.height_px is not None:
            check_range("height_px", self.height_px, 8, 8192)


class Images(Image, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="images"):
    """Several images in one request."""

    count: Amount = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("count", self.count, 1, 64)


class Video(Text, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="video"):
    """One mp4 of about bit_rate_kbps x duration_s / 8 kilobytes. Odd sizes are rounded down to even ones (4:2:0)."""

    width_px: Amount = 640
    height_px: Amount = 360
    fps: Annotated[int, msgspec.Meta(ge=1, le=120)] = 10
    duration_s: Amount = 4
    bit_rate_kbps: Amount = 4000
    content: Content = "noise"
    folder: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("width_px", self.width_px, 16, 4096)
        check_range("height_px", self.height_px, 16, 4096)
        check_range("duration_s", self.duration_s, 0.1, 600)
        (narrow, wide), (low, high) = bounds(self.width_px), bounds(self.height_px)
        least, most = _BITS_PER_PIXEL
        lowest, highest = least * self.fps * wide * high / 1e3, most * self.fps * narrow * low / 1e3
        check_range("bit_rate_kbps", self.bit_rate_kbps, lowest, highest)


class Audio(Text, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="audio"):
    """One mono WAV of 16-bit noise."""

    duration_s: Amount = 5
    sample_rate_hz: Annotated[int, msgspec.Meta(ge=8000, le=192_000)] = 16_000
    folder: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("duration_s", self.duration_s, 0.1, 600)


Item = Text | Image | Images | Video | Audio


class Workload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workload, resolved: its paths are absolute.

    rate_rps: the rate it is meant for. requests: how many it is meant to have (None: as many as the time takes).
    reuse: share of the requests that repeat an earlier one, media and words, so that the server's caches see it again;
    0: every request has its own. media_token: stands in a /generate prompt once for each medium (the model's own, such
    as `<image>`). ignore_eos: the answer always takes all of max_tokens.
    """

    about: str
    rate_rps: Positive
    requests: Annotated[int, msgspec.Meta(ge=1)] | None = None
    endpoint: Endpoint = "/v1/chat/completions"
    stream: bool = True
    reuse: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    media_token: str = ""
    ignore_eos: bool = False
    items: tuple[Item, ...] = ()
    dataset: str | None = None

    def __post_init__(self) -> None:
        check_range("rate_rps", self.rate_rps, 0.001, 1_000_000)
        if bool(self.items) == (self.dataset is not None):
            raise ValueError("expected either [[items]] or `dataset`")


def load_workload(name_or_file: str) -> tuple[str, Workload]:
    """The name and the content of a workload; its folders and dataset lie relative to the file that names them.

    Raises UsageError (no such workload) or ConfigError (wrong content, no such folder or dataset).
    """
    file = config.find("workloads", name_or_file)
    workload = config.load_file(file, Workload)
    base = file.resolve().parent
    items = tuple(_resolved(item, base, file) for item in workload.items)
    workload = msgspec.structs.replace(workload, items=items)
    if workload.dataset is None:
        return file.stem, workload
    dataset = base / workload.dataset
    if not dataset.is_file():
        raise ConfigError(f"{file}: `dataset` expected a file, there is none at {dataset}")
    return file.stem, msgspec.structs.replace(workload, dataset=str(dataset))


def workload_of_items(file: Path, rate_rps: float) -> tuple[str, Workload]:
    """The workload whose requests are the lines of the user's own JSONL file."""
    if not file.is_file():
        raise ConfigError(f"no file {file}", "--items takes a JSONL file, one request a line")
    return file.stem, Workload(about=f"the requests of {file.name}", rate_rps=rate_rps, dataset=str(file.resolve()))


def workload_of(plan: Plan) -> Workload:
    """The workload that a plan carries in plain form. Raises ConfigError when that is damaged."""
    return config.convert(plan.workload, Workload, "the plan's workload")


def _resolved(item: Item, base: Path, file: Path) -> Item:
    if isinstance(item, (Image, Video, Audio)) and item.folder is not None:
        folder = base / item.folder
        if not folder.is_dir():
            raise ConfigError(f"{file}: `folder` expected a folder, there is none at {folder}")
        return msgspec.structs.replace(item, folder=str(folder))
    return item
