"""Options -> one call -> exit code; nothing else."""

from __future__ import annotations


def main() -> None:
    """The `mmload` command."""
