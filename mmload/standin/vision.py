"""Images and videos to patches of float32, exactly as Qwen2-VL's processor makes them.

Sources: `Qwen2VLImageProcessor` (transformers, image_processing_qwen2_vl.py) for resize, normalisation and patch
order; SGLang's multimodal/processors/qwen_vl.py for the limits and for which frames of a video are kept.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import av
import av.error
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mmload.standin.config import VisionLimits

PATCH = 14
TEMPORAL_PATCH = 2
MERGE = 2
FACTOR = PATCH * MERGE
FEATURES_PER_PATCH = 3 * TEMPORAL_PATCH * PATCH * PATCH
MAX_ASPECT_RATIO = 200

# OPENAI_CLIP_MEAN and OPENAI_CLIP_STD (transformers, image_utils.py).
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
_STD = np.array([0.26862954, 0.26130258, 0.27577711])
_SCALE = (1 / 255 / _STD).astype(np.float32).reshape(3, 1, 1)
_OFFSET = (-_MEAN / _STD).astype(np.float32).reshape(3, 1, 1)

Grid = tuple[int, int, int]  # patches in time, height and width
Features = NDArray[np.float32]


class MediaError(ValueError):
    """An image, video or audio that can't be read or lies outside what the model takes."""


def smart_resize(height: int, width: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """(height, width) as multiples of 28 with about the same ratio and min_pixels <= height x width <= max_pixels."""
    if max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        raise MediaError(f"absolute aspect ratio must be smaller than {MAX_ASPECT_RATIO}, got {width} x {height}")
    rows = max(FACTOR, round(height / FACTOR) * FACTOR)
    columns = max(FACTOR, round(width / FACTOR) * FACTOR)
    if rows * columns > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        rows = max(FACTOR, math.floor(height / shrink / FACTOR) * FACTOR)
        columns = max(FACTOR, math.floor(width / shrink / FACTOR) * FACTOR)
    elif rows * columns < min_pixels:
        stretch = math.sqrt(min_pixels / (height * width))
        rows = math.ceil(height * stretch / FACTOR) * FACTOR
        columns = math.ceil(width * stretch / FACTOR) * FACTOR
    return rows, columns


def patchify(frames: Sequence[NDArray[np.uint8]]) -> tuple[Features, Grid]:
    """RGB frames of one size (height, width, 3; multiples of 28) -> (patches, 1176) float32 and their grid.

    A row is one patch: channel, time, y, x. Rows are ordered by time, then by blocks of 2 x 2 patches, which the model
    merges into one token. An odd last frame is repeated.
    """
    height, width, _ = frames[0].shape
    pairs = -(-len(frames) // TEMPORAL_PATCH)
    rows, columns = height // FACTOR, width // FACTOR
    patches = np.empty((pairs, rows, columns, MERGE, MERGE, 3, TEMPORAL_PATCH, PATCH, PATCH), np.float32)
    for index in range(pairs * TEMPORAL_PATCH):
        target = patches[index // TEMPORAL_PATCH, ..., index % TEMPORAL_PATCH, :, :]
        if index < len(frames):
            blocks = frames[index].reshape(rows, MERGE, PATCH, columns, MERGE, PATCH, 3)
            np.multiply(blocks.transpose(0, 3, 1, 4, 6, 2, 5), _SCALE, out=target)
            target += _OFFSET
        else:
            target[:] = patches[-1, ..., index % TEMPORAL_PATCH - 1, :, :]
    grid = (pairs, rows * MERGE, columns * MERGE)
    return patches.reshape(-1, FEATURES_PER_PATCH), grid


def image_features(data: bytes, limits: VisionLimits) -> tuple[Features, Grid]:
    """A JPEG, PNG, WebP or whatever else Pillow reads. Raises MediaError."""
    try:
        with Image.open(io.BytesIO(data)) as file:
            image = file.convert("RGB")
    except UnidentifiedImageError as error:
        raise MediaError("cannot identify image file") from error
    except Exception as error:  # a decoder may raise anything on a broken file
        raise MediaError(f"cannot decode image: {error}") from error
    size = smart_resize(image.height, image.width, limits.min_pixels, limits.max_pixels)
    return patchify([_resized(image, size, Image.Resampling.BICUBIC)])


def video_features(data: bytes, limits: VisionLimits) -> tuple[Features, Grid]:
    """Whatever PyAV reads, `video_fps` frames of each second. Raises MediaError."""
    try:
        images = _kept_frames(data, limits)
    except (av.error.FFmpegError, IndexError) as error:
        raise MediaError(f"cannot decode video: {error}") from error
    first = images[0]
    size = smart_resize(first.height, first.width, limits.video_min_pixels, _frame_pixels(len(images), limits))
    return patchify([_resized(image, size, Image.Resampling.BILINEAR) for image in images])


def _kept_frames(data: bytes, limits: VisionLimits) -> list[Image.Image]:
    """Two passes where the file does not say how many frames it has: frames that are not kept are not held either."""
    with av.open(io.BytesIO(data), mode="r") as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or limits.video_fps)
        total = stream.frames or sum(1 for _ in container.decode(stream))
    if total < TEMPORAL_PATCH:
        raise MediaError(f"a video needs {TEMPORAL_PATCH} frames or more, got {total}")
    kept = set(frame_indices(total, fps, limits))
    with av.open(io.BytesIO(data), mode="r") as container:
        frames = [
            Image.fromarray(frame.to_ndarray(format="rgb24"))
            for index, frame in enumerate(container.decode(container.streams.video[0]))
            if index in kept
        ]
    if len(frames) < len(kept):
        raise MediaError(f"cannot decode video: it is cut short of its {total} frames")
    return frames


def frame_indices(total: int, fps: float, limits: VisionLimits) -> list[int]:
    """Which of `total` frames are kept: evenly spread, an even number of them."""
    most = min(limits.video_max_frames, total)
    wanted = min(max(total / fps * limits.video_fps, limits.video_min_frames), most)
    count = max(TEMPORAL_PATCH, int(wanted) // TEMPORAL_PATCH * TEMPORAL_PATCH)
    indices: list[int] = np.linspace(0, total - 1, count, dtype=np.int64).tolist()
    return indices


def _frame_pixels(frames: int, limits: VisionLimits) -> int:
    share = int(limits.video_total_pixels / frames * TEMPORAL_PATCH)
    return max(min(limits.video_max_pixels, share), int(limits.video_min_pixels * 1.05))


def _resized(image: Image.Image, size: tuple[int, int], filter_: Image.Resampling) -> NDArray[np.uint8]:
    height, width = size
    if image.size != (width, height):
        image = image.resize((width, height), filter_)
    return np.asarray(image)
