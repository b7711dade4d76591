"""What a workload's [[items]] ask for: words and media, made from the seed and the item's number alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from mmload.errors import ConfigError
from mmload.model.plan import Modality
from mmload.plan import media
from mmload.plan.payloads_body import Ask, data_uri, mime_of
from mmload.plan.randomness import Purpose, stream
from mmload.plan.workload import Audio, Image, Images, Item, Text, Video, Workload
from mmload.plan.workload_amounts import Amount, draw, weighted_index

# Short and common, so that each is one token in the usual tokenizers.
_VOCABULARY = """
the of and to in is was for on that by this with you it not or be are from at as your all have new more an can has
but our one other do no time they site may what which their news out use any there see only so his when here who web
also now help get first been would how were some these its like than find date back top people had list name just
over state year day into two health world next used go work last most music data make them should product system
post her city add policy number such please available copyright support message after best software then good video
well where info rights public books high school through each
"""
_WORDS = tuple(_VOCABULARY.split())


def make(workload: Workload, purpose: Purpose, number: int, seed: int) -> Ask:
    """Item `number` of the load or (by `purpose`) of the identity phase, whose items go through the kinds in turn."""
    rng = stream(seed, purpose, number)
    kinds = workload.items
    is_identity = purpose is Purpose.IDENTITY_ITEM
    item = kinds[number % len(kinds) if is_identity else weighted_index([kind.weight for kind in kinds], rng)]
    label = f"i{number}" if is_identity else str(number)  # no two prompts begin alike, so no prefix is cached
    ask = Ask(_modality(item), _prompt(label, _whole(item.prompt_words, rng), rng), _whole(item.max_tokens, rng))
    match item:
        case Image():
            return ask._replace(images=_images(item, number, rng))
        case Video():
            return ask._replace(videos=(_video(item, number, rng),))
        case Audio():
            return ask._replace(audios=(_audio(item, number, rng),))
        case Text():
            return ask


def _modality(item: Item) -> Modality:
    tag: Modality = item.__struct_config__.tag  # type: ignore[assignment]  # the classes' tags are modalities
    return tag


def _prompt(label: str, words: int, rng: np.random.Generator) -> str:
    return " ".join([label, *(_WORDS[index] for index in rng.integers(len(_WORDS), size=words - 1))])


def _images(item: Image, number: int, rng: np.random.Generator) -> tuple[str, ...]:
    count = _whole(item.count, rng) if isinstance(item, Images) else 1
    if item.folder is not None:
        return tuple(_file_uri(item.folder, "image", number * count + index) for index in range(count))
    return tuple(_image(item, rng) for _ in range(count))


def _image(item: Image, rng: np.random.Generator) -> str:
    width = _whole(item.width_px, rng)
    height = width if item.height_px is None else _whole(item.height_px, rng)
    shape = media.ImageShape(width, height, item.format, item.quality, item.content)
    return data_uri(media.image(shape, rng), f"image/{item.format}")


def _video(item: Video, number: int, rng: np.random.Generator) -> str:
    if item.folder is not None:
        return _file_uri(item.folder, "video", number)
    width, height = (_whole(size, rng) // 2 * 2 for size in (item.width_px, item.height_px))
    duration_s, bit_rate_kbps = draw(item.duration_s, rng), draw(item.bit_rate_kbps, rng)
    shape = media.VideoShape(width, height, item.fps, duration_s, bit_rate_kbps, item.content)
    return data_uri(media.video(shape, rng), "video/mp4")


def _audio(item: Audio, number: int, rng: np.random.Generator) -> str:
    if item.folder is not None:
        return _file_uri(item.folder, "audio", number)
    return data_uri(media.sound(draw(item.duration_s, rng), item.sample_rate_hz, rng), "audio/wav")


def _whole(amount: Amount, rng: np.random.Generator) -> int:
    return round(draw(amount, rng))


def _file_uri(folder: str, kind: str, number: int) -> str:
    files = _files(folder, kind)
    file = files[number % len(files)]
    try:
        return data_uri(file.read_bytes(), mime_of(file) or "")
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error


@cache
def _files(folder: str, kind: str) -> list[Path]:
    """The files of a kind in a folder, by name. Raises ConfigError when there are none."""
    files = [file for file in sorted(Path(folder).iterdir()) if (mime_of(file) or "").startswith(f"{kind}/")]
    if not files:
        raise ConfigError(f"{folder} has no {kind} files", "they are told by their endings, such as .jpg, .mp4 or .wav")
    return files
