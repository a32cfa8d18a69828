"""The benchmarks: `python -m tests.bench [--only a,b] [--out F] [--compare F]`.

Each question prints one table. Every figure has a reference, measured in the same run on the same
machine; the ratio comes first. BENCH_SIZES (default 10000,100000) are the sizes of alerts,
BENCH_REPEATS (3) the number of repetitions, BENCH_SENDER (the default of the setting) the sender.
"""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import (
    api,
    audience_rules,
    encryption,
    estimates,
    gateway_alone,
    history,
    latency,
    machine,
    two_hosts,
    wave,
    whole_alert,
)
from tests.bench.bench_system import BenchSystem
from tests.bench.report import Answer, slower

QUESTIONS: dict[str, Callable[[BenchSystem], Answer]] = {
    "a": gateway_alone.gateway_alone,
    "b": whole_alert.whole_alert,
    "c": whole_alert.growth,
    "d": latency.first_push,
    "e": latency.breaking,
    "f": api.api,
    "g": estimates.estimates,
    "h": encryption.web_push,
    "i": wave.wave,
    "j": history.history,
    "k": two_hosts.two_hosts,
    "l": audience_rules.audience_rules,
}
SIZES = "10000,100000"


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="questions, as in a,b; default: all")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--compare", type=Path, help="say what became slower since this file")
    options = parser.parse_args()
    options.only = [letter.strip() for letter in options.only.split(",") if letter.strip()]
    if unknown := set(options.only) - set(QUESTIONS):
        parser.error(
            f"unknown question: {', '.join(sorted(unknown))}; they are {''.join(QUESTIONS)}"
        )
    return options


def ask(letters: list[str], bench: BenchSystem) -> tuple[list[Answer], list[str]]:
    """Answer the questions and print each at once; one that fails does not stop the others."""
    answers, failed = [], []
    for letter in letters:
        try:
            answer = QUESTIONS[letter](bench)
        except Exception:  # noqa: BLE001 - hours of measuring must not be lost to one question
            traceback.print_exc()
            failed.append(letter)
            continue
        answers.append(answer)
        print("\n".join(answer.lines()), end="\n\n", flush=True)
    return answers, failed


def main() -> int:
    options = parse_options()
    sizes = sorted(int(size) for size in os.environ.get("BENCH_SIZES", SIZES).split(","))
    repeats = int(os.environ.get("BENCH_REPEATS", "3"))
    described = machine.describe()
    start = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"{start}  {described}\nmedian of {repeats}\n", flush=True)
    bench = BenchSystem(sizes, repeats)
    try:
        answers, failed = ask(options.only or list(QUESTIONS), bench)
    finally:
        bench.close()
    answers_json = [answer.as_json() for answer in answers]
    if options.out:
        content = {
            "begun": start,
            "machine": described,
            "repeats": repeats,
            "answers": answers_json,
        }
        options.out.write_text(json.dumps(content, indent=1) + "\n")
    worse = (
        slower(json.loads(options.compare.read_text())["answers"], answers_json)
        if options.compare
        else []
    )
    if options.compare:
        print("\n".join(["slower than before:", *worse] if worse else ["nothing became slower"]))
    if failed:
        print(f"could not be answered: {', '.join(failed)}")
    return 1 if worse or failed else 0


if __name__ == "__main__":
    sys.exit(main())
