"""Writes docs/schemas/: the JSON documents that mmload prints and keeps, described from the structs that it writes."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

import msgspec

from mmload.model.campaign import Campaign
from mmload.model.comparison import Comparison
from mmload.model.flame import FlameDocument
from mmload.model.result import Summary, Verdict
from mmload.model.selftest import SelftestReport

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"
DOCUMENTS: dict[str, type[msgspec.Struct]] = {
    "campaign": Campaign,
    "comparison": Comparison,
    "flame": FlameDocument,
    "selftest": SelftestReport,
    "summary": Summary,
    "verdict": Verdict,
}


def described(name: str) -> str:
    """The JSON schema of a document, as it stands in its file. `schema` is pinned: another number is another form."""
    kind = DOCUMENTS[name]
    schema = msgspec.json.schema(kind, schema_hook=lambda _any: {"description": "any JSON value"})
    fields = schema["$defs"][kind.__name__]
    fields["properties"]["schema"] = {"const": _version(kind)}
    fields["required"].append("schema")
    for part in schema["$defs"].values():
        part["description"] = inspect.cleandoc(part.get("description", ""))  # Python 3.13 does so by itself
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"mmload {name}", **schema}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _version(kind: type[msgspec.Struct]) -> object:
    return next(field.default for field in msgspec.structs.fields(kind) if field.name == "schema")


def file_of(name: str) -> Path:
    return FOLDER / f"{name}.schema.json"


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    for name in DOCUMENTS:
        file_of(name).write_text(described(name), encoding="utf-8")
    print(f"{len(DOCUMENTS)} schemas in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
