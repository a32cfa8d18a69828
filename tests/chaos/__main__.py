"""`python -m tests.chaos --seed 7 --minutes 5`: print the table, exit 1 on a broken promise."""

import argparse
import sys

from tests.chaos.run import Chaos


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--devices", type=int, default=20_000)
    asked = parser.parse_args()
    outcome = Chaos(asked.seed, asked.minutes * 60, asked.devices).run()
    print("\n".join(outcome.lines()))
    broken = any(outcome.zeros().values()) or outcome.findings.pushed_twice > outcome.bound
    return 1 if broken or outcome.findings.notes else 0


if __name__ == "__main__":
    sys.exit(main())
