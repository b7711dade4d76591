"""The answer of the modelled device: a function of the prompt and of the features that each rank has before it.

Every rank takes a strided sample (4 KiB) of each feature tensor and digests it; the entry rank composes the words from
the prompt and from the set of different digests. When all ranks saw the same features the set has one member, so the
answer is the same at any TP; a rank with a dropped, swapped or stale input adds a second, and the answer is another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from mmload.standin.inputs import MultimodalInputs

SAMPLE_FLOATS = 1024
SAMPLE_SEED = 20_251  # shifts the sample off the first, often constant, pixels

VOCABULARY: tuple[str, ...] = tuple(
    onset + vowel + coda for onset in "bdfghjklmnprstvz" for vowel in "aeiou" for coda in ("", "l", "n", "r", "s")
)


def sample_digest(inputs: MultimodalInputs | None) -> bytes:
    """16 bytes that stand for the features as this rank reads them now."""
    digest = hashlib.blake2b(digest_size=16)
    for item in inputs.mm_items if inputs is not None else ():
        digest.update(repr((item.modality, item.feature.shape)).encode())
        flat = item.feature.reshape(-1)
        stride = max(1, flat.size // SAMPLE_FLOATS)
        digest.update(np.ascontiguousarray(flat[SAMPLE_SEED % stride :: stride][:SAMPLE_FLOATS]).data)
    return digest.digest()


def compose(prompt: bytes, digests: Iterable[bytes], tokens: int) -> list[int]:
    """`tokens` indices into VOCABULARY from the prompt's digest and the digests of all ranks."""
    seed = b"".join([prompt, *sorted(set(digests))])
    stream = hashlib.shake_256(seed).digest(2 * tokens)
    words: list[int] = (np.frombuffer(stream, dtype="<u2") % len(VOCABULARY)).tolist()
    return words


def detokenise(tokens: Iterable[int]) -> list[str]:
    """The text of each token; every word brings the space before it."""
    return [f" {VOCABULARY[token]}" for token in tokens]
