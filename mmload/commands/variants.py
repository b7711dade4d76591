"""`mmload variants`: the ways in which multimodal inputs can reach the ranks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mmload.patches.recipes import Patch

app = typer.Typer(help="The patch variants: what each does, what it risks, and as a patch.", no_args_is_help=True)
_JSON = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else there.")]
_NAME = Annotated[str, typer.Argument(help="A variant's name.")]


@app.command("list")
def list_variants(json: _JSON = False) -> None:
    """All variants: what each does, who builds, what waits, and where it runs."""
    from mmload.plan.variants import VariantList, load_variants  # noqa: PLC0415
    from mmload.show.tables_variants import render_variants  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415
    from mmload.store.append import encode_document  # noqa: PLC0415

    cards = load_variants()
    if json:
        print_document(encode_document(VariantList(tuple(cards))).decode())
    else:
        open_console().print(render_variants(cards))


@app.command("show")
def show_variant(name: _NAME, json: _JSON = False) -> None:
    """One variant: what it does, where it comes from, its hazards, and a picture of who does what when."""
    from mmload.plan.variants import load_variant  # noqa: PLC0415
    from mmload.show.tables_variants import render_variant  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415
    from mmload.store.append import encode_document  # noqa: PLC0415

    card = load_variant(name)
    if json:
        print_document(encode_document(card).decode())
    else:
        open_console().print(render_variant(card))


@app.command("patch")
def patch_variant(
    name: _NAME,
    sglang: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Your SGLang: a checkout, a site-packages folder, an unpacked wheel, or the package."
        ),
    ],
) -> None:
    """A variant as a unified diff of your own SGLang, for `git apply`.

    mmload variants patch optimized --sglang ~/sglang > optimized.patch
    """
    from mmload.patches.recipes import make_patch  # noqa: PLC0415

    patch = make_patch(name, sglang)
    typer.echo(patch.diff.encode(), nl=False)  # bytes: line ends and characters are the file's, not the terminal's
    for line in _advice(name, sglang, patch):
        typer.echo(line, err=True)


def _advice(name: str, sglang: Path, patch: Patch) -> list[str]:
    if not patch.diff:
        return [f"nothing to patch: {' '.join(patch.notes)}"]
    files = patch.diff.count("\ndiff --git ") + 1
    return [
        f"{name} for SGLang {patch.version}: {files} file{'s' if files > 1 else ''}",
        *patch.notes,
        f"to apply it: mmload variants patch {name} --sglang {sglang} | git -C {patch.root} apply",
    ]
