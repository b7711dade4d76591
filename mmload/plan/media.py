"""Images, videos and sounds made from a random stream: the same stream gives the same bytes, another one other pixels.

What comes out depends on the stream and the shape alone, never on what else is made at the time. Server-side caches
work on pixels, so what is distinct here is distinct there.
"""

from __future__ import annotations

import io
import wave
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmload.plan.randomness import random_bytes
from mmload.plan.workload import Content, ImageFormat

Pixels = NDArray[np.uint8]  # height x width x 3, RGB

# Noise does not compress: more effort would only take longer.
_LEAST_EFFORT: dict[ImageFormat, dict[str, int]] = {"jpeg": {}, "png": {"compress_level": 1}, "webp": {"method": 0}}
_PAN_PX = 64  # how far the picture of a video moves before it turns back
_DETAIL_IN_VIDEO_PX = 20  # as soft as moving, compressed pictures are


class ImageShape(NamedTuple):
    width_px: int
    height_px: int
    format: ImageFormat
    quality: int
    content: Content


class VideoShape(NamedTuple):
    """Even width and height."""

    width_px: int
    height_px: int
    fps: int
    duration_s: float
    bit_rate_kbps: float
    content: Content

    @property
    def frames(self) -> int:
        return max(1, round(self.duration_s * self.fps))

    @property
    def bits_per_pixel(self) -> float:
        return self.bit_rate_kbps * 1000 / (self.fps * self.width_px * self.height_px)


def image(shape: ImageShape, rng: np.random.Generator) -> bytes:
    """An image file."""
    picture = Image.fromarray(_picture(shape.content, shape.width_px, shape.height_px, rng))
    file = io.BytesIO()
    picture.save(file, shape.format, quality=shape.quality, **_LEAST_EFFORT[shape.format])
    return file.getvalue()


def video(shape: VideoShape, rng: np.random.Generator) -> bytes:
    """An mp4 (MPEG-4 part 2, every frame a key frame) whose size is what its bit rate says.

    A still picture pans to and fro by two pixels a frame, under grain that is new in each frame. The quantiser is
    fixed; the grain's strength fills the bit rate, each frame making up for what the earlier ones were off.
    """
    file = io.BytesIO()
    still = _still(shape, rng)
    quantiser = _quantiser(shape)
    grain = quantiser * max(shape.bits_per_pixel, 0.7)  # about where it settles; below 0.7 hardly any of it is coded
    left_bytes = shape.bit_rate_kbps * 1000 / 8 * shape.frames / shape.fps
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        encoder = container.add_stream("mpeg4", rate=shape.fps)
        encoder.width, encoder.height, encoder.pix_fmt = shape.width_px, shape.height_px, "yuv420p"
        context = encoder.codec_context
        context.gop_size, context.thread_count, context.qmin, context.qmax = 1, 1, quantiser, quantiser
        context.options = {"flags": "+bitexact"}
        for number in range(shape.frames):
            frame = av.VideoFrame.from_ndarray(_frame(still, shape, number, grain, rng), format="yuv420p")
            frame.pts = number
            packets = encoder.encode(frame)
            container.mux(packets)
            frame_bytes = sum(packet.size for packet in packets)
            left_bytes -= frame_bytes
            wanted_bytes = left_bytes / max(shape.frames - number - 1, 1)
            grain *= min(max(wanted_bytes / max(frame_bytes, 1), 0.8), 1.25)
        container.mux(encoder.encode())
    return file.getvalue()


def sound(duration_s: float, sample_rate_hz: int, rng: np.random.Generator) -> bytes:
    """A mono WAV of white noise, 16 bits a sample."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(sample_rate_hz)
        wav.writeframes(random_bytes(rng, 2 * round(duration_s * sample_rate_hz)).tobytes())
    return file.getvalue()


def _picture(content: Content, width: int, height: int, rng: np.random.Generator) -> Pixels:
    if content == "noise":
        return random_bytes(rng, width * height * 3).reshape(height, width, 3)
    if content == "gradient":
        return np.clip(_smooth(2, width, height, 3, rng) + 128, 0, 255).astype(np.uint8)
    return _photo(width, height, max(width, height) // 2, rng)


def _photo(width: int, height: int, finest: int, rng: np.random.Generator) -> Pixels:
    """Octaves of smooth noise up to `finest` cells across, all equally strong: in two dimensions an amplitude that
    falls as 1/f, as that of photographs does (Field 1987, J. Opt. Soc. Am. A 4), has the same variance in each octave.
    The colours are coarser and weaker than the light, as in photographs."""
    sides = [2**octave for octave in range(1, finest.bit_length())]
    light = sum((_smooth(side, width, height, 1, rng) for side in sides), np.zeros(1, np.float32))
    colour = sum((_smooth(side, width, height, 3, rng) for side in sides[:3]), np.zeros(1, np.float32))
    pixels = 128 + light / np.float32(np.sqrt(len(sides))) + colour / 4
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _smooth(side: int, width: int, height: int, channels: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """height x width x channels of -128 .. 127: side x side values, the outermost at the corners, linear in between."""
    values = random_bytes(rng, side * side * channels).tobytes()
    small = Image.frombytes("RGB" if channels == 3 else "L", (side, side), values)
    large = small.resize((width, height), Image.Resampling.BILINEAR, box=(0.5, 0.5, side - 0.5, side - 0.5))
    return np.asarray(large, np.float32).reshape(height, width, channels) - 128


def _still(shape: VideoShape, rng: np.random.Generator) -> list[Pixels]:
    """The Y, U and V plane over which the frames pan; grey for noise, which is all grain."""
    width, height = shape.width_px + _PAN_PX, shape.height_px
    if shape.content == "noise":
        picture = np.full((height, width, 3), 128, np.uint8)
    elif shape.content == "gradient":
        picture = _picture("gradient", width, height, rng)
    else:
        picture = _photo(width, height, max(width // _DETAIL_IN_VIDEO_PX, 4), rng)
    y, u, v = (np.asarray(plane) for plane in Image.fromarray(picture).convert("YCbCr").split())
    return [y, u[::2, ::2], v[::2, ::2]]


def _frame(still: list[Pixels], shape: VideoShape, number: int, grain: float, rng: np.random.Generator) -> Pixels:
    """One frame as PyAV takes yuv420p: the three planes, one after the other, in rows of the frame's width."""
    left = abs((2 * number + _PAN_PX) % (2 * _PAN_PX) - _PAN_PX)
    y = still[0][:, left : left + shape.width_px]
    u, v = (plane[:, left // 2 : (left + shape.width_px) // 2] for plane in still[1:])
    noise = random_bytes(rng, y.size).view(np.int8).reshape(y.shape) * np.float32(grain / 128)
    luma = np.clip(y + noise + np.float32(0.5), 0, 255).astype(np.uint8)
    return np.concatenate([luma, u, v], axis=None).reshape(shape.height_px * 3 // 2, shape.width_px)


def _quantiser(shape: VideoShape) -> int:
    """Coarse enough that the still picture alone takes less than the bit rate; 2 is the finest, 31 the coarsest."""
    return min(max(round(8 / shape.bits_per_pixel), 2), 31)
