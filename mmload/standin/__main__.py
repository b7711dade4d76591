"""`python -m mmload.standin`: the options of the stand-in server."""

from __future__ import annotations

import argparse
import os
import sys

from mmload.errors import MmloadError, UsageError


def main() -> int:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported, below
    try:
        return _run(_arguments(sys.argv[1:]))
    except MmloadError as error:
        print(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mmload.standin", description="The embedded stand-in server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=30000, help="0: one is chosen and printed")
    parser.add_argument("--tp", type=int, default=2, help="number of scheduler ranks")
    parser.add_argument("--variant", default="stock", help="how inputs get to the ranks: a name, or module:Class")
    parser.add_argument("--rank-variant", action="append", default=[], metavar="RANK=VARIANT", help="for fault tests")
    parser.add_argument("--variants-in", metavar="MODULE", help="know the strategies of this module by name, too")
    parser.add_argument("--poll-on-idle", action="store_true", help="spin when nothing runs, as SGLang does")
    parser.add_argument("--text-only", action="store_true", help="refuse images, videos and audio")
    parser.add_argument("--model", default=None, help="the name that the server goes by")
    parser.add_argument("--config", default="standin", help="a name or file of configs/engines/")
    return parser.parse_args(words)


def _run(arguments: argparse.Namespace) -> int:
    import msgspec  # noqa: PLC0415 - --help needs none of this

    from mmload.handoff.registry import variants_in  # noqa: PLC0415
    from mmload.standin.config import load_config  # noqa: PLC0415
    from mmload.standin.memory import keep_freed_memory  # noqa: PLC0415
    from mmload.standin.server import Options, run  # noqa: PLC0415

    if not 1 <= arguments.tp <= 64:
        raise UsageError(f"--tp must be 1 to 64, got {arguments.tp}")
    if not 0 <= arguments.port <= 65535:
        raise UsageError(f"--port must be 0 to 65535, got {arguments.port}")
    config = load_config(arguments.config)
    config = msgspec.structs.replace(config, model=arguments.model or config.model)
    also = variants_in(arguments.variants_in) if arguments.variants_in else {}
    rank_variants = dict(_rank_variant(word, arguments.tp) for word in arguments.rank_variant)
    options = Options(
        host=arguments.host,
        port=arguments.port,
        tp=arguments.tp,
        variant=also.get(arguments.variant, arguments.variant),
        rank_variants={rank: also.get(variant, variant) for rank, variant in rank_variants.items()},
        poll_on_idle=arguments.poll_on_idle,
        text_only=arguments.text_only,
    )
    keep_freed_memory()
    return run(options, config)


def _rank_variant(word: str, tp: int) -> tuple[int, str]:
    rank, _, variant = word.partition("=")
    if not rank.isdecimal() or not variant or int(rank) >= tp:
        raise UsageError(f"--rank-variant takes RANK=VARIANT with a rank below {tp}, got {word!r}")
    return int(rank), variant


if __name__ == "__main__":
    sys.exit(main())
