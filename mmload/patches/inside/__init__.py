"""Hosts for a strategy inside SGLang's own processes, for a patched tree. They come to it as text (bundle.py): what
they need of torch and of SGLang is given to them, and they import the standard library alone.

    rank.py         the scheduler's side
    tokenizer.py    the tokenizer manager's side, for a strategy that does something there
    messages.py     which of SGLang's messages carry media, and where
    counting.py     in place of mmload.handoff.counters
    errors.py       in place of mmload.errors
"""
