"""How fast it is, and beside what: `python -m tests.bench [--only a,b] [--out F] [--compare F]`.

Each question prints one table; every figure stands beside its reference, measured in the same run
on the same machine, the ratio first. BENCH_SIZES (default 10000,100000) are the alerts' sizes,
BENCH_REPEATS (3) how often everything is measured, BENCH_SENDER (the usual one) who sends.
"""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import alone, api, encryption, estimates, latency, machine, whole_way
from tests.bench.report import Answer, slower
from tests.bench.rig import Rig

QUESTIONS: dict[str, Callable[[Rig], Answer]] = {
    "a": alone.gateway_alone,
    "b": whole_way.whole_way,
    "c": whole_way.growth,
    "d": latency.first_push,
    "e": latency.breaking,
    "f": api.api,
    "g": estimates.estimates,
    "h": encryption.web_push,
}
SIZES = "10000,100000"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="questions, as in a,b; default: all")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--compare", type=Path, help="say what became slower since this file")
    asked = parser.parse_args()
    asked.only = [letter.strip() for letter in asked.only.split(",") if letter.strip()]
    if unknown := set(asked.only) - set(QUESTIONS):
        parser.error(
            f"no such question: {', '.join(sorted(unknown))}; there is {''.join(QUESTIONS)}"
        )
    return asked


def ask(letters: list[str], rig: Rig) -> tuple[list[Answer], list[str]]:
    """Answer the questions, printing each at once; one that fails does not stop the others."""
    answers, failed = [], []
    for letter in letters:
        try:
            answer = QUESTIONS[letter](rig)
        except Exception:  # noqa: BLE001 - hours of measuring must not be lost to one question
            traceback.print_exc()
            failed.append(letter)
            continue
        answers.append(answer)
        print("\n".join(answer.lines()), end="\n\n", flush=True)
    return answers, failed


def main() -> int:
    asked = options()
    sizes = sorted(int(size) for size in os.environ.get("BENCH_SIZES", SIZES).split(","))
    repeats = int(os.environ.get("BENCH_REPEATS", "3"))
    described = machine.describe()
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"{begun}  {described}\nmedian of {repeats}\n", flush=True)
    rig = Rig(sizes, repeats)
    try:
        answers, failed = ask(asked.only or list(QUESTIONS), rig)
    finally:
        rig.close()
    found = [answer.as_json() for answer in answers]
    if asked.out:
        content = {"begun": begun, "machine": described, "repeats": repeats, "answers": found}
        asked.out.write_text(json.dumps(content, indent=1) + "\n")
    worse = slower(json.loads(asked.compare.read_text())["answers"], found) if asked.compare else []
    if asked.compare:
        print("\n".join(["slower than before:", *worse] if worse else ["nothing became slower"]))
    if failed:
        print(f"could not be answered: {', '.join(failed)}")
    return 1 if worse or failed else 0


if __name__ == "__main__":
    sys.exit(main())
