"""Where the engine sglang-cpu lies, when it is ready, and what it is started with."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.errors import UsageError
from mmload.plan.config import load
from mmload.serve import engines
from mmload.serve.sglang_cpu.place import CpuEngine, CpuEngineConfig, SglangVersion, cache_folder

CONFIG = load("engines", "sglang-cpu", CpuEngineConfig)
PIN = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+")
PACKAGES = st.lists(st.sampled_from(["a==1", "a==2", "b==1", "b==2"]), unique=True, max_size=4).map(tuple)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMLOAD_CACHE", str(tmp_path))


def completed(engine):
    """The same, with all its parts."""
    for part in engine.parts:
        part.folder.mkdir(parents=True, exist_ok=True)
        part.complete.touch()
    engine.python.parent.mkdir(exist_ok=True)
    engine.python.touch()
    return engine


def with_packages(common, newer):
    versions = {**CONFIG.versions, "0.5.6": SglangVersion(packages=newer)}
    return CpuEngine.of("0.5.6")._replace(config=msgspec.structs.replace(CONFIG, packages=common, versions=versions))


def test_every_package_is_pinned_once():
    for pins in (CONFIG.packages, *(version.packages for version in CONFIG.versions.values())):
        assert [pin for pin in (CONFIG.torch, *pins) if not PIN.fullmatch(pin)] == []
        names = [pin.partition("==")[0].lower() for pin in pins]
        assert sorted(set(names)) == sorted(names)


def test_the_plain_name_is_the_default_version():
    assert CpuEngine.of().version == CONFIG.version == "0.5.6"
    assert CpuEngine.of().name == "sglang-cpu"
    assert CpuEngine.of("0.5.5").name == "sglang-cpu:0.5.5"
    assert {"0.5.5", "0.5.5.post3", "0.5.6", "0.5.23"} <= set(CONFIG.versions)


def test_a_version_that_is_not_known_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"no SGLang 0\.5\.55") as refusal:
        CpuEngine.of("0.5.55")
    assert "0.5.5" in refusal.value.hint


def test_an_engine_that_is_not_set_up_says_what_to_type():
    with pytest.raises(UsageError, match=r"sglang-cpu:0\.5\.5 is not set up") as refusal:
        engines.start_command("sglang-cpu:0.5.5", port=1, tp=2, variant="stock")
    assert refusal.value.hint == "mmload engine setup sglang-cpu:0.5.5"


@pytest.mark.parametrize(
    ("name", "message"),
    [("standin:1", "has no versions"), ("sglang:0.5.6", "has no versions"), ("gpu", "unknown engine")],
)
def test_only_sglang_cpu_has_versions_to_choose_from(name, message):
    with pytest.raises(UsageError, match=message):
        engines.split_name(name)


def test_ready_is_what_has_all_its_parts_and_its_python():
    engine = CpuEngine.of()
    assert not engine.is_ready
    assert completed(engine).is_ready
    assert not CpuEngine.of("0.5.5").is_ready
    for needed in (*(part.complete for part in engine.parts), engine.python):
        needed.unlink()
        assert not engine.is_ready
        completed(engine)


@given(PACKAGES, PACKAGES, PACKAGES, PACKAGES)
def test_a_part_has_a_folder_of_its_own_for_each_set_of_pins(common, newer, other_common, other_newer):
    one, other = with_packages(common, newer), with_packages(other_common, other_newer)
    assert (one.parts.environment.folder == other.parts.environment.folder) == (common == other_common)
    assert (one.package == other.package) == (newer == other_newer)
    assert one.model == other.model


def test_what_older_pins_left_is_named():
    old, new = completed(with_packages(("a==1",), ())), completed(CpuEngine.of())
    assert new.superseded() == [old.parts.environment.folder]
    assert old.superseded() == [new.parts.environment.folder]


def test_it_is_started_with_its_own_python_packages_and_model():
    engine = completed(CpuEngine.of("0.5.5"))
    command = engines.start_command("sglang-cpu:0.5.5", port=30000, tp=2, variant="stock", args=("--more",))
    assert command[0] == "env"
    settings = dict(word.split("=", 1) for word in command[1 : command.index(str(engine.python))])
    assert settings["PYTHONPATH"].split(":")[1] == str(engine.package)
    assert settings["MMLOAD_HOOKS"] == engines.SHIM
    assert settings["HF_HUB_OFFLINE"] == "1"
    assert command[command.index("--model-path") + 1] == str(engine.model)
    assert command[-1] == "--more"
    assert set(CONFIG.flags) <= set(command)


@pytest.mark.parametrize(("tp", "cores"), [(1, "3"), (2, "3|5"), (4, "3|5|3|5")])
def test_ranks_take_the_cores_that_there_are_in_turn(tp, cores, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {5, 3}, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert CpuEngine.of().environment(tp)["SGLANG_CPU_OMP_THREADS_BIND"] == cores


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MMLOAD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert str(cache_folder()) == "/x/mmload"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert str(cache_folder()) == "/home/me/.cache/mmload"
