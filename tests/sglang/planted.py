"""Strategies that go wrong, for a server started with the variant `planted:NAME`."""

from mmload.handoff.async_broadcast import AsyncBroadcast
from mmload.handoff.batch_broadcast import BatchBroadcast
from mmload.handoff.shm import Shm

SPOILED_PX = 84
_PATCHES = (SPOILED_PX // 14) ** 2


def is_spoiled(raw):
    """Whether the raw inputs are those of one image of SPOILED_PX x SPOILED_PX pixels."""
    return [item.feature.shape[0] for item in items_of(raw)] == [_PATCHES]


def items_of(raw):
    """From 0.5.9 on they are no dict."""
    return raw["mm_items"] if isinstance(raw, dict) else raw.mm_items


class Malformed(AsyncBroadcast):
    """The features of spoiled images arrive in no form that any rank could build from."""

    name = "malformed"

    def at_tokenizer(self, raw):
        if is_spoiled(raw):
            items_of(raw)[0].feature = "nothing that has a hash"
        return raw


class SmallCache(BatchBroadcast):
    """Two requests fill it; and rank 1 can't take spoiled images, which the others can."""

    name = "small-cache"

    def __init__(self, host):
        super().__init__(host, entries=2)

    def materialise(self, request):
        if self.host.rank == 1 and is_spoiled(request.mm_inputs):
            return self.host.build({})
        return super().materialise(request)


class Liar(Shm):
    """Rank 1 says that it runs something else."""

    name = "liar"

    def __init__(self, host):
        super().__init__(host)
        if host.rank == 1:
            self.name = "commit"
