"""Strategies that do it wrongly, for a server started with `--rank-variant 1=faulty_strategies:NAME`."""

from mmload.handoff.original import Original
from mmload.standin.inputs import MultimodalInputs


class Dropped(Original):
    """The features get lost on the way."""

    name = "dropped"

    def materialise(self, request):
        super().materialise(request)
        return MultimodalInputs([])


class Stale(Original):
    """Every request gets the features of the first one."""

    name = "stale"
    first = None

    def materialise(self, request):
        self.first = self.first or super().materialise(request)
        return self.first


class Swapped(Original):
    """The images of a request change places."""

    name = "swapped"

    def materialise(self, request):
        return MultimodalInputs(super().materialise(request).mm_items[::-1])


class Raising(Original):
    """One rank can't build what the others can."""

    name = "raising"

    def materialise(self, request):
        raise RuntimeError("this rank can't")


class Malformed(Original):
    """The tokenizer spoils images of 84 x 84 pixels and no others."""

    name = "malformed"

    def at_tokenizer(self, raw):
        for item in raw["mm_items"]:
            if item["grid"] == (1, 6, 6):
                item["feature"] = item["feature"][:-1]
        return raw
