"""Collectives between rank processes, over a tree of connected unix sockets.

A broadcast is a rendezvous, as gloo's is: whoever sends waits until its receiver has come to the same broadcast, so one
late rank holds up all. The tree is gloo's (gloo/broadcast.cc): the parent of a rank is the rank without its highest
bit, and every rank passes on what it got.

    child -> parent   READY tag           I am in broadcast `tag`
    parent -> child   the bytes           (both know how many)
    child -> parent   GATHER size bytes   its own part of a gather, with those below it

A tag names the operation. Ranks that meet in different operations fail at once, with both names, instead of taking one
another's bytes for something else.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

from mmload.errors import ServerDied

_READY = b"R"
_GATHER = b"G"
_SIZE = struct.Struct("<q")


class PeerLost(ServerDied):
    """Another rank ended in the middle of a collective, or before it."""


class OutOfStep(ServerDied):
    """Two ranks met in different operations."""


def parent_of(rank: int) -> int:
    """The rank that sends to `rank` (1 or more) in a broadcast from rank 0."""
    return rank & ~(1 << (rank.bit_length() - 1))


class Collective:
    """One rank's end. parent: the socket to `parent_of(rank)`, None on rank 0. children: rank -> socket.

    A rank that waits for a peer sleeps in the kernel, as in gloo; the entry rank polls, and has all take part."""

    def __init__(
        self,
        rank: int,
        parent: socket.socket | None,
        children: Mapping[int, socket.socket],
    ) -> None:
        self.rank = rank
        self.is_root = parent is None
        self._parent = parent
        self._children = dict(sorted(children.items()))
        for sock in filter(None, (parent, *children.values())):
            sock.setblocking(True)

    def broadcast(self, tag: bytes, buffer: bytes | bytearray | memoryview) -> None:
        """From rank 0's buffer into everyone else's, which has the same length. tag: one byte.

        Raises PeerLost or OutOfStep."""
        view = memoryview(buffer).cast("B")
        if self._parent is not None:
            self._send(self._parent, _READY + tag)
            self._receive(self._parent, view)
        for sock in self._children.values():
            self._expect(sock, _READY + tag)
            self._send(sock, view)

    def broadcast_size(self, tag: bytes, size: int = 0) -> int:
        """Rank 0's size on every rank: what goes before a pickle."""
        buffer = bytearray(_SIZE.pack(size))
        self.broadcast(tag, buffer)
        return int(_SIZE.unpack(buffer)[0])

    def gather(self, part: bytes) -> list[bytes] | None:
        """On rank 0 the parts of all ranks, in no particular order; None elsewhere. Raises PeerLost or OutOfStep."""
        parts = [part]
        for sock in self._children.values():
            self._expect(sock, _GATHER)
            parts += self._receive_parts(sock)
        if self._parent is None:
            return parts
        body = b"".join(_SIZE.pack(len(each)) + each for each in parts)
        self._send(self._parent, _GATHER + _SIZE.pack(len(body)) + body)
        return None

    def shut_down(self) -> None:
        """End it from any thread: whoever waits in it, here or on a rank next to this one, gets PeerLost."""
        for sock in filter(None, (self._parent, *self._children.values())):
            with suppress(OSError):  # the other end is gone, or it is closed
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Nobody waits in it any more."""
        for sock in filter(None, (self._parent, *self._children.values())):
            sock.close()

    def _receive_parts(self, sock: socket.socket) -> list[bytes]:
        header = bytearray(_SIZE.size)
        self._receive(sock, memoryview(header))
        body = bytearray(_SIZE.unpack(header)[0])
        self._receive(sock, memoryview(body))
        parts, at = [], 0
        while at < len(body):
            start = at + _SIZE.size
            at = start + _SIZE.unpack_from(body, at)[0]
            parts.append(bytes(body[start:at]))
        return parts

    def _expect(self, sock: socket.socket, what: bytes) -> None:
        got = bytearray(len(what))
        self._receive(sock, memoryview(got))
        if got != what:
            raise OutOfStep(f"rank {self.rank} is in {what!r} while a peer is in {bytes(got)!r}")

    def _send(self, sock: socket.socket, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[sock.send(view) :]
            except OSError as error:
                raise self._lost(sock) from error

    def _receive(self, sock: socket.socket, view: memoryview) -> None:
        while view:
            try:
                got = sock.recv_into(view, flags=socket.MSG_WAITALL)
            except OSError as error:
                raise self._lost(sock) from error
            if got == 0:
                raise self._lost(sock)
            view = view[got:]

    def _lost(self, sock: socket.socket) -> PeerLost:
        peers = {id(child): rank for rank, child in self._children.items()}
        peer = peers[id(sock)] if id(sock) in peers else parent_of(self.rank)
        return PeerLost(f"rank {self.rank}: rank {peer} is gone")
