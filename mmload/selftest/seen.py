"""What the tool said of a planted truth, and whether that is right for the right reason."""

from __future__ import annotations

import re

import msgspec

from mmload.errors import MmloadError, ServerError
from mmload.model.result import CriterionResult
from mmload.show.figures import criterion_text, figures_text


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """came: the word. reason: in the tool's own words. amiss: what is wrong about both, None where they are right."""

    came: str
    reason: str
    amiss: str | None = None

    def but(self, amiss: str | None) -> Seen:
        """The same with a further thing that is wrong; what was wrong before comes first."""
        return msgspec.structs.replace(self, amiss=self.amiss or amiss)

    def saying(self, pattern: str) -> Seen:
        """The same, wrong unless the reason has what `pattern` matches."""
        return self.but(None if re.search(pattern, self.reason) else f"the reason does not say {pattern!r}")

    def also(self, reason: str) -> Seen:
        """The same with more of what the tool said."""
        return msgspec.structs.replace(self, reason=f"{self.reason}; {reason}" if reason else self.reason)


def by_gate(result: CriterionResult, expected: str) -> Seen:
    """The gate's word, which must be `expected`, its figure and its evidence."""
    seen = Seen(came=result.verdict, reason=f"{criterion_text(result)}: {figures_text(result)}: {result.evidence}")
    return seen.also(f"needed: {result.needed}" if result.needed else "").but(
        None if result.verdict == expected else f"it is not {expected}"
    )


def by_exit(ended_by: MmloadError | None, says: str) -> Seen:
    """The run must have ended in exit code 5, with a sentence that has what the pattern `says` matches."""
    if ended_by is None:
        return Seen(came="exit 0", reason="the run came to its end", amiss="nothing was found")
    seen = Seen(came=f"exit {ended_by.exit_code}", reason=" ".join(str(ended_by).split()))
    return seen.but(None if isinstance(ended_by, ServerError) else "it is not exit 5").saying(says)
