"""Makes a joined worker's payloads and schedules: `python -m mmload.drive.prepare FOLDER < plan.json`.

Prints their digests; an error goes to standard error, and its exit code is that of the error in mmload.errors.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from mmload.errors import MmloadError
from mmload.model.plan import Plan
from mmload.plan.arrivals import build_schedule
from mmload.plan.prepared import prepare_load


def main() -> int:
    try:
        plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
        _, digests = prepare_load(plan, build_schedule(plan), Path(sys.argv[1]))
    except MmloadError as error:
        sys.stderr.write(str(error))
        return error.exit_code
    except msgspec.ValidationError as error:
        sys.stderr.write(f"the driver's plan is of another version of mmload: {error}")
        return 2
    sys.stdout.buffer.write(msgspec.json.encode(digests))
    return 0


if __name__ == "__main__":
    sys.exit(main())
