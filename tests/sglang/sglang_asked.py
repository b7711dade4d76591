"""What servers are asked in order to compare them: by hand, in a storm, and in the identity phase of a run."""

import concurrent.futures
import functools
import json
import subprocess
import sys
from pathlib import Path

from served import PATIENCE_S, film, picture
from variant_rows import Grown, answers_to, ask_in_a_storm, check_row, question

QUESTIONS = {
    "an image": question(("image", picture(1))),
    "another image": question(("image", picture(2, 168, 84))),
    "two images": question(("image", picture(1)), ("image", picture(2, 168, 84))),
    "two images, the other way round": question(("image", picture(2, 168, 84)), ("image", picture(1))),
    "a video": question(("video", film())),
    "words": question(),
}
WITH_MEDIA = len(QUESTIONS) - 1
RUN = (
    "--workload",
    str(Path(__file__).parent / "every-kind.toml"),
    "--duration",
    "5s",
    "--warmup",
    "1s",
    "--no-profile",
)


def answers_of(server):
    return answers_to(server, QUESTIONS)


def check_answers_and_row(server, variant, truth):
    """That the answers are those of `truth`, and the work for them what the variant's card says."""
    grown = Grown(server)
    assert answers_of(server) == truth
    again = {"an image": QUESTIONS["an image"]}
    assert answers_to(server, again) == {"an image": truth["an image"]}
    check_row(grown, variant, 2, WITH_MEDIA + 1, seen_before=1)  # SGLang makes one feature of all images of a request
    return grown


def outlast_a_storm(server):
    """Fifty at once, some of which leave: every answer that is read is the right one, then and behind it."""
    truth = {seed: server.answer(picture(seed)) for seed in range(5)}
    assert len(set(truth.values())) == len(truth)
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        asked = pool.map(functools.partial(ask_in_a_storm, server, truth), range(50), timeout=2 * PATIENCE_S)
        assert all(asked)
    assert {seed: server.answer(picture(seed)) for seed in range(5)} == truth


def measured(out, *words):
    """(manifest, records) of a run. A busy machine may make it invalid (4): that is the load generator's fault."""
    command = [sys.executable, "-m", "mmload", "run", *RUN, *words, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 4), done.stderr
    (folder,) = out.iterdir()
    records = [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]
    return json.loads((folder / "manifest.json").read_text()), records


def identity(records):
    """item -> the answer's digest, of the serial identity phase."""
    return {each["item"]: each["output_sha256"] for each in records if each["phase"] == "identity"}
