"""A gate as its file defines it, checked and parsed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mmload.judge.criteria import Criterion, parse
from mmload.judge.figures import Terms
from mmload.judge.metrics import METRICS
from mmload.plan import config
from mmload.plan.gates import GateFile


class GateCriterion(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed criterion and the rest of its table."""

    criterion: Criterion
    required: bool
    min_duration_s: float
    terms: Terms


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A gate ready to judge."""

    name: str
    confidence: float
    criteria: tuple[GateCriterion, ...]

    @property
    def baselines(self) -> tuple[str, ...]:
        """The variants that its criteria compare with, in their order."""
        named = (item.criterion.baseline for item in self.criteria)
        return tuple(dict.fromkeys(name for name in named if name))


def load_gate(name_or_file: str) -> Gate:
    """A gate of configs/gates/ or of a file. Raises UsageError (not there) or ConfigError (wrong, and where)."""
    path = config.find("gates", name_or_file)
    file = config.load_file(path, GateFile)
    criteria = tuple(_read(file, number, path) for number in range(len(file.criteria)))
    return Gate(name=path.stem, confidence=file.confidence, criteria=criteria)


def known_variants() -> list[str]:
    """The variants that a run can be of: those with a card, and the server as it is."""
    return sorted({"stock", *config.names("variants")})


def _read(file: GateFile, number: int, path: Path) -> GateCriterion:
    item = file.criteria[number]
    return GateCriterion(
        criterion=parse(item.check, _where(path, file, number), METRICS, known_variants()),
        required=item.required,
        min_duration_s=item.min_duration_s,
        terms=Terms(file.confidence, item.design_effect or file.design_effect),
    )


def _where(path: Path, file: GateFile, number: int) -> str:
    """File, key and line: TOML's parser keeps no lines, so the check's own text is looked for."""
    check = file.criteria[number].check
    earlier = sum(item.check == check for item in file.criteria[:number])
    lines = [line for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if check in text]
    line = f" line {lines[earlier]}" if check and earlier < len(lines) else ""
    return f"{path}{line} (`criteria[{number}].check`)"
