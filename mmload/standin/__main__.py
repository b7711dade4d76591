"""`python -m mmload.standin`: the options of the stand-in server."""

from __future__ import annotations

import argparse
import ctypes
import os
import sys

from mmload.errors import MmloadError, UsageError


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def main() -> int:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported, below
    _keep_memory()
    try:
        return _run(_arguments(sys.argv[1:]))
    except MmloadError as error:
        print(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code


def _keep_memory() -> None:
    """Let glibc keep freed megabytes for the next request's features: page faults on fresh memory took 1 ms of CPU of
    each 1.2 MB request, a third of what this process spends on it."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_TRIM_THRESHOLD, 256 << 20)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mmload.standin", description="The embedded stand-in server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=30000, help="0: one is chosen and printed")
    parser.add_argument("--tp", type=int, default=2, help="number of scheduler ranks")
    parser.add_argument("--variant", default="stock", help="how inputs get to the ranks: a name, or module:Class")
    parser.add_argument("--rank-variant", action="append", default=[], metavar="RANK=VARIANT", help="for fault tests")
    parser.add_argument("--poll-on-idle", action="store_true", help="spin when nothing runs, as SGLang does")
    parser.add_argument("--text-only", action="store_true", help="refuse images, videos and audio")
    parser.add_argument("--model", default=None, help="the name that the server goes by")
    parser.add_argument("--config", default="standin", help="a name or file of configs/engines/")
    return parser.parse_args(words)


def _run(arguments: argparse.Namespace) -> int:
    from mmload.standin.config import load_config  # noqa: PLC0415 - --help and errors need none of this
    from mmload.standin.server import Options, run  # noqa: PLC0415

    if not 1 <= arguments.tp <= 64:
        raise UsageError(f"--tp must be 1 to 64, got {arguments.tp}")
    if not 0 <= arguments.port <= 65535:
        raise UsageError(f"--port must be 0 to 65535, got {arguments.port}")
    config = load_config(arguments.config)
    options = Options(
        host=arguments.host,
        port=arguments.port,
        tp=arguments.tp,
        variant=arguments.variant,
        rank_variants=dict(_rank_variant(word, arguments.tp) for word in arguments.rank_variant),
        poll_on_idle=arguments.poll_on_idle,
        text_only=arguments.text_only,
        model=arguments.model or config.model,
    )
    return run(options, config)


def _rank_variant(word: str, tp: int) -> tuple[int, str]:
    rank, _, variant = word.partition("=")
    if not rank.isdecimal() or not variant or int(rank) >= tp:
        raise UsageError(f"--rank-variant takes RANK=VARIANT with a rank below {tp}, got {word!r}")
    return int(rank), variant


if __name__ == "__main__":
    sys.exit(main())
