"""Whether work is told from polling: the same load on ranks that poll at rest and on ranks that sleep.

    python bench/idle_policy.py [--engine standin|sglang-cpu] [--rate 10] [--variant original] [--tp 2] [--seconds 20]

Four runs, ABBA. At rest polling ranks burn what cores there are and sleeping ones next to nothing, and neither works;
under the same load the totals differ and the work should not. Fails when at rest a rank works 3 % of a core or more, or
when the mean works of the policies are further apart than their intervals.
"""

import json
import math
import subprocess
import sys
import time
from statistics import fmean

from common import Figure, parser_of, report, scratch

from mmload.serve.client import ServerClient
from mmload.serve.engines import POLL_ON_IDLE, start_command
from mmload.serve.process import StartedServer, free_port


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--engine", default="standin")
    parser.add_argument("--variant", default="original")
    parser.add_argument("--rate", default="10")
    parser.add_argument("--tp", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    rest, load = {"poll": [], "sleep": []}, {"poll": [], "sleep": []}
    with scratch() as folder:
        for policy in ("poll", "sleep", "sleep", "poll"):
            args = (POLL_ON_IDLE,) if policy == "poll" else ()
            port = free_port()
            command = start_command(options.engine, port=port, tp=options.tp, variant=options.variant, args=args)
            server = StartedServer(command, folder / f"server-{policy}.log")
            try:
                url = f"http://127.0.0.1:{port}"
                while not ServerClient(url).is_healthy(5.0):
                    server.refuse_dead()
                    time.sleep(0.2)
                rest[policy].append(mmload(folder, "profile", "--url", url, "--duration", "5s"))
                load[policy].append(
                    mmload(
                        *(folder, "run", "--url", url, "--rate", options.rate),
                        *("--duration", f"{options.seconds}s", "--profile-duration", f"{options.seconds}s"),
                    )
                )
            finally:
                server.stop()
    return report([*_at_rest(rest), *_under_load(load)], as_json=options.json)


def mmload(folder, *args):
    """The ranks of a run's summary; an INVALID one is one: beside ranks that poll a generator may be late."""
    command = [sys.executable, "-m", "mmload", *args, "--json", "--out", str(folder / "profiles")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 4):
        sys.exit(done.stderr)
    summary = json.loads(done.stdout)
    return {name: cpu for name, cpu in summary["cpu"].items() if name.startswith("scheduler")}


def _at_rest(rest):
    for policy, runs in rest.items():
        ranks = [rank for run in runs for rank in run.values()]
        yield Figure(f"at rest, {policy}: total of the ranks, mean", fmean(rank["total_pct"] for rank in ranks), "%")
        yield Figure(f"at rest, {policy}: work, highest", max(rank["work_pct"] for rank in ranks), "%", at_most=3.0)


def _under_load(load):
    for rank in load["poll"][0]:
        works = {policy: [run[rank] for run in runs] for policy, runs in load.items()}
        for policy, runs in works.items():
            total = fmean(run["total_pct"] for run in runs)
            bounds = ", ".join(
                f"{run['work_pct']:.1f} ({run['work_low']:.1f} to {run['work_high']:.1f})" for run in runs
            )
            yield Figure(f"under load, {policy}: total of {rank}", total, "%", note=f"work {bounds}")
        means = {policy: fmean(run["work_pct"] for run in runs) for policy, runs in works.items()}
        halves = [(run["work_high"] - run["work_low"]) / 2 for runs in works.values() for run in runs]
        allowed = math.sqrt(sum((half / 2) ** 2 for half in halves))
        apart = abs(means["poll"] - means["sleep"])
        yield Figure(f"under load: works of {rank} apart", apart, "%", at_most=allowed)


if __name__ == "__main__":
    sys.exit(main())
