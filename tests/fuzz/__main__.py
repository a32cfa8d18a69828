"""`python -m tests.fuzz --minutes 5 --seed 7`: a long run, which prints its verdict."""

import argparse
import logging
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import structlog

from service.demo.servers import run_temporarily
from service.store.migrate import migrate
from tests.credentials import provider_environment
from tests.fuzz.api_fuzz import Outcome, fuzz
from tests.fuzz.application import PROVIDERS, build_application

EXAMPLES = 10
"""Requests of one operation in a row, each by every kind of caller."""


def run(minutes: float, seed: int) -> Outcome:
    end = time.monotonic() + minutes * 60
    with run_temporarily() as servers, TemporaryDirectory() as folder:
        os.environ.update(provider_environment(Path(folder)) | PROVIDERS)
        server = servers.postgres.server_url
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE fuzz")
        migrate(f"{server}/fuzz")
        app = build_application(f"{server}/fuzz", servers.redis_url)
        return fuzz(
            app, examples=EXAMPLES, first_seed=seed, is_over=lambda _: time.monotonic() > end
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    outcome = run(options.minutes, options.seed)
    print(outcome.verdict())
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
