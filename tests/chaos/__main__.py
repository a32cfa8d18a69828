"""`python -m tests.chaos --seed 7 --minutes 5`: print the table, exit 1 on a broken promise."""

import argparse
import sys

from tests.chaos.chaos_run import ChaosRun
from tests.chaos.schedule import FAULTS


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument(
        "--only",
        action="append",
        choices=FAULTS,
        help="only this fault; repeat the option for several",
    )
    options = parser.parse_args()
    faults = options.only or FAULTS
    outcome = ChaosRun(
        options.seed, options.minutes * 60, options.devices, fault_names=faults
    ).run()
    print("\n".join(outcome.lines()))
    return 0 if outcome.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
