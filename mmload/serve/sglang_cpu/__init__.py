"""Real SGLang on a machine without a GPU, with a tiny random model.

    setup.py    makes the environment, once
    shim.py     runs inside it, by the overlay's hook: what of SGLang's surroundings needs a GPU, and a free vision tower

Stock wheels, unedited: HTTP, tokenizer, multimodal processor, ZMQ, gloo, schedulers, language model and detokenizer are
SGLang's own. The model is a random Qwen2.5-VL of 450,000 parameters, so that the handoff is not drowned by a forward pass
on the CPU.
"""
