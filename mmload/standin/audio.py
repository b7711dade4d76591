"""Audio to Whisper's log-mel spectrogram, as Qwen2-Audio takes it: 16 kHz, 25 ms every 10 ms, 128 bands.

Source: `WhisperFeatureExtractor` and `mel_filter_bank` (transformers, audio_utils.py), Slaney's scale and norm. Unlike
there, a clip is not padded to 30 s: features grow with the sound.
"""

from __future__ import annotations

import io

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from mmload.standin.vision import Features, MediaError

RATE_HZ = 16_000
WINDOW = 400
HOP = 160
BANDS = 128
FRAMES_PER_TOKEN = 4
MAX_SECONDS = 600


def audio_features(data: bytes) -> Features:
    """Whatever PyAV reads (WAV and more) -> (128, 100 a second) float32. Raises MediaError."""
    try:
        samples = _decode(data)
    except (av.error.FFmpegError, IndexError) as error:
        raise MediaError(f"cannot decode audio: {error}") from error
    if not WINDOW <= samples.size <= MAX_SECONDS * RATE_HZ:
        raise MediaError(f"audio must last 0.025 to {MAX_SECONDS} s, got {samples.size / RATE_HZ:.3f} s")
    return log_mel(samples)


def log_mel(samples: NDArray[np.float32]) -> Features:
    """Mono samples in -1..1 at 16 kHz -> (128, samples // 160) float32, scaled as Whisper does."""
    padded = np.pad(samples, WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: samples.size // HOP]
    hann = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(windows * hann)) ** 2
    mel = np.log10(np.maximum(_FILTERS.T @ power.T, 1e-10))
    features: Features = ((np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0).astype(np.float32)
    return features


def _decode(data: bytes) -> NDArray[np.float32]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    with av.open(io.BytesIO(data), mode="r") as container:
        frames = [out for frame in container.decode(container.streams.audio[0]) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames])


def _mel_filters() -> NDArray[np.float64]:
    """(201, 128): triangles on Slaney's mel scale (linear to 1 kHz, then logarithmic), each of area 1."""
    top_mel = 15 + np.log(RATE_HZ / 2 / 1000) * 27 / np.log(6.4)
    mels = np.linspace(0, top_mel, BANDS + 2)
    edges_hz = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    bins_hz = np.linspace(0, RATE_HZ / 2, WINDOW // 2 + 1)
    slopes = edges_hz - bins_hz[:, None]
    widths = np.diff(edges_hz)
    triangles = np.maximum(0, np.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]))
    area: NDArray[np.float64] = triangles * (2 / (edges_hz[2:] - edges_hz[:-2]))
    return area


_FILTERS = _mel_filters()
