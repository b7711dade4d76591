"""`original`: before the commit, and after its `rollback`. Every rank builds every object from the dict."""

from __future__ import annotations

from mmload.handoff.strategy import Strategy


class Original(Strategy):
    """N requests cost N x TP builds; no rank waits for another."""

    name = "original"


class Rollback(Original):
    """The commit taken back: the way of `original` under its own name, the baseline of "no regression"."""

    name = "rollback"
