"""What ends a server that can't hand anything over."""

from __future__ import annotations


class ServerError(RuntimeError):
    """The variant can't work on this host, or among these ranks."""
