"""Writes the tiny model: `python make_model.py DIR`, in the engine's environment and without network.

A random Qwen2.5-VL of about 450,000 parameters, with tokenizer and processor. Its heads divide by 4, so it serves at
TP 1, 2 and 4. torch and transformers are imported by name only: mmload's own environment has neither.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import typing
from pathlib import Path
from typing import Any

_HIDDEN = 64
_LONGEST = 65536  # tokens
_PIXELS = {"min_pixels": 56 * 56, "max_pixels": 12845056}  # Qwen2-VL's limits of an image
_END_OF_TEXT, _END_OF_TURN = "<|endoftext|>", "<|im_end|>"
_SPECIAL = (
    *(_END_OF_TEXT, "<|im_start|>", _END_OF_TURN, "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
_CHAT_TEMPLATE = (
    "{%- for m in messages -%}<|im_start|>{{ m.role }}\n"
    "{%- if m.content is string -%}{{ m.content }}{%- else -%}"
    "{%- for part in m.content -%}"
    "{%- if part.type in ('image', 'image_url') -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part.type in ('video', 'video_url') -%}<|vision_start|><|video_pad|><|vision_end|>"
    "{%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}<|im_end|>\n{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(folder)
    make_processor(tokenizer).save_pretrained(folder)
    make_weights(tokenizer, folder)
    flatten(folder / "config.json")


def make_tokenizer(folder: Path) -> Any:
    """A byte-level BPE of 1000 tokens, learnt from English and code that every Python has."""
    tokenizers, transformers = importlib.import_module("tokenizers"), importlib.import_module("transformers")
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = byte_level(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=1000, initial_alphabet=byte_level.alphabet(), special_tokens=[])
    texts = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in (argparse, typing, os)]
    bpe.train_from_iterator(texts, trainer)
    learnt = json.loads(bpe.to_str())["model"]
    pairs = [merge if isinstance(merge, str) else " ".join(merge) for merge in learnt["merges"]]
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps(learnt["vocab"]), encoding="utf-8")
    merges.write_text("\n".join(["#version: 0.2", *pairs, ""]), encoding="utf-8")
    tokenizer = transformers.Qwen2TokenizerFast(
        vocab_file=str(vocabulary),
        merges_file=str(merges),
        unk_token=_END_OF_TEXT,
        eos_token=_END_OF_TURN,
        pad_token=_END_OF_TEXT,
        additional_special_tokens=list(_SPECIAL[1:]),
    )
    tokenizer.model_max_length = _LONGEST
    tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer


def make_processor(tokenizer: Any) -> Any:
    transformers = importlib.import_module("transformers")
    videos = importlib.import_module("transformers.models.qwen2_vl.video_processing_qwen2_vl")
    return transformers.Qwen2_5_VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(**_PIXELS),
        tokenizer=tokenizer,
        video_processor=videos.Qwen2VLVideoProcessor(**_PIXELS),
        chat_template=_CHAT_TEMPLATE,
    )


def make_weights(tokenizer: Any, folder: Path) -> None:
    """Random, and the same each time."""
    torch, transformers = importlib.import_module("torch"), importlib.import_module("transformers")
    token = {name: tokenizer.convert_tokens_to_ids(name) for name in _SPECIAL}
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "vocab_size": -(-len(tokenizer) // 64) * 64,
            "hidden_size": _HIDDEN,
            # At the usual 0.02 attention is flat: images in another order get the same answer.
            "initializer_range": 0.15,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": _LONGEST,
            "rope_theta": 1e6,
            "rope_scaling": {"type": "mrope", "rope_type": "default", "mrope_section": [2, 3, 3]},
            "tie_word_embeddings": False,
            "bos_token_id": token[_END_OF_TEXT],
            "eos_token_id": token[_END_OF_TURN],
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "out_hidden_size": _HIDDEN,
            "patch_size": 14,
            "spatial_patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [1],
            "in_channels": 3,
            "tokens_per_second": 2,
        },
        image_token_id=token["<|image_pad|>"],
        video_token_id=token["<|video_pad|>"],
        vision_start_token_id=token["<|vision_start|>"],
        vision_end_token_id=token["<|vision_end|>"],
        vision_token_id=token["<|vision_pad|>"],
    )
    torch.manual_seed(0)
    model = transformers.Qwen2_5_VLForConditionalGeneration(config).to(torch.bfloat16)
    model.generation_config.eos_token_id = token[_END_OF_TURN]
    model.save_pretrained(folder)


def flatten(file: Path) -> None:
    """The form that model hubs have and SGLang reads: the text model's keys at the top level."""
    config = json.loads(file.read_text(encoding="utf-8"))
    text = config.pop("text_config")
    flat = {key: value for key, value in text.items() if key not in ("model_type", "architectures")} | config
    flat |= {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "torch_dtype": "bfloat16",
        "bos_token_id": text["bos_token_id"],
        "eos_token_id": text["eos_token_id"],
    }
    file.write_text(json.dumps(flat, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
