"""Write a tiny random Qwen2.5-VL checkpoint (about 450,000 parameters) with tokenizer and processor.

    python make_model.py DIR

Needs torch and transformers 4.57, no network. Heads divide by 4, so it serves at TP 1, 2 and 4.
"""
import argparse
import json
import os
import sys
import typing

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
)
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

out = sys.argv[1]
os.makedirs(out, exist_ok=True)

bpe = Tokenizer(models.BPE())
bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bpe.decoder = decoders.ByteLevel()
texts = []
for module in (argparse, typing, os):
    with open(module.__file__, encoding="utf-8") as source:
        texts.append(source.read())
bpe.train_from_iterator(
    texts,
    trainers.BpeTrainer(vocab_size=1000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[]),
)
learnt = json.loads(bpe.to_str())["model"]
with open(f"{out}/vocab.json", "w") as file:
    json.dump(learnt["vocab"], file)
with open(f"{out}/merges.txt", "w") as file:
    file.write("#version: 0.2\n")
    file.writelines((m if isinstance(m, str) else " ".join(m)) + "\n" for m in learnt["merges"])

special = (
    ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"]
    + ["<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"]
    + ["<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
)
tokenizer = Qwen2TokenizerFast(
    vocab_file=f"{out}/vocab.json",
    merges_file=f"{out}/merges.txt",
    unk_token="<|endoftext|>",
    eos_token="<|im_end|>",
    pad_token="<|endoftext|>",
    additional_special_tokens=special[1:],
)
tokenizer.model_max_length = 65536
template = (
    "{%- for m in messages -%}<|im_start|>{{ m.role }}\n"
    "{%- if m.content is string -%}{{ m.content }}{%- else -%}"
    "{%- for part in m.content -%}"
    "{%- if part.type in ('image', 'image_url') -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part.type in ('video', 'video_url') -%}<|vision_start|><|video_pad|><|vision_end|>"
    "{%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}<|im_end|>\n{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)
tokenizer.chat_template = template
limits = {"min_pixels": 56 * 56, "max_pixels": 12845056}
Qwen2_5_VLProcessor(
    image_processor=Qwen2VLImageProcessor(**limits),
    tokenizer=tokenizer,
    video_processor=Qwen2VLVideoProcessor(**limits),
    chat_template=template,
).save_pretrained(out)

ids = {token: tokenizer.convert_tokens_to_ids(token) for token in special}
hidden = 64
config = Qwen2_5_VLConfig(
    text_config={
        "vocab_size": -(-len(tokenizer) // 64) * 64,
        "hidden_size": hidden,
        "initializer_range": 0.15,  # at the usual 0.02 attention is flat: images in another order get the same answer
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 65536,
        "rope_theta": 1e6,
        "rope_scaling": {"type": "mrope", "rope_type": "default", "mrope_section": [2, 3, 3]},
        "tie_word_embeddings": False,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
    },
    vision_config={
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 4,
        "out_hidden_size": hidden,
        "patch_size": 14,
        "spatial_patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [1],
        "in_channels": 3,
        "tokens_per_second": 2,
    },
    image_token_id=ids["<|image_pad|>"],
    video_token_id=ids["<|video_pad|>"],
    vision_start_token_id=ids["<|vision_start|>"],
    vision_end_token_id=ids["<|vision_end|>"],
    vision_token_id=ids["<|vision_pad|>"],
)
torch.manual_seed(0)
model = Qwen2_5_VLForConditionalGeneration(config).to(torch.bfloat16)
model.generation_config.eos_token_id = ids["<|im_end|>"]
model.save_pretrained(out)

# SGLang reads the flat form that hub checkpoints have: text keys at the top level.
with open(f"{out}/config.json") as file:
    flat = json.load(file)
for key, value in flat.pop("text_config").items():
    if key not in ("model_type", "architectures"):
        flat.setdefault(key, value)
flat |= {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "model_type": "qwen2_5_vl",
    "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
    "torch_dtype": "bfloat16",
    "bos_token_id": ids["<|endoftext|>"],
    "eos_token_id": ids["<|im_end|>"],
}
with open(f"{out}/config.json", "w") as file:
    json.dump(flat, file, indent=1)
print(sum(p.numel() for p in model.parameters()), "parameters in", out)
