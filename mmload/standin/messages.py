"""What travels between the front end and the ranks.

Down, tokenizer -> entry rank over ZMQ and on by broadcast: pickled, as SGLang's are.
Up, ranks -> front end over ZMQ: msgpack, one message for all tokens of a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec


@dataclass(slots=True)
class Segment:
    """A run of the prompt: words (key: their digest) or the tokens of the next medium (key None)."""

    tokens: int
    key: bytes | None


@dataclass(slots=True)
class GenerateRequest:
    """SGLang's TokenizedGenerateReqInput. mm_inputs: what the variant's `at_tokenizer` made; None for text.

    prompt: digest of the prompt's words, the seed of the answer.
    """

    rid: str
    prompt: bytes
    segments: list[Segment]
    prompt_tokens: int
    max_new_tokens: int
    mm_inputs: Any = None


@dataclass(slots=True)
class AbortRequest:
    rid: str


@dataclass(slots=True)
class Together:
    """To the entry rank alone: take the next so many messages as one receive batch, however slowly they come."""

    messages: int


@dataclass(slots=True)
class Greeting:
    """The first message: the way down is open."""


@dataclass(slots=True)
class FlushCache:
    pass


@dataclass(slots=True)
class Shutdown:
    pass


Message = GenerateRequest | AbortRequest | Greeting | FlushCache | Shutdown


class Prepared(NamedTuple):
    """A request that the processor is done with: what the front end keeps of it, and the pickle for the ranks.

    handoff: what the variant's `at_tokenizer` made, to be withdrawn if the request does not leave after all.
    """

    rid: str
    prompt_tokens: int
    max_new_tokens: int
    payload: bytes
    handoff: Any = None


class Announce(msgspec.Struct, frozen=True, tag=True):
    """A rank is up. variant: the name of the strategy object that it runs."""

    rank: int
    pid: int
    variant: str


class FirstToken(msgspec.Struct, frozen=True, array_like=True):
    """Said once a request, with its first token."""

    rid: str
    cached_tokens: int
    queue_s: float


class Step(msgspec.Struct, frozen=True, tag=True):
    """One turn of the device. rids and tokens are parallel; running, queued and used_tokens are the state after it."""

    rids: list[str]
    tokens: list[int]
    first: list[FirstToken]
    running: int
    queued: int
    used_tokens: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """One request can't be answered; the others can."""

    rid: str
    message: str


Reply = Announce | Step | Failed
encode_reply = msgspec.msgpack.Encoder().encode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
