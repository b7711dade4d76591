from __future__ import annotations

import json
import math

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from mmload.show.speedscope import speedscope

# The rules of speedscope's src/lib/file-format-spec.ts for a file of sampled profiles.
NUMBER = {"type": "number"}
PROFILE = {
    "type": "object",
    "required": ["type", "name", "unit", "startValue", "endValue", "samples", "weights"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "sampled"},
        "name": {"type": "string"},
        "unit": {"enum": ["none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"]},
        "startValue": NUMBER,
        "endValue": NUMBER,
        "samples": {"type": "array", "items": {"type": "array", "items": {"type": "integer", "minimum": 0}}},
        "weights": {"type": "array", "items": NUMBER},
    },
}
FRAME = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "file": {"type": "string"}, "line": NUMBER, "col": NUMBER},
}
SCHEMA = {
    "type": "object",
    "required": ["$schema", "shared", "profiles"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"const": "https://www.speedscope.app/file-format-schema.json"},
        "shared": {
            "type": "object",
            "required": ["frames"],
            "properties": {"frames": {"type": "array", "items": FRAME}},
        },
        "profiles": {"type": "array", "items": PROFILE},
        "name": {"type": "string"},
        "activeProfileIndex": NUMBER,
        "exporter": {"type": "string"},
    },
}
STACKS = {
    "scheduler_TP0": {"loop (a/rank.py:3);recv (a/rank.py:9)": 7, "loop (a/rank.py:3)": 2},
    "tokenizer": {"run (<frozen x>:0);thing without a place": 4},
}
names = st.text(st.characters(exclude_characters=";\n", exclude_categories=["Cs"]), min_size=1, max_size=8)
frames = st.builds("{} ({}:{})".format, names, names, st.integers(0, 9999)) | names
profiles = st.dictionaries(
    st.sampled_from(["scheduler_TP0", "scheduler_TP1", "tokenizer"]),
    st.dictionaries(st.lists(frames, min_size=1, max_size=5).map(";".join), st.integers(1, 2**31 - 1), max_size=9),
)


def read(text: str) -> dict:
    """Held against the rules that a schema can say, and those that it can't."""
    document = json.loads(text)
    jsonschema.validate(document, SCHEMA)
    for profile in document["profiles"]:
        assert len(profile["samples"]) == len(profile["weights"])
        assert all(place < len(document["shared"]["frames"]) for stack in profile["samples"] for place in stack)
        assert math.isclose(profile["endValue"] - profile["startValue"], math.fsum(profile["weights"]))
    return document


def test_every_process_is_a_profile_of_seconds():
    document = read(speedscope("a-run", STACKS, 100))
    assert [(p["name"], p["unit"], p["weights"]) for p in document["profiles"]] == [
        ("scheduler_TP0", "seconds", [0.07, 0.02]),
        ("tokenizer", "seconds", [0.04]),
    ]


def test_weights_are_samples_where_nobody_knows_the_rate():
    profile = read(speedscope("a-run", STACKS, 0))["profiles"][0]
    assert (profile["unit"], profile["weights"]) == ("none", [7, 2])


def test_a_frame_is_shared_and_says_where_it_is():
    document = read(speedscope("a-run", STACKS, 100))
    assert document["shared"]["frames"] == [
        {"name": "loop", "file": "a/rank.py", "line": 3},
        {"name": "recv", "file": "a/rank.py", "line": 9},
        {"name": "run", "file": "<frozen x>"},
        {"name": "thing without a place"},
    ]
    assert document["profiles"][0]["samples"] == [[0, 1], [0]]


@given(profiles, st.sampled_from([0, 1, 37, 100, 1000]))
def test_every_sample_is_there_whatever_the_frames_are_called(stacks, rate_hz):
    document = read(speedscope("a-run", stacks, rate_hz))
    for profile, folded in zip(document["profiles"], stacks.values(), strict=True):
        assert [round(weight * (rate_hz or 1)) for weight in profile["weights"]] == list(folded.values())
