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
    "scheduler_TP0": {
        "loop (a/rank.py:3);recv (a/rank.py:9)": 7,
        "loop (a/rank.py:3)": 2,
        "loop (a/rank.py:4);recv (a/rank.py:8)": 1,
        "loop (b/rank.py:3)": 1,
    },
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


def test_every_process_is_a_profile_of_seconds_and_says_so():
    document = read(speedscope("a-run", STACKS, 100))
    assert [(p["name"], p["unit"], p["weights"]) for p in document["profiles"]] == [
        ("TP0: samples at 100 Hz, sleeping waits included", "seconds", [0.08, 0.02, 0.01]),
        ("tokenizer: samples at 100 Hz, sleeping waits included", "seconds", [0.04]),
    ]


def test_weights_are_samples_where_nobody_knows_the_rate():
    profile = read(speedscope("a-run", STACKS, 0))["profiles"][0]
    assert (profile["unit"], profile["weights"]) == ("none", [8, 2, 1])
    assert profile["name"] == "TP0: samples, sleeping waits included"


def test_a_frame_is_a_function_with_all_its_lines():
    document = read(speedscope("a-run", STACKS, 100))
    assert document["shared"]["frames"] == [
        {"name": "loop", "file": "a/rank.py"},
        {"name": "recv", "file": "a/rank.py"},
        {"name": "loop", "file": "b/rank.py"},
        {"name": "run", "file": "<frozen x>"},
        {"name": "thing without a place"},
    ]
    assert document["profiles"][0]["samples"] == [[0, 1], [0], [2]]


@given(profiles, st.sampled_from([0, 1, 37, 100, 1000]))
def test_every_sample_is_there_whatever_the_frames_are_called(stacks, rate_hz):
    document = read(speedscope("a-run", stacks, rate_hz))
    for profile, folded in zip(document["profiles"], stacks.values(), strict=True):
        assert sum(round(weight * (rate_hz or 1)) for weight in profile["weights"]) == sum(folded.values())
