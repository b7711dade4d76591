"""What SGLang meets on a machine without a GPU: packages that are absent, and a few functions of others replaced."""

import importlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from mmload.serve.overlay.imports import PatchFinder
from mmload.serve.sglang_cpu import shim
from mmload.serve.sglang_cpu.absent import AbsentFinder, Missing

OURS = ("sgl_kernel", "triton", "vllm", "sglang")


@pytest.fixture(autouse=True)
def _absent(monkeypatch):
    """The finder in place, and no module of it left."""
    monkeypatch.setattr(sys, "meta_path", [AbsentFinder(), *sys.meta_path])
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in OURS}
    for name in before:
        del sys.modules[name]
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.mark.parametrize("module", ["sgl_kernel", "sgl_kernel.flash_attn", "triton", "triton.language.extra"])
def test_any_name_of_an_absent_package_can_be_taken_and_none_called(module):
    name = importlib.import_module(module).anything.at_all
    with pytest.raises(NotImplementedError, match=rf"{module}\.anything\.at_all needs a GPU"):
        name(1, two=2)


def test_what_asks_for_dunder_names_is_told_the_truth():
    triton = importlib.import_module("triton")
    assert not hasattr(triton, "__wrapped__")
    assert not hasattr(triton.anything, "__array__")


def test_kernels_are_defined_and_never_run():
    triton = importlib.import_module("triton")
    tl = importlib.import_module("triton.language")

    @triton.autotune(configs=[triton.Config({"BLOCK": 64}, num_warps=4)], key=["n"])
    @triton.heuristics({"EVEN": lambda args: True})
    @triton.jit
    def kernel(x, n: tl.constexpr): ...

    @triton.jit(do_not_specialize=["n"])
    def other(n): ...

    assert tl.constexpr(3) == 3
    for each in (kernel, other):
        with pytest.raises(NotImplementedError, match="needs a GPU"):
            each[(1,)](1, 2)


def test_a_class_may_be_derived_from_what_is_absent():
    triton = importlib.import_module("triton")

    class Mine(triton.runtime.KernelInterface):
        pass

    assert Mine.__mro__ == (Mine, object)


def test_triton_still_counts():
    triton = importlib.import_module("triton")
    assert [triton.cdiv(n, 4) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert [triton.next_power_of_2(n) for n in (1, 2, 3, 64, 65)] == [1, 2, 4, 64, 128]


def test_vllms_layers_are_sglangs_own():
    own = ModuleType("sglang.srt.layers.activation")
    own.SiluAndMul = object()
    sys.modules[own.__name__] = own
    assert importlib.import_module("vllm.model_executor.layers.activation").SiluAndMul is own.SiluAndMul


def test_the_rest_of_vllm_is_not_there():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("vllm.distributed")


def test_torchvision_gets_its_names_only_where_its_own_part_is_not_loaded(monkeypatch):
    defined = []
    library = SimpleNamespace(define=defined.append)
    torch = SimpleNamespace(library=SimpleNamespace(Library=lambda *_: library))
    monkeypatch.setitem(sys.modules, "torch", torch)
    shim._declare_ops(SimpleNamespace(_has_ops=lambda: True))
    assert defined == []
    extension = SimpleNamespace(_has_ops=lambda: False)
    shim._declare_ops(extension)
    assert [line.partition("(")[0] for line in defined] == ["nms", "qnms"]
    assert extension.mmload_ops is library


def test_processors_asked_for_cuda_work_on_the_cpu():
    class Processor:
        def __call__(self, *images, device=None):
            return images, device

    shim._on_the_cpu(Processor)
    assert Processor()(1, device="cuda") == ((1,), "cpu")
    assert Processor()(1) == ((1,), None)


def test_the_free_vision_tower_gives_each_image_an_embedding_of_its_own():
    class Rows(np.ndarray):
        def to(self, dtype):
            return self.astype(dtype)

    class Tower:
        spatial_merge_size, out_hidden_size = 2, 4
        merger = SimpleNamespace(parameters=lambda: [SimpleNamespace(dim=lambda: 2, dtype="float32")])

    module = SimpleNamespace(Qwen2_5_VisionTransformer=Tower)
    shim._reshape_for_vision(module)
    patches = np.random.default_rng(0).random((16, 6)).view(Rows)
    rows = Tower().forward(patches, grid_thw=None)
    assert rows.shape == (4, 4)
    assert len(np.unique(rows, axis=0)) == 4


def test_the_server_says_that_it_is_no_gpu():
    states = []
    http_server = SimpleNamespace(set_global_state=states.append)
    shim._say_so(http_server)
    http_server.set_global_state(SimpleNamespace(scheduler_info={"max_req_input_len": 9}))
    assert states[0].scheduler_info == {"max_req_input_len": 9, "engine": "sglang-cpu"}


@pytest.mark.parametrize(("slow", "free"), [("", True), ("1", False)])
def test_the_real_vision_tower_is_kept_on_demand(slow, free, monkeypatch):
    monkeypatch.setenv("MMLOAD_SLOW_VISION", slow)
    shim.install()
    patched = next(finder for finder in sys.meta_path if isinstance(finder, PatchFinder))._patches
    assert ("sglang.srt.models.qwen2_5_vl" in patched) is free


def test_a_missing_name_is_named_in_full():
    with pytest.raises(NotImplementedError, match=r"torch\.ops\.one\.two"):
        Missing("torch.ops.one").two()


def test_a_torch_built_for_cuda_looks_like_one_that_is_not():
    torch = SimpleNamespace(
        version=SimpleNamespace(cuda="13.0"),
        Tensor=type("Tensor", (), {}),
        ops=SimpleNamespace(sgl_kernel=SimpleNamespace()),
    )
    shim._without_a_gpu(torch)
    assert torch.version.cuda is None
    tensor = torch.Tensor()
    assert tensor.pin_memory() is tensor
