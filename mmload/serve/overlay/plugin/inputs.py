"""SGLang's own kinds of multimodal inputs, and how it builds them."""

from __future__ import annotations

import functools
import importlib
import inspect
from typing import Any

from mmload.serve.overlay.host import Build


def kinds_of_inputs() -> tuple[type, ...]:
    """Raw, as the processor in the tokenizer leaves them, and built."""
    schedule_batch: Any = importlib.import_module("sglang.srt.managers.schedule_batch")
    return schedule_batch.MultimodalProcessorOutput, schedule_batch.MultimodalInputs


def builder(model_config: Any) -> Build:
    """Raw to built, with what SGLang's scheduler says of the model, from 0.5.21 on."""
    schedule_batch: Any = importlib.import_module("sglang.srt.managers.schedule_batch")
    build: Build = schedule_batch.MultimodalInputs.from_processor_output
    asked = "requires_mm_token_modalities"
    if asked in inspect.signature(build).parameters:
        return functools.partial(build, **{asked: getattr(model_config, asked)})
    return build


def has_media(request: Any) -> bool:
    """Whether it is a request to generate from inputs that have come this far."""
    io_struct: Any = importlib.import_module("sglang.srt.managers.io_struct")
    lost = getattr(io_struct, "MMInputsProcessError", ())  # put there from 0.5.19 on, where SGLang could not map them
    kind = io_struct.TokenizedGenerateReqInput
    return isinstance(request, kind) and request.mm_inputs is not None and not isinstance(request.mm_inputs, lost)
