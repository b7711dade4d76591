"""Which of a server's processes are kept from running: stopped, or in a wait of the kernel that nothing ends."""

from __future__ import annotations

from collections.abc import Mapping

from mmload.observe.observer import KernelWord

# A look every half second: one alone may meet a debugger, or somebody who looks as we do; a disk may take seconds.
LOOK_NS = 500_000_000
_STOPPED_LOOKS = 2
_UNWAKEABLE_LOOKS = 10


class Held:
    """One look at all processes after another. words: a clause for each process that is held by now."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._before: Mapping[str, KernelWord] = {}
        self._looks: dict[str, int] = {}

    def look(self, now: Mapping[str, KernelWord]) -> None:
        """now: what the kernel says, by process name."""
        self._looks = {name: self._looks.get(name, 0) + 1 for name, word in now.items() if self._is_held(name, word)}
        self._before = now
        stopped = [name for name, looks in self._looks.items() if now[name].state in "Tt" and looks >= _STOPPED_LOOKS]
        unwakeable = [name for name, looks in self._looks.items() if looks >= _UNWAKEABLE_LOOKS]
        self.words = [f"{name} is stopped" for name in stopped]
        self.words += [f"{name} waits in the kernel and can't be woken" for name in unwakeable if name not in stopped]

    def _is_held(self, name: str, word: KernelWord) -> bool:
        if word.state in "Tt":
            return True
        before = self._before.get(name)
        return word.state == "D" and before is not None and (before.state, before.ran_ns) == ("D", word.ran_ns)
