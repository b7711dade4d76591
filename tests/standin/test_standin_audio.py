import io
import wave

import numpy as np
import pytest

from mmload.standin.audio import audio_features, log_mel
from mmload.standin.vision import MediaError


def wav(samples, rate, channels=1):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes((samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


def tone(hertz, rate=16_000, seconds=0.5):
    return np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def test_the_spectrogram_is_whispers_in_transformers():
    # WhisperFeatureExtractor(feature_size=128), transformers 4.57.1
    mel = log_mel((0.5 * tone(440) + 0.1 * tone(3000)).astype(np.float32))
    assert mel.shape == (128, 50)
    assert mel.dtype == np.float32
    probes = [mel[at] for at in ((0, 0), (13, 20), (64, 7), (80, 30), (127, 49))]
    expected = [0.9129868745803833, -0.5146458148956299, -0.5146458148956299, -0.5146458148956299, -0.48310792446136475]
    np.testing.assert_allclose(probes, expected, atol=2e-5)
    assert mel[:, 25].argmax() == 18


def test_a_higher_tone_is_in_a_higher_band():
    bands = [log_mel(tone(hertz).astype(np.float32))[:, 20].argmax() for hertz in (200, 800, 2000, 6000)]
    assert bands == sorted(set(bands))


def test_a_wav_of_any_rate_and_channels_becomes_100_columns_a_second():
    stereo = np.repeat(0.5 * tone(500, rate=44_100, seconds=1.0), 2)
    features = audio_features(wav(stereo, 44_100, channels=2))
    assert features.shape[0] == 128
    assert abs(features.shape[1] - 100) <= 1


@pytest.mark.parametrize("data", [b"", b"RIFF", b"hello world", wav(np.zeros(100), 16_000)])
def test_what_is_no_sound_or_too_short_is_a_media_error(data):
    with pytest.raises(MediaError):
        audio_features(data)
