import base64
import contextlib
import io
import itertools

import av
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmload.standin.config import load_config
from mmload.standin.vision import (
    FACTOR,
    MediaError,
    frame_indices,
    image_features,
    patchify,
    smart_resize,
    video_features,
)

LIMITS = load_config().vision
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def slow_patches(frames):
    """Qwen2-VL's patches, number by number, from the description: rows by time, block row, block column, row and
    column in the block; columns by channel, frame of the pair, y, x."""
    frames = [*frames, frames[-1]][: len(frames) + len(frames) % 2]
    height, width, _ = frames[0].shape
    rows = []
    for pair, top, left, y, x in itertools.product(
        range(0, len(frames), 2), range(0, height, 28), range(0, width, 28), (0, 14), (0, 14)
    ):
        row = []
        for channel, frame in itertools.product(range(3), (pair, pair + 1)):
            square = frames[frame][top + y : top + y + 14, left + x : left + x + 14, channel]
            row += [(value / 255 - MEAN[channel]) / STD[channel] for value in square.reshape(-1).tolist()]
        rows.append(row)
    return np.array(rows)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_patches_are_those_of_the_slow_reference(rows, columns, count, seed):
    frames = list(
        np.random.default_rng(seed).integers(0, 256, (count, rows * FACTOR, columns * FACTOR, 3), dtype=np.uint8)
    )
    patches, grid = patchify(frames)
    assert grid == ((count + 1) // 2, 2 * rows, 2 * columns)
    np.testing.assert_allclose(patches, slow_patches(frames), atol=1e-6)


def test_features_are_those_of_qwen2_vl_in_transformers():
    # Qwen2VLImageProcessor(min_pixels=3136, max_pixels=12845056), transformers 4.57.1
    pixels = (np.arange(100 * 130 * 3) * 7919 % 256).astype(np.uint8).reshape(100, 130, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    features, grid = image_features(file.getvalue(), LIMITS)
    assert grid == (1, 8, 10)
    assert features.shape == (80, 1176)
    assert features.dtype == np.float32
    probes = [features[at] for at in ((0, 0), (1, 200), (17, 588), (40, 1175), (79, 700))]
    expected = [-1.7922625541687012, 0.8500526547431946, 0.6641536355018616, 1.1362724304199219, -0.8516309857368469]
    np.testing.assert_allclose(probes, expected, atol=1e-6)


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_a_resized_image_is_in_whole_blocks_and_within_the_limits(height, width):
    if max(height, width) > 200 * min(height, width):
        with pytest.raises(MediaError):
            smart_resize(height, width, 3136, 1_000_000)
        return
    new_height, new_width = smart_resize(height, width, 3136, 1_000_000)
    assert new_height % FACTOR == new_width % FACTOR == 0
    assert new_height * new_width >= 3136
    assert new_height * new_width <= 1_000_000 or FACTOR in (new_height, new_width)


@given(st.integers(2, 5000), st.floats(1, 120))
def test_kept_frames_are_an_even_number_of_increasing_frames_of_the_video(total, fps):
    kept = frame_indices(total, fps, LIMITS)
    assert len(kept) % 2 == 0
    assert kept == sorted(kept)
    assert kept[0] == 0
    assert kept[-1] == total - 1
    assert len(kept) <= LIMITS.video_max_frames


def video(frames, width=64, height=48, fps=10):
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            image = np.full((height, width, 3), 8 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def test_a_video_gives_patches_of_two_frames_each():
    features, grid = video_features(video(30), LIMITS)  # 3 s, 2 frames a second
    assert grid[0] == 3
    assert features.shape == (grid[0] * grid[1] * grid[2], 1176)
    assert grid[1] * grid[2] * 14 * 14 >= LIMITS.video_min_pixels
    first, second = features[0].reshape(3, 2, 14, 14)[0]
    assert first.mean() < second.mean()  # the video brightens


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
def test_images_of_all_forms_are_read(form):
    file = io.BytesIO()
    Image.new("P" if form == "GIF" else "RGB", (56, 84)).save(file, form)
    assert image_features(file.getvalue(), LIMITS)[1] == (1, 6, 4)


@pytest.mark.parametrize("read", [image_features, video_features])
@pytest.mark.parametrize("data", [b"", b"hello world", b"\xff\xd8\xff\xe0", base64.b64decode("iVBORw0KGgo=")])
def test_what_is_no_medium_is_a_media_error(read, data):
    with pytest.raises(MediaError):
        read(data, LIMITS)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_damaged_image_gives_features_or_a_media_error(data):
    file = io.BytesIO()
    Image.new("RGB", (60, 60), "red").save(file, data.draw(st.sampled_from(["JPEG", "PNG", "WEBP"])))
    damaged = bytearray(file.getvalue())[: data.draw(st.integers(1, len(file.getvalue())))]
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(0, 255))
    with contextlib.suppress(MediaError):
        features, grid = image_features(bytes(damaged), LIMITS)
        assert len(features) == np.prod(grid)
        assert np.isfinite(features).all()


def test_a_video_cut_short_is_a_media_error():
    with pytest.raises(MediaError):
        video_features(video(30)[:-800], LIMITS)


def test_one_frame_is_no_video():
    with pytest.raises(MediaError, match="2 frames or more"):
        video_features(video(1), LIMITS)


def test_a_lower_pixel_limit_gives_fewer_patches():
    file = io.BytesIO()
    Image.new("RGB", (560, 560)).save(file, "PNG")
    small = msgspec.structs.replace(LIMITS, max_pixels=280 * 280)
    assert image_features(file.getvalue(), LIMITS)[0].shape[0] == 1600
    assert image_features(file.getvalue(), small)[0].shape[0] == 400
