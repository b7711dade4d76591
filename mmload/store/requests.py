"""requests.jsonl as columns: about a hundred bytes a request, where a record of its own takes a kilobyte and more, so
that a day of load is read in one pass and every percentile stays exact."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Annotated, Any, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.model.plan import Modality
from mmload.model.records import OUTCOMES, Nanoseconds, RequestPhase, RequestRecord

PHASES: tuple[RequestPhase, ...] = ("identity", "warmup", "measure", "profile")  # as they follow each other in a run
MODALITIES: tuple[Modality, ...] = get_args(Modality)
ABSENT = -(2**63)  # a time that there is none of
UNSAID = -1  # a number of tokens that the server does not say
NO_ERROR = -1

_BATCH = 4096  # records that are alive at once while they are read
_PART = 65_536  # requests whose tokens are looked at together
_TIMES = ("due_ns", "sent_ns", "connect_ns", "first_token_ns", "done_ns", "read_lag_ns")
_COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens")
_KINDS: dict[str, dict[str, int]] = {
    "phase": {name: code for code, name in enumerate(PHASES)},
    "modality": {name: code for code, name in enumerate(MODALITIES)},
    "outcome": {name: code for code, name in enumerate(OUTCOMES)},
}
_OK = OUTCOMES.index("ok")


class RequestLine(RequestRecord, frozen=True, kw_only=True, gc=False):  # what can't refer to itself needs no collector
    """A line of requests.jsonl that fits its columns; another one is damaged."""

    id: Annotated[str, msgspec.Meta(max_length=64)]
    due_ns: Nanoseconds
    sent_ns: Nanoseconds | None
    connect_ns: Nanoseconds = 0
    first_token_ns: Nanoseconds | None = None
    done_ns: Nanoseconds | None = None
    read_lag_ns: Nanoseconds | None = None
    token_ns: list[Nanoseconds] = msgspec.field(default_factory=list)
    worker: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0


class RequestTable(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Requests in the order of their phase, due time and id. Each column has one entry for each of them.

    id: in UTF-8. phase, modality, outcome: places in PHASES, MODALITIES and OUTCOMES. *_ns: as in RequestRecord, ABSENT
    where there is none. *_tokens: UNSAID where the server does not say, or says what can't be. error: place in
    `errors`, or NO_ERROR. token_bounds: one entry more; tokens of request i arrived at
    token_ns[token_bounds[i]:token_bounds[i + 1]]. identity: the whole records of those of its requests that are of the
    identity phase. A slice of a table shares its memory.
    """

    id: NDArray[np.bytes_]
    phase: NDArray[np.uint8]
    modality: NDArray[np.uint8]
    outcome: NDArray[np.uint8]
    due_ns: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    connect_ns: NDArray[np.int64]
    first_token_ns: NDArray[np.int64]
    done_ns: NDArray[np.int64]
    read_lag_ns: NDArray[np.int64]
    prompt_tokens: NDArray[np.int32]
    completion_tokens: NDArray[np.int32]
    cached_tokens: NDArray[np.int32]
    worker: NDArray[np.int32]
    error: NDArray[np.int32]
    errors: list[str]
    token_bounds: NDArray[np.int64]
    token_ns: NDArray[np.int64]
    identity: list[RequestRecord]

    def __len__(self) -> int:
        return len(self.due_ns)

    def __getitem__(self, rows: slice) -> RequestTable:
        """Neighbouring requests, `table[start:stop]`."""
        start, stop, _ = rows.indices(len(self))
        columns = {name: getattr(self, name)[start:stop] for name in _COLUMNS}
        bounds = self.token_bounds[start : max(start, stop) + 1]
        return msgspec.structs.replace(self, **columns, token_bounds=bounds, identity=self.identity[start:stop])

    def of_phase(self, phase: RequestPhase) -> RequestTable:
        code = np.uint8(PHASES.index(phase))
        start, stop = (int(np.searchsorted(self.phase, code, side)) for side in ("left", "right"))
        return self[start:stop]

    def parts(self) -> Iterator[RequestTable]:
        """The table in pieces, for what needs memory for every token."""
        return (self[start : start + _PART] for start in range(0, len(self), _PART))

    @property
    def is_ok(self) -> NDArray[np.bool_]:
        return np.asarray(self.outcome == _OK)

    @property
    def tokens(self) -> NDArray[np.int64]:
        """The arrival times of all tokens, request by request."""
        return self.token_ns[self.token_bounds[0] : self.token_bounds[-1]]

    @property
    def token_count(self) -> NDArray[np.int64]:
        """How many arrivals of tokens each request has."""
        return np.diff(self.token_bounds)

    @property
    def answer_tokens(self) -> NDArray[np.int64]:
        """How many tokens each answer has: what the server says, or the arrivals where these are more. No piece of a
        stream is less than a token, so a server that says fewer is wrong."""
        return np.maximum(self.completion_tokens, self.token_count)

    def has_error(self, text: str | None) -> NDArray[np.bool_]:
        """Which requests have just this error; None: which have none."""
        code = NO_ERROR if text is None else self.errors.index(text) if text in self.errors else len(self.errors)
        return np.asarray(self.error == code)


_COLUMNS = tuple(
    name for name in RequestTable.__struct_fields__ if name not in ("errors", "token_bounds", "token_ns", "identity")
)


def table_of(records: Iterable[RequestRecord]) -> RequestTable:
    """The table of these records, which are taken in one pass and not kept."""
    columns, rest = _Columns(), iter(records)
    while batch := list(islice(rest, _BATCH)):
        columns.take(batch)
    return columns.table()


class _Columns:
    """The columns while they grow, in the order of the records."""

    def __init__(self) -> None:
        self._numbers: dict[str, array[int]] = {
            **{name: array("B") for name in _KINDS},
            **{name: array("q") for name in _TIMES},
            **{name: array("i") for name in (*_COUNTS, "worker", "error", "token_count")},
        }
        self._ids: list[NDArray[np.bytes_]] = [np.empty(0, "S1")]
        self._errors: dict[str, int] = {}
        self._token_ns = array("q")
        self._identity: list[RequestRecord] = []

    def take(self, batch: list[RequestRecord]) -> None:
        numbers = self._numbers
        for name, codes in _KINDS.items():
            numbers[name].fromlist([codes[kind] for kind in map(attrgetter(name), batch)])
        for name in _TIMES:
            numbers[name].fromlist([ABSENT if t_ns is None else t_ns for t_ns in map(attrgetter(name), batch)])
        for name in _COUNTS:
            numbers[name].fromlist([_plausible(count) for count in map(attrgetter(name), batch)])
        numbers["worker"].fromlist([record.worker for record in batch])
        numbers["error"].fromlist([self._error(record.error) for record in batch])
        numbers["token_count"].fromlist([len(record.token_ns) for record in batch])
        for record in batch:
            self._token_ns.fromlist(record.token_ns)
        self._ids.append(np.array([record.id.encode() for record in batch]))
        self._identity += [record for record in batch if record.phase == "identity"]

    def table(self) -> RequestTable:
        """Everything taken, in order. Ends the columns: each is let go as soon as it is ordered."""
        columns: dict[str, NDArray[Any]] = {"id": np.concatenate(self._ids)}
        self._ids.clear()
        order = _order(columns["id"], *(np.asarray(self._numbers[name]) for name in ("due_ns", "phase")))
        columns["id"] = columns["id"][order]
        counts = np.asarray(self._numbers.pop("token_count"))
        while self._numbers:
            name, numbers = self._numbers.popitem()
            columns[name] = np.asarray(numbers)[order]
        bounds, token_ns = _reordered(np.asarray(self._token_ns), counts, order)
        identity = sorted(self._identity, key=lambda record: (record.due_ns, record.id.encode()))
        return RequestTable(
            **columns, errors=list(self._errors), token_bounds=bounds, token_ns=token_ns, identity=identity
        )

    def _error(self, text: str | None) -> int:
        return self._errors.setdefault(text, len(self._errors)) if text else NO_ERROR


def _plausible(tokens: int | None) -> int:
    return tokens if tokens is not None and 0 <= tokens < 2**31 else UNSAID


def _order(ids: NDArray[np.bytes_], due_ns: NDArray[np.int64], phase: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The order by phase, due time and id; ids, slow to compare, are looked at only where the others are the same."""
    order = np.lexsort((due_ns, phase))
    same = (np.diff(due_ns[order]) == 0) & (np.diff(phase[order]) == 0)
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same)) if len(order) else order
    rows = order[tied]
    order[tied] = rows[np.lexsort((ids[rows], due_ns[rows], phase[rows]))]
    return order


def _reordered(
    token_ns: NDArray[np.int64], counts: NDArray[np.int32], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token bounds and times with the requests in `order`."""
    found_at = np.cumsum(counts, dtype=np.int64) - counts
    bounds = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts[order], dtype=np.int64)))
    ordered = np.empty_like(token_ns)
    for start in range(0, len(order), _PART):
        rows = order[start : start + _PART]
        first, end = bounds[start], bounds[start + len(rows)]
        shifts = np.repeat(found_at[rows] - bounds[start : start + len(rows)], counts[rows])
        ordered[first:end] = token_ns[np.arange(first, end) + shifts]
    return bounds, ordered
