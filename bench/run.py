"""The command line of the bench."""

import argparse
import sys
from collections.abc import Callable

from harness import (
    build,
    compute,
    idle,
    instructions,
    limiter,
    logins,
    machine,
    memory,
    sleepers,
    soak,
    throughput,
    timing,
    upload,
)
from harness.options import Options

MEASUREMENTS: dict[str, tuple[Callable[[Options], bool], str]] = {
    "throughput": (throughput.run, "CPU time a request, rates, latencies and memory, all rows"),
    "instructions": (instructions.run, "user instructions a request, by callgrind"),
    "compute": (compute.run, "what two endlessly computing calls do to other requests"),
    "sleepers": (sleepers.run, "what 64 sleeping calls do to other requests"),
    "logins": (logins.run, "what 200 log-ins by password do to other requests"),
    "idle": (idle.run, "10,000 idle keep-alive connections"),
    "memory": (memory.run, "resident memory after start"),
    "upload": (upload.run, "resident memory while 10 MB stream in"),
    "timing": (timing.run, "whether the time of a refusal tells anything about the secret"),
    "limiter": (limiter.run, "what a million clients cost a rate limit"),
    "soak": (soak.run, "mixed load for minutes, and what is left of it"),
}
# What takes too long to be part of `all`, and has no peers.
ALONE = ("limiter", "soak", "timing")


def main() -> int:
    """Runs what was asked for."""
    arguments = _parse()
    options = Options(
        cores=machine.choose_cores(arguments.server_core, arguments.loader_core),
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        minutes=arguments.minutes,
        connections=arguments.connections,
        seed=arguments.seed,
        scenarios=tuple(arguments.scenario),
        only=tuple(arguments.only),
    )
    asked = arguments.measurement or ["throughput"]
    if "all" in asked:
        asked = [name for name in MEASUREMENTS if name not in ALONE]
    if not arguments.no_build:
        try:
            if any(name not in ALONE for name in asked):
                build.peers()
        except build.BuildError as error:
            print(error, file=sys.stderr)
            return 2
        build.ours()
    print(machine.describe(options.cores), flush=True)
    held = True
    for name in asked:
        measure, about = MEASUREMENTS[name]
        print(f"\n== {name}: {about}", flush=True)
        held = measure(options) and held
    return 0 if held or not arguments.strict else 1


def _measurement(name: str) -> str:
    # `choices` would refuse the empty list that stands for the default.
    if name not in (*MEASUREMENTS, "all"):
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(MEASUREMENTS)}, all")
    return name


def _parse() -> argparse.Namespace:
    listed = "\n".join(f"  {name:14}{about}" for name, (_, about) in MEASUREMENTS.items())
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description=f"Measures both faces beside their peers.\n\n{listed}\n  all",
        epilog="Without a name: throughput.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("measurement", nargs="*", type=_measurement)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each row (5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds of a round (3)")
    parser.add_argument("--minutes", type=float, default=10, help="of a soak, each face (10)")
    parser.add_argument("--connections", type=int, default=64, help="of a closed loop (64)")
    parser.add_argument("--scenario", action="append", default=[], help="this scenario alone")
    parser.add_argument("--only", action="append", default=[], help="rows whose name holds this")
    parser.add_argument("--server-core", type=int, help="the server's core (the first)")
    parser.add_argument("--loader-core", type=int, help="the loader's core (the second)")
    parser.add_argument("--seed", type=int, default=1, help="draws the order of rounds (1)")
    parser.add_argument("--no-build", action="store_true", help="take what is built already")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a target is missed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
