"""What is written is read back; what a kill cut short is left out; what is damaged is named."""

import subprocess
import sys

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmload.errors import FolderError
from mmload.model.records import GeneratorSample, ProcessSample
from mmload.store.append import LineWriter, create_run_folder, write_document
from mmload.store.layout import RunLayout, is_run_id, new_run_id
from mmload.store.lock import is_being_written, writing
from mmload.store.read import Run, find_run, list_runs, read_document, read_folded, read_lines
from mmload.store.stacks import read_threads, write_folded


def a_sample(number):
    return GeneratorSample(t_ns=number, worker=0, due=1, sent=1, done=1, in_flight=0, stall_ms=0.5, cpu_s=0.25 * number)


@given(st.lists(st.integers(0, 2**62), max_size=40), st.integers(1, 2000))
def test_lines_come_back_in_order_whatever_the_buffer(tmp_path_factory, numbers, buffer_bytes):
    file = tmp_path_factory.mktemp("lines") / "generator.jsonl"
    with LineWriter(file, buffer_bytes) as writer:
        for number in numbers:
            writer.write(a_sample(number))
    assert [sample.t_ns for sample in read_lines(file, GeneratorSample)] == numbers


def test_two_writers_of_one_file_never_mix_their_lines(tmp_path):
    file = tmp_path / "generator.jsonl"
    first, second = LineWriter(file, 200), LineWriter(file, 300)
    for number in range(500):
        (first if number % 2 else second).write(a_sample(number))
    first.close()
    second.close()
    assert sorted(sample.t_ns for sample in read_lines(file, GeneratorSample)) == list(range(500))


def a_process_sample(**changes):
    known = dict.fromkeys(("t_ns", "pid", "start_ticks", "cpu_s", "rss_bytes", "threads"), 1)
    known |= {"role": "scheduler", "rank": 0, "uss_bytes": None, "fds": None, "ctx_voluntary": 1, "ctx_involuntary": 1}
    return known | changes


@pytest.mark.parametrize("field", ["pid", "start_ticks", "cpu_s", "cpu_system_s", "rss_bytes", "threads", "fds"])
@pytest.mark.parametrize("value", [-1, 2**64])
def test_what_no_kernel_says_is_damage_and_no_figure(tmp_path, field, value):
    file = tmp_path / "processes.jsonl"
    absurd = 1e10 * value if field.startswith("cpu") else value
    file.write_bytes(
        msgspec.json.encode(a_process_sample())
        + b"\n"
        + msgspec.json.encode(a_process_sample(**{field: absurd}))
        + b"\n"
    )
    with pytest.raises(FolderError, match=rf"line 2 is damaged: .*{field}"):
        list(read_lines(file, ProcessSample))


@pytest.mark.parametrize("damage", [{"cpu_s": -0.5}, {"waited_s": -0.5}, {"stacks": {"main": 0}}])
def test_what_no_profiler_counts_of_a_thread_is_damage(tmp_path, damage):
    thread = {"tid": 1, "name": "", "cpu_s": 1.0, "stacks": {"main": 1}} | damage
    (tmp_path / "stacks").mkdir()
    RunLayout(tmp_path).threads("tokenizer").write_bytes(msgspec.json.encode({"seconds": 5.0, "threads": [thread]}))
    with pytest.raises(FolderError, match=r"tokenizer.threads.json is damaged"):
        read_threads(RunLayout(tmp_path), "tokenizer")


@given(st.integers(1, 300))
def test_a_cut_last_line_is_left_out_and_the_others_stay(tmp_path_factory, cut):
    file = tmp_path_factory.mktemp("cut") / "generator.jsonl"
    with LineWriter(file) as writer:
        for number in range(5):
            writer.write(a_sample(number))
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    kept = whole[:-cut].count(b"\n")
    assert [sample.t_ns for sample in read_lines(file, GeneratorSample)] == list(range(kept))


def test_a_damaged_line_is_named_with_its_number(tmp_path):
    file = tmp_path / "generator.jsonl"
    file.write_bytes(msgspec.json.encode(a_sample(1)) + b"\n{oops\n")
    with pytest.raises(FolderError, match=r"generator.jsonl line 2 is damaged"):
        list(read_lines(file, GeneratorSample))


def test_a_record_of_a_newer_mmload_is_read_without_what_is_unknown(tmp_path):
    file = tmp_path / "generator.jsonl"
    file.write_bytes(msgspec.json.encode(msgspec.to_builtins(a_sample(3)) | {"mood": "good"}) + b"\n")
    assert list(read_lines(file, GeneratorSample)) == [a_sample(3)]


def test_a_full_disk_raises_and_keeps_every_whole_line_before_it(tmp_path):
    file = tmp_path / "generator.jsonl"
    script = (
        "import resource, sys; from pathlib import Path; from mmload.store.append import LineWriter;"
        "from mmload.errors import FolderError; from mmload.model.records import GeneratorSample;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); writer = LineWriter(Path(sys.argv[1]), 1)\n"
        "for number in range(100):\n"
        "    try: writer.write(GeneratorSample(t_ns=number, worker=0, due=1, sent=1, done=1, in_flight=0, stall_ms=0, cpu_s=0))\n"
        "    except FolderError as error: print(error, '|', error.hint); break\n"
    )
    done = subprocess.run([sys.executable, "-c", script, file], capture_output=True, text=True, check=True)
    assert "the disk is full" in done.stdout
    assert "--out" in done.stdout
    kept = [sample.t_ns for sample in read_lines(file, GeneratorSample)]
    assert kept == list(range(len(kept)))
    assert len(kept) > 3
    assert file.read_bytes().endswith(b"\n")


def test_a_document_is_replaced_whole_or_not_at_all(tmp_path):
    file = tmp_path / "manifest.json"
    write_document(file, a_sample(1))
    (tmp_path / "manifest.json.part").mkdir()  # nothing can be written beside it any more
    with pytest.raises(FolderError, match="cannot write"):
        write_document(file, a_sample(2))
    assert read_document(file, GeneratorSample) == a_sample(1)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"t_ns": "late"}'])
def test_a_damaged_document_is_named(tmp_path, content):
    file = tmp_path / "summary.json"
    file.write_text(content)
    with pytest.raises(FolderError, match=r"summary.json is damaged"):
        read_document(file, GeneratorSample)


@pytest.mark.parametrize(
    "content",
    ["main;work", "main;work x", " 7", "main;work -3", "main;work 0", "main;work ²", f"main;work {'9' * 5000}"],
    ids=["none", "a word", "no stack", "negative", "nothing", "another script", "absurd"],
)
def test_a_damaged_stack_is_named_with_its_line(tmp_path, content):
    file = tmp_path / "scheduler_TP0.folded"
    file.write_text(f"main 3\n{content}\n")
    with pytest.raises(FolderError, match="line 2 is damaged"):
        read_folded(file)


def test_equal_stacks_are_added_up(tmp_path):
    file = tmp_path / "scheduler_TP0.folded"
    file.write_text("main;work (a b.py:3) 3\nmain;work (a b.py:3) 4\n")
    assert read_folded(file) == {"main;work (a b.py:3)": 7}


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1),
        st.integers(1, 2**31 - 1),
    )
)
@example({"a\u2028b\r;\x00\x0c (c.py:1)": 1})
def test_only_a_line_feed_ends_a_stack(tmp_path_factory, stacks):
    file = tmp_path_factory.mktemp("stacks") / "tokenizer.folded"
    write_folded(file, stacks)
    assert read_folded(file) == stacks


def test_run_ids_sort_by_time_and_are_known_again():
    first = new_run_id("optimized", token="9f3c")
    assert is_run_id(first)
    assert first.endswith("-optimized-9f3c")
    assert not is_run_id("optimized")


def test_a_run_is_found_by_id_or_path_and_a_wrong_name_says_what_there_is(run_of, tmp_path):
    run = run_of("optimized")
    out = run.layout.path.parent
    assert find_run(run.run_id, out).run_id == run.run_id
    assert find_run(str(run.layout.path), tmp_path / "elsewhere").run_id == run.run_id
    with pytest.raises(FolderError, match="no run 'nope'") as error:
        find_run("nope", out)
    assert run.run_id in error.value.hint
    with pytest.raises(FolderError, match="it has no manifest"):
        find_run(str(tmp_path), out)
    assert [found.run_id for found in list_runs(out)] == [run.run_id]
    assert list_runs(tmp_path / "nowhere") == []


@pytest.fixture
def run_of(tmp_path):
    from factory import make_run

    return lambda variant: make_run(tmp_path / "profiles", variant)


def test_a_run_is_being_written_for_as_long_as_its_writer_lives(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text("{}")
    assert not is_being_written(plan)
    with writing(plan):
        assert is_being_written(plan)
    assert not is_being_written(plan)
    assert not is_being_written(tmp_path / "nowhere.json")


def test_a_run_whose_writer_is_gone_is_partial(run_of):
    run = run_of("optimized")
    running = msgspec.structs.replace(run.manifest, status="running")
    write_document(run.layout.manifest, running)
    with writing(run.layout.plan):
        assert Run(run.layout.path).manifest.status == "running"
    assert Run(run.layout.path).manifest.status == "partial"


def test_a_folder_that_is_there_already_or_cannot_be_made_is_an_error(tmp_path):
    create_run_folder(tmp_path, "run")
    with pytest.raises(FolderError, match="cannot create the run folder"):
        create_run_folder(tmp_path, "run")
