"""The overlay's parts that can be tried without SGLang."""

import asyncio
import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from mmload.handoff.counters import CounterTable, prometheus_lines
from mmload.handoff.segments import start_ticks
from mmload.observe.prometheus import parse_prometheus
from mmload.serve import overlay
from mmload.serve.overlay.main_process import announcement, refuse_unhosted, sweep_folders, with_text
from mmload.serve.overlay.shapes import Shape, differences, refuse_others

HOOK = Path(overlay.__file__).parent / "hook"


def module_of(tmp_path, name, source):
    (tmp_path / f"{name}.py").write_text(source)
    sys.path.insert(0, str(tmp_path))
    try:
        sys.modules.pop(name, None)
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(tmp_path))


SOURCE = """
class Scheduler:
    def handle(self, request):
        return self.make(request.mm_inputs)
"""
EXPECTED = Shape("Scheduler.handle", ("self", "request"), {"self.make(request.mm_inputs)": 1, "request.mm_inputs": 1})


def test_a_function_as_expected_differs_in_nothing(tmp_path):
    assert differences(module_of(tmp_path, "as_expected", SOURCE), [EXPECTED]) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("def handle", "def handled", "Scheduler.handle is not there"),
        ("self, request", "self, request, now", "takes (self, request, now) and not (self, request)"),
        ("self.make(request.mm_inputs)", "self.made(request.mm_inputs)", "`self.make(request.mm_inputs)` 0 times"),
        ("return ", "print(request.mm_inputs); return ", "`request.mm_inputs` 2 times and not 1"),
    ],
)
def test_what_differs_is_named_and_refused(tmp_path, old, new, said):
    changed = module_of(tmp_path, "changed", SOURCE.replace(old, new))
    assert said in "; ".join(differences(changed, [EXPECTED]))
    with pytest.raises(SystemExit, match="mmload's overlay: can't host a variant in SGLang"):
        refuse_others(changed, [EXPECTED])


@pytest.mark.parametrize(("option", "value"), [("dp_size", 2), ("enable_broadcast_mm_inputs_process", True)])
def test_what_can_not_be_hosted_is_refused_by_its_option(option, value):
    refuse_unhosted(types.SimpleNamespace(dp_size=1, pp_size=1))
    with pytest.raises(SystemExit, match=f"--{option.replace('_', '-')}"):
        refuse_unhosted(types.SimpleNamespace(**{option: value}))


def test_what_a_killed_server_left_is_swept(tmp_path):
    dead, own = (tmp_path / f"mmload-overlay-{os.getpid()}-{ticks}-x" for ticks in (1, start_ticks(os.getpid())))
    for folder in (dead, own, tmp_path / "mmload-overlay-other"):
        folder.mkdir()
    sweep_folders(tmp_path)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted([own.name, "mmload-overlay-other"])


def test_features_that_stay_on_the_device_can_not_be_hosted(monkeypatch):
    monkeypatch.setenv("SGLANG_USE_CUDA_IPC_TRANSPORT", "1")
    with pytest.raises(SystemExit, match=r"\$SGLANG_USE_CUDA_IPC_TRANSPORT"):
        refuse_unhosted(types.SimpleNamespace())


def test_every_rank_is_announced_by_its_own_word(tmp_path, monkeypatch):
    monkeypatch.setenv(overlay.VARIANT_VARIABLE, "shm")
    for rank in (1, 0):
        (tmp_path / f"rank-{rank}.json").write_text(f'{{"rank": {rank}, "variant": "shm", "pid": {40 + rank}}}')
    said = announcement(tmp_path, types.SimpleNamespace(tp_size=2, sleep_on_idle=True))
    assert [rank["pid"] for rank in said["ranks"]] == [40, 41]
    assert (said["variant"], said["idle_policy"]) == ("shm", "sleep")


def test_counters_follow_the_page_that_was_there(tmp_path):
    table = CounterTable.create(tmp_path / "counters", ["tokenizer", "scheduler_TP0"])
    table.counters("scheduler_TP0").add("broadcasts", 3)
    asked, sent = [], []

    async def page(scope, receive, send):
        asked.append(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"17")]})
        await send({"type": "http.response.body", "body": b"sglang:tokens 7\n"})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(b"accept-encoding", b"gzip"), (b"host", b"here")]}
    text = with_text(page, lambda: "\n".join(prometheus_lines(table.read())) + "\n")
    asyncio.run(text(scope, None, send))
    metrics = parse_prometheus(sent[-1]["body"].decode())
    assert metrics["sglang:tokens"] == 7
    assert metrics['mmload_handoff_broadcasts_total{process="scheduler_TP0"}'] == 3
    assert asked == [[(b"host", b"here")]]
    assert sent[0]["headers"] == []


def python(code, *path, **environment):
    paths = os.pathsep.join(map(str, (HOOK, *path)))
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, **environment}
    return subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=False)


def test_the_sitecustomize_that_the_hook_hides_runs_too(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.hidden = 'ran'")
    assert python("print(hidden)", tmp_path).stdout == "ran\n"


def test_a_hook_that_can_not_be_installed_ends_the_process(tmp_path):
    done = python("print('went on')", MMLOAD_HOOKS="mmload.no_such_module")
    assert done.returncode != 0
    assert "went on" not in done.stdout
    assert "mmload's hooks can't be installed" in done.stderr


def test_spawned_children_are_patched_as_their_parent_is(tmp_path):
    (tmp_path / "target.py").write_text("def name(): return 'theirs'\n")
    (tmp_path / "hooks.py").write_text(
        "from mmload.serve.overlay.imports import patch_on_import\n"
        "def install(): patch_on_import({'target': lambda module: setattr(module, 'name', lambda: 'ours')})\n"
    )
    (tmp_path / "work.py").write_text("def work(queue):\n    import target\n    queue.put(target.name())\n")
    code = (
        "import multiprocessing as m, work\n"
        "if __name__ == '__main__':\n"
        "    c = m.get_context('spawn'); q = c.Queue(); p = c.Process(target=work.work, args=(q,)); p.start()\n"
        "    print(q.get(timeout=30)); p.join()\n"
    )
    (tmp_path / "main.py").write_text(code)
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{HOOK}{os.pathsep}{tmp_path}", "MMLOAD_HOOKS": "hooks"}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "main.py")], env=settings, capture_output=True, text=True, check=False
    )
    assert done.stdout == "ours\n", done.stderr
