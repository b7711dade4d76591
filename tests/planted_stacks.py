"""Stacks for the run folders of factory.py: process -> what its samples are of."""

from mmload.store.read import Run

FRAMES = {
    "hash": "hash_feature (mmload/standin/inputs.py:1)",
    "materialise": "from_dict (mmload/standin/inputs.py:2)",
    "pickle": "unpickle_object (mmload/standin/pickles.py:1)",
    "receive": "read_inbox (mmload/standin/rank.py:2)",
    "forward": "run_batch (mmload/standin/rank.py:3)",
    "http": "parse (mmload/standin/openai.py:4)",
    "poll": "poll_for_work (mmload/standin/rank.py:5)",
    "sleep": "wait_for_job (mmload/handoff/worker.py:6)",
}


def with_stacks(run, stacks):
    """The run with these stacks: process -> kind of frame -> samples."""
    for process, counts in stacks.items():
        lines = [f"event_loop (mmload/standin/rank.py:1);{FRAMES[kind]} {count}\n" for kind, count in counts.items()]
        run.layout.folded(process).write_text("".join(lines))
    return Run(run.layout.path)
