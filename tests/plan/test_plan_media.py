import io
import wave

import av
import numpy as np
import pytest
from PIL import Image

from mmload.plan import media
from mmload.plan.media import ImageShape, VideoShape
from mmload.plan.randomness import Purpose, random_bytes, stream

CONTENTS = ("noise", "gradient", "photo")


def rng(number=0):
    return stream(7, Purpose.LOAD_ITEM, number)


def frames(file):
    with av.open(io.BytesIO(file)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("fmt", ["jpeg", "png", "webp"])
def test_an_image_has_the_size_and_format_asked_for(content, fmt):
    file = media.image(ImageShape(97, 50, fmt, 85, content), rng())
    picture = Image.open(io.BytesIO(file))
    picture.load()
    assert (picture.format, picture.size, picture.mode) == (fmt.upper(), (97, 50), "RGB")


@pytest.mark.parametrize("content", CONTENTS)
def test_the_same_stream_gives_the_same_bytes_and_another_one_other_pixels(content):
    image_shape, video_shape = ImageShape(64, 64, "jpeg", 85, content), VideoShape(64, 48, 8, 1, 20, content)
    for make, shape, decode in (
        (media.image, image_shape, lambda file: np.asarray(Image.open(io.BytesIO(file)))),
        (media.video, video_shape, lambda file: np.stack(frames(file))),
    ):
        assert make(shape, rng(1)) == make(shape, rng(1))
        pixels = [decode(make(shape, rng(number))).tobytes() for number in range(20)]
        assert len(set(pixels)) == 20


def test_the_smallest_image_can_be_made_of_any_content():
    for content in CONTENTS:
        assert Image.open(io.BytesIO(media.image(ImageShape(8, 8, "png", 85, content), rng()))).size == (8, 8)


def test_a_photo_weighs_less_than_noise_and_more_than_a_gradient():
    noise, gradient, photo = (
        len(media.image(ImageShape(224, 224, "jpeg", 85, content), rng())) for content in CONTENTS
    )
    assert 2 * gradient < photo < noise / 2


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("bits_per_pixel", [0.2, 1.0, 4.0])
def test_a_video_has_the_size_length_and_bit_rate_asked_for(content, bits_per_pixel):
    shape = VideoShape(160, 120, 10, 2, bits_per_pixel * 10 * 160 * 120 / 1e3, content)
    file = media.video(shape, rng())
    assert len(file) == pytest.approx(shape.bit_rate_kbps * 1000 / 8 * 2 + 1200, rel=0.1)  # 1.2 kB of container
    decoded = frames(file)
    assert (len(decoded), decoded[0].shape) == (20, (120, 160, 3))
    with av.open(io.BytesIO(file)) as container:
        assert (container.format.name.split(",")[1], container.streams.video[0].average_rate) == ("mp4", 10)


def test_the_frames_of_a_video_differ_from_the_first_on():
    decoded = frames(media.video(VideoShape(160, 120, 10, 1, 40, "noise"), rng(1)))
    other = frames(media.video(VideoShape(160, 120, 10, 1, 40, "noise"), rng(2)))
    assert len({frame.tobytes() for frame in decoded + other}) == 20


def test_a_video_of_one_frame_and_the_smallest_size_can_be_made():
    assert len(frames(media.video(VideoShape(16, 16, 1, 0.1, 1, "photo"), rng()))) == 1


def test_a_sound_has_the_length_and_rate_asked_for():
    with wave.open(io.BytesIO(media.sound(1.5, 16_000, rng()))) as sound:
        assert sound.getnframes() / sound.getframerate() == 1.5
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
    assert media.sound(0.1, 8000, rng(1)) == media.sound(0.1, 8000, rng(1)) != media.sound(0.1, 8000, rng(2))


def test_random_bytes_are_as_many_as_asked_for_and_every_value_alike():
    assert [len(random_bytes(rng(), count)) for count in (0, 1, 7, 8, 9)] == [0, 1, 7, 8, 9]
    counts = np.bincount(random_bytes(rng(), 256_000), minlength=256)
    assert ((counts - 1000) ** 2 / 1000).sum() < 330  # chi-squared, 255 degrees of freedom, 99.9 %


def test_streams_of_different_purpose_seed_or_index_are_different():
    keys = [
        (0, Purpose.LOAD_ITEM, 0),
        (0, Purpose.IDENTITY_ITEM, 0),
        (0, Purpose.LOAD_ITEM, 1),
        (1, Purpose.LOAD_ITEM, 0),
    ]
    assert len({stream(*key).integers(2**63) for key in keys}) == 4
