import base64
import io
import json
import re

import av
import msgspec
import pytest
from PIL import Image

from mmload.errors import ConfigError, FolderError
from mmload.model.plan import OpenLoop, Plan
from mmload.plan import config, payloads
from mmload.plan import workload as w
from mmload.plan.arrivals import PoolSize
from mmload.plan.payloads import PoolLimits, prepare
from mmload.plan.payloads_given import read_given
from mmload.plan.pool import PoolReader

PIXEL = "data:image/png;base64,iVBORw0KGgo="
EVERY_KIND = (
    w.Text(),
    w.Image(width_px=16),
    w.Images(width_px=16),
    w.Video(width_px=16, height_px=16, duration_s=0.3, bit_rate_kbps=4),
    w.Audio(duration_s=0.1),
)


def plan_of(workload, name="mine", **changes):
    return Plan(
        variant=None,
        workload_name=name,
        workload=msgspec.to_builtins(workload),
        load=OpenLoop(rate_rps=10),
        **changes,
    )


def made(*items, **changes):
    return w.Workload(about="", rate_rps=10, items=items, **changes)


def given(tmp_path, *lines):
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return w.workload_of_items(file, rate_rps=10)[1]


def pool_of(folder, plan, count=4, **options):
    pool = prepare(plan, PoolSize(count, count), folder, **options)
    return pool, PoolReader(folder)


def bodies(reader, count):
    return [json.loads(bytes(reader.body(reader.slot(number)))) for number in range(count)]


def identity_bodies(reader):
    return [json.loads(bytes(reader.body(slot))) for slot in reader.identity_slots]


def content_of(uri):
    head, data = uri.split(",")
    return re.fullmatch(r"data:(.*);base64", head).group(1), base64.b64decode(data, validate=True)


def media_of(body):
    content = body["messages"][0]["content"]
    parts = content if isinstance(content, list) else []
    return [content_of(part[part["type"]]["url"]) for part in parts if part["type"] != "text"]


@pytest.mark.parametrize("name", config.names("workloads"))
def test_every_shipped_workload_makes_a_body_of_each_of_its_kinds(tmp_path, name):
    workload = w.load_workload(name)[1]
    kinds = len(workload.items)
    _, reader = pool_of(tmp_path, plan_of(workload, name, identity_items=kinds), count=1)
    assert [reader.modality(slot) for slot in reader.identity_slots] == [
        item.__struct_config__.tag for item in workload.items
    ]
    for body in identity_bodies(reader):
        assert (body["temperature"], body["stream"], body["stream_options"]) == (0, True, {"include_usage": True})
        assert body["model"] == "default"
    assert reader.item_id(reader.slot(0)) == f"{name}-000000"


def test_the_large_workloads_weigh_what_their_names_say(tmp_path):
    for name, megabytes in (("images-1mb", 1), ("video-2mb", 2)):
        workload = w.load_workload(name)[1]
        _, reader = pool_of(tmp_path / name, plan_of(workload, name, identity_items=0), count=3)
        for body in bodies(reader, 3):
            ((_, file),) = media_of(body)
            assert len(file) == pytest.approx(megabytes * 1e6, rel=0.1)


def test_a_chat_body_has_the_media_before_the_words(tmp_path):
    item = w.Images(width_px=16, height_px=8, format="webp", count=3, prompt_words=5, max_tokens=9)
    _, reader = pool_of(tmp_path, plan_of(made(item, ignore_eos=True), model="llava"), count=1)
    (body,) = bodies(reader, 1)
    (message,) = body.pop("messages")
    assert body == {
        "model": "llava", "temperature": 0, "max_tokens": 9, "stream": True,
        "stream_options": {"include_usage": True}, "ignore_eos": True,
    }  # fmt: skip
    assert [part["type"] for part in message["content"]] == ["image_url"] * 3 + ["text"]
    assert len(message["content"][-1]["text"].split()) == 5
    for part in message["content"][:3]:
        mime, file = content_of(part["image_url"]["url"])
        assert (mime, Image.open(io.BytesIO(file)).size) == ("image/webp", (16, 8))


def test_a_chat_body_without_media_or_stream_is_plain(tmp_path):
    _, reader = pool_of(tmp_path, plan_of(made(w.Text(prompt_words=3), stream=False)), count=1)
    (body,) = bodies(reader, 1)
    assert len(body["messages"][0]["content"].split()) == 3
    assert body["stream"] is False
    assert "stream_options" not in body


def test_a_generate_body_has_its_media_in_lists_and_a_token_for_each(tmp_path):
    workload = made(*EVERY_KIND, endpoint="/generate", media_token="<image>", ignore_eos=True)
    _, reader = pool_of(tmp_path, plan_of(workload, identity_items=5), count=1)
    text, image, images, video, audio = identity_bodies(reader)
    assert set(text) == {"text", "sampling_params", "stream"}
    assert (len(image["image_data"]), len(images["image_data"])) == (1, 2)
    assert images["text"].startswith("<image><image>i2 ")
    assert content_of(video["video_data"][0])[0] == "video/mp4"
    assert content_of(audio["audio_data"][0])[0] == "audio/wav"
    assert image["sampling_params"] == {"temperature": 0, "max_new_tokens": 16, "ignore_eos": True}


def test_media_decode_to_what_was_asked_for(tmp_path):
    _, reader = pool_of(tmp_path, plan_of(made(*EVERY_KIND), identity_items=5), count=1)
    _, image, _, video, _ = identity_bodies(reader)
    ((mime, file),) = media_of(image)
    assert (mime, Image.open(io.BytesIO(file)).format) == ("image/jpeg", "JPEG")
    ((_, file),) = media_of(video)
    with av.open(io.BytesIO(file)) as container:
        assert len(list(container.decode(video=0))) == 3


def test_no_two_items_have_the_same_words_or_media(tmp_path):
    _, reader = pool_of(tmp_path, plan_of(made(w.Image(width_px=16, prompt_words=1)), identity_items=8), count=30)
    every = identity_bodies(reader) + bodies(reader, 30)
    assert len({body["messages"][0]["content"][-1]["text"] for body in every}) == 38
    assert len({media_of(body)[0][1] for body in every}) == 38


def test_bodies_depend_on_the_seed_alone_not_on_threads_or_how_many_there_are(tmp_path, monkeypatch):
    plan = plan_of(made(*EVERY_KIND))
    first, reader = pool_of(tmp_path / "a", plan, count=12)
    monkeypatch.setattr(payloads, "_MAX_THREADS", 1)
    same, _ = pool_of(tmp_path / "b", plan, count=12)
    _, more = pool_of(tmp_path / "c", plan, count=20)
    other, _ = pool_of(tmp_path / "d", msgspec.structs.replace(plan, seed=1), count=12)
    assert first.sha256 == same.sha256 != other.sha256
    assert bodies(reader, 12) == bodies(more, 12)


def test_the_digest_leaves_out_what_only_the_profile_sends(tmp_path):
    plan = plan_of(made(w.Text()))
    digests = {prepare(plan, PoolSize(5, total), tmp_path / str(total)).sha256 for total in (5, 6, 9)}
    assert len(digests) == 1
    assert prepare(plan, PoolSize(6, 9), tmp_path / "main").sha256 not in digests


def test_kinds_come_in_proportion_to_their_weights(tmp_path):
    _, reader = pool_of(tmp_path, plan_of(made(w.Text(weight=3), w.Audio(weight=1, duration_s=0.1))), count=400)
    texts = sum(reader.modality(reader.slot(number)) == "text" for number in range(400))
    assert texts == pytest.approx(300, abs=30)


def test_a_run_longer_than_the_pool_comes_round_and_the_pool_says_how_often(tmp_path):
    plan = plan_of(made(w.Text()), identity_items=2)
    few, reader = pool_of(tmp_path / "few", plan, count=10, limits=PoolLimits(items=4, body_bytes=10**6))
    assert (few.load, few.repeats) == (4, 6)
    assert reader.slot(0) == reader.slot(4) == 2
    size = len(reader.body(reader.slot(0)))
    small, _ = pool_of(tmp_path / "small", plan, count=10, limits=PoolLimits(items=99, body_bytes=6 * size))
    assert 1 < small.load < 6
    assert small.body_bytes <= 6 * size
    one, _ = pool_of(tmp_path / "one", plan, count=10, limits=PoolLimits(items=99, body_bytes=1))
    assert (one.load, one.repeats) == (1, 9)
    assert pool_of(tmp_path / "all", plan, count=10)[0].repeats == 0


def test_progress_is_told_after_each_item(tmp_path):
    told = []
    pool_of(tmp_path, plan_of(made(w.Text()), identity_items=2), progress=lambda *done: told.append(done))
    assert told == [(done, 6) for done in range(1, 7)]


def test_a_folder_of_the_users_media_is_sent_in_order_of_name(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in (("b.png", b"B"), ("a.JPG", b"A"), ("notes.txt", b"no"), ("c.mp4", b"no")):
        (folder / name).write_bytes(content)
    _, reader = pool_of(tmp_path / "pool", plan_of(made(w.Image(folder=str(folder)))), count=3)
    sent = [media_of(body)[0] for body in bodies(reader, 3)]
    assert sent == [("image/jpeg", b"A"), ("image/png", b"B"), ("image/jpeg", b"A")]
    assert len({body["messages"][0]["content"][-1]["text"] for body in bodies(reader, 3)}) == 3
    with pytest.raises(ConfigError, match="photos has no audio files"):
        pool_of(tmp_path / "pool", plan_of(made(w.Audio(folder=str(folder)))))


def test_the_users_own_requests_are_sent_line_by_line(tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    raw = {"model": "x", "messages": [{"role": "user", "content": "as it is"}], "n": 1.50}
    workload = given(
        tmp_path,
        {"text": "What?", "images": ["cat.jpg"], "max_tokens": 3, "expected": "A cat."},
        {"images": [PIXEL, PIXEL]},
        {
            "text": "Look and listen.",
            "videos": ["data:video/mp4;base64,AA=="],
            "audios": ["data:audio/wav;base64,AA=="],
        },
        {"body": raw, "t_s": 3.5},
    )
    pool, reader = pool_of(tmp_path / "pool", plan_of(workload), count=6)
    assert (pool.identity, pool.load, pool.repeats) == (4, 4, 2)
    first, second, third, fourth = bodies(reader, 4)
    assert media_of(first) == [("image/jpeg", b"cat")]
    assert first["max_tokens"] == 3
    assert [part["type"] for part in second["messages"][0]["content"]] == ["image_url", "image_url"]
    assert [part["type"] for part in third["messages"][0]["content"]] == ["video_url", "audio_url", "text"]
    assert fourth == raw
    slots = [reader.slot(number) for number in range(4)]
    assert [reader.modality(slot) for slot in slots] == ["image", "images", "mixed", "text"]
    assert [reader.expected(slot) for slot in slots] == ["A cat.", None, None, None]
    assert bytes(reader.body(reader.slot(4))) == bytes(reader.body(reader.slot(0)))


def test_a_body_is_sent_byte_for_byte(tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_bytes(b'{"body": {"b":1.50,  "a": "\\u00e9"}}\n')
    _, reader = pool_of(tmp_path / "pool", plan_of(w.workload_of_items(file, rate_rps=1)[1]), count=1)
    assert bytes(reader.body(reader.slot(0))) == b'{"b":1.50,  "a": "\\u00e9"}'


@pytest.mark.parametrize(
    ("body", "modality"),
    [
        ({"text": "x"}, "text"),
        ({"text": "x", "image_data": PIXEL}, "image"),
        ({"text": "x", "image_data": [PIXEL, PIXEL]}, "images"),
        ({"text": "x", "video_data": [PIXEL], "image_data": None}, "video"),
        ({"messages": [{"content": [{"type": "audio_url"}, {"type": "text"}]}, {"content": "x"}]}, "audio"),
        ({"messages": [{"content": [{"type": "image_url"}]}, {"content": [{"type": "video_url"}]}]}, "mixed"),
        ({"messages": "not a list"}, "text"),
        ({"messages": [3, {"content": [4, {"type": ["image_url"]}]}]}, "text"),
    ],
)
def test_a_body_sent_as_it_is_has_the_modality_of_its_media(tmp_path, body, modality):
    workload = given(tmp_path, {"body": body})
    _, reader = pool_of(tmp_path / "pool", plan_of(workload), count=1)
    assert reader.modality(reader.slot(0)) == modality


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", "line 2: expected `text`, `images`"),
        ('{"txt": "x"}', "line 2: Object contains unknown field `txt`"),
        ('{"text": "x", "body": {}}', "line 2: expected `body` alone"),
        ('{"body": [1]}', "line 2: expected an object in `body`"),
        ('{"text": "x", "max_tokens": 0}', "line 2: Expected `int` >= 1 - at `$.max_tokens`"),
        ('{"images": ["absent.jpg"]}', "line 2: there is no file"),
        ('{"images": ["nameless"]}', "line 2: nameless does not tell what it is"),
        ("{", "line 2: Input data was truncated"),
        ('{"text": "\\ud800"}', "line 2: "),
    ],
)
def test_a_bad_line_is_an_error_that_names_it(tmp_path, line, message):
    (tmp_path / "nameless").write_bytes(b"x")
    file = tmp_path / "own.jsonl"
    file.write_text('{"text": "good"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"own\.jsonl line 2") as caught:
        read_given(file)
    assert message in str(caught.value)


def test_an_empty_or_absent_file_of_requests_is_named(tmp_path):
    (tmp_path / "own.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"own\.jsonl has no requests"):
        read_given(tmp_path / "own.jsonl")
    with pytest.raises(ConfigError, match=r"cannot read .*absent\.jsonl"):
        read_given(tmp_path / "absent.jsonl")


def test_a_failing_item_stops_the_making_with_its_error(tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    workload = given(tmp_path, {"text": "x"}, {"images": ["cat.jpg"]})
    original = payloads.read_given

    def gone_meanwhile(path):
        lines = original(path)
        (tmp_path / "cat.jpg").unlink()
        return lines

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payloads, "read_given", gone_meanwhile)
        with pytest.raises(ConfigError, match=r"cannot read .*cat\.jpg"):
            pool_of(tmp_path / "pool", plan_of(workload))


def test_a_full_disk_is_a_folder_error(tmp_path):
    (tmp_path / "bodies.bin").symlink_to("/dev/full")
    with pytest.raises(FolderError, match="no room is left"):
        pool_of(tmp_path, plan_of(made(w.Text(prompt_words=5000))), count=20)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ('{"text": "hi", "image": ["a.jpg"]}', "unknown field `image`", "images"),
        ('{"text": "hi", "images": ["http://example.org/a.jpg"]}', "is not fetched", "data: URI"),
    ],
)
def test_what_a_line_of_ones_own_cannot_say_is_named_with_the_mend(tmp_path, line, message, hint):
    (tmp_path / "mine.jsonl").write_text(line + "\n")
    with pytest.raises(ConfigError, match=message) as error:
        read_given(tmp_path / "mine.jsonl")
    assert "mine.jsonl line 1" in str(error.value)
    assert hint in error.value.hint


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    (tmp_path / "mine.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "hi"}\n')
    assert read_given(tmp_path / "mine.jsonl")[0].text == "hi"
