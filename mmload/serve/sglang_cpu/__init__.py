"""Real SGLang on a machine without a GPU, with a tiny random model.

    place.py        where it lies, and what it is started with
    setup.py        makes it, part by part: an environment, SGLang's wheel, the model
    step.py         one command of that
    make_model.py   runs inside it, once: writes the model
    shim.py         runs inside it, in every process: what of SGLang's surroundings needs a GPU, and a free vision tower
    absent.py       the same for packages that are not there: sgl_kernel, triton, vllm

Stock wheels, unedited: HTTP, tokenizer, multimodal processor, ZMQ, gloo, schedulers, language model and detokenizer are
SGLang's own. The model is a random Qwen2.5-VL of 450,000 parameters, so that the handoff is not drowned by a forward
pass on the CPU.
"""
