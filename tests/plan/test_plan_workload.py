from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.errors import ConfigError, UsageError
from mmload.model.plan import OpenLoop, Plan
from mmload.plan import config
from mmload.plan.workload import Image, Workload, load_workload, workload_of, workload_of_items
from mmload.plan.workload_amounts import Choice, LogNormal, Normal, Uniform, bounds, draw, weighted_index

HEAD = 'about = "x"\nrate_rps = 5\n'
SHIPPED = (
    "audio",
    "images-1mb",
    "images-several",
    "images-small",
    "mix",
    "modalities",
    "notes",
    "text",
    "upstream-regression",
    "video-2mb",
    "vision",
)


def load_text(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return load_workload(str(file))


def test_the_named_workloads_ship():
    assert set(SHIPPED) <= set(config.names("workloads"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_workload_comes_back_from_a_plan_as_it_was_loaded(name):
    stem, workload = load_workload(name)
    plan = Plan(variant=None, workload_name=stem, workload=msgspec.to_builtins(workload), load=OpenLoop(rate_rps=1))
    stored = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert stem == name
    assert workload_of(stored) == workload


def test_the_default_workload_is_small_images_at_100_per_second():
    workload = load_workload("images-small")[1]
    assert (workload.rate_rps, workload.stream, workload.reuse) == (100, True, 0)
    assert workload.items == (Image(width_px=224, prompt_words=16, max_tokens=16),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "expected either [[items]] or `dataset`"),
        (HEAD + 'dataset = "a.jsonl"\n[[items]]\nmodality = "text"\n', "expected either [[items]] or `dataset`"),
        (HEAD + "[[items]]\n", "missing key `modality` (in `items[0]`, line 3)"),
        (HEAD + '[[items]]\nmodality = "text"\nwidth_px = 3\n', "unknown key `width_px` (in `items[0]`, line 5)"),
        (
            HEAD + '[[items]]\nmodality = "image"\nwidth_px = 3\n',
            "`width_px` expected 8 .. 8192, got 3 (in `items[0]`, line 3)",
        ),
        (HEAD + '[[items]]\nmodality = "image"\nwidth_px = nan\n', "`width_px` expected 8 .. 8192, got nan"),
        (
            HEAD + '[[items]]\nmodality = "image"\nheight_px = { draw = "uniform", min = 5, max = 300 }\n',
            "`height_px` expected 8 .. 8192, got 5 .. 300",
        ),
        (
            HEAD + '[[items]]\nmodality = "text"\nmax_tokens = { draw = "uniform", min = 5, max = 3 }\n',
            "`min` expected at most `max` (3), got 5 (in `items[0].max_tokens`, line 5)",
        ),
        (
            HEAD + '[[items]]\nmodality = "text"\nmax_tokens = { draw = "choice", values = [1, 2], weights = [1] }\n',
            "`weights` expected one for each of 2 values, got 1",
        ),
        (
            HEAD + '[[items]]\nmodality = "video"\nbit_rate_kbps = 40000\n',
            "`bit_rate_kbps` expected 460.8 .. 9216, got 40000 (in `items[0]`, line 3)",
        ),
        (HEAD + '[[items]]\nmodality = "images"\ncount = 0\n', "`count` expected 1 .. 64, got 0"),
        (HEAD + '[[items]]\nmodality = "text"\nweight = 0\n', "> 0.0 (in `items[0].weight`, line 5)"),
        (HEAD + 'reuse = 1.0\n[[items]]\nmodality = "text"\n', "< 1.0 (in `reuse`, line 3)"),
        (HEAD + 'dataset = "absent.jsonl"\n', "`dataset` expected a file, there is none at"),
        (HEAD + '[[items]]\nmodality = "audio"\nfolder = "absent"\n', "`folder` expected a folder, there is none at"),
        ('about = "x"\n[[items]]\nmodality = "text"\n', "missing key `rate_rps`"),
    ],
)
def test_a_bad_workload_file_is_an_error_that_names_file_key_and_expectation(tmp_path, text, message):
    with pytest.raises(ConfigError, match=r"mine\.toml") as caught:
        load_text(tmp_path, text)
    assert message in str(caught.value)


def test_an_unknown_workload_comes_with_the_nearest_names():
    with pytest.raises(UsageError) as caught:
        load_workload("image-smal")
    assert "images-small" in caught.value.hint


def test_folders_and_datasets_lie_beside_the_file_that_names_them(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "mine.jsonl").write_text('{"text": "Hello"}\n', encoding="utf-8")
    name, workload = load_text(tmp_path, HEAD + '[[items]]\nmodality = "image"\nfolder = "photos"\n')
    assert (name, workload.items[0].folder) == ("mine", str(tmp_path / "photos"))
    assert load_text(tmp_path, HEAD + 'dataset = "mine.jsonl"\n')[1].dataset == str(tmp_path / "mine.jsonl")


def test_the_users_own_items_are_a_workload(tmp_path):
    file = tmp_path / "own.jsonl"
    with pytest.raises(ConfigError, match=r"own\.jsonl"):
        workload_of_items(file, rate_rps=3)
    file.write_text('{"text": "Hello"}\n', encoding="utf-8")
    name, workload = workload_of_items(file, rate_rps=3)
    assert (name, workload.rate_rps, Path(workload.dataset)) == ("own", 3, file.resolve())


ranges = st.tuples(st.floats(1, 1e4), st.floats(1, 1e4)).map(sorted)
amounts = st.one_of(
    st.integers(1, 10_000),
    st.builds(lambda r: Uniform(min=r[0], max=r[1]), ranges),
    st.builds(
        lambda r, m, s: Normal(min=r[0], max=r[1], mean=m, sd=s), ranges, st.floats(-1e5, 1e5), st.floats(0.1, 1e5)
    ),
    st.builds(
        lambda r, m, s: LogNormal(min=r[0], max=r[1], median=m, sigma=s), ranges, st.floats(1, 1e5), st.floats(0.1, 3)
    ),
    st.builds(lambda v: Choice(values=tuple(v)), st.lists(st.floats(1, 1e4), min_size=1, max_size=5)),
)


@given(amounts, st.integers(0, 2**32))
def test_a_drawn_amount_lies_within_its_bounds(amount, seed):
    low, high = bounds(amount)
    assert low <= draw(amount, np.random.default_rng(seed)) <= high


def test_draws_follow_their_weights():
    rng = np.random.default_rng(0)
    counts = np.bincount([weighted_index([5, 3, 2], rng) for _ in range(10_000)])
    assert counts / 10_000 == pytest.approx([0.5, 0.3, 0.2], abs=0.02)


def test_an_amount_in_a_plan_keeps_its_kind():
    workload = Workload(about="", rate_rps=1, items=(Image(width_px=Uniform(min=10, max=20)),))
    plain = msgspec.to_builtins(workload)
    assert plain["items"][0]["width_px"] == {"draw": "uniform", "min": 10, "max": 20}
    assert msgspec.convert(plain, Workload) == workload
