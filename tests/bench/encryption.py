"""Question h: Web Push with its encryption, on one core; the reference is http_ece."""

import base64
import importlib.util
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec

from service.demo.contents import browser_source
from service.store.readers.synthetic_readers import Browser
from tests.bench.bench_system import BenchSystem, print_progress
from tests.bench.pushes import a_target, alert_content
from tests.bench.report import Answer, Figure
from workers.provider import Request, Target, load_provider

MESSAGES = 2000
SENT = 20_000
TEXT = json.dumps({"title": "Rain at last", "body": "The first rain in sixty days. " * 12}).encode()


def web_push(bench: BenchSystem) -> Answer:
    """Encrypt with ours, http_ece and pywebpush in alternation; then send a whole alert."""
    subscriptions = browser_source(bench.system.standins.control)(MESSAGES)
    os.environ.update(bench.system.standins.credentials)
    print_progress("Web Push: encryption")
    cpu_us: dict[str, list[float]] = {}
    for _ in range(bench.repeats):
        for name, work in _contenders(subscriptions).items():
            cpu_us.setdefault(name, []).append(_cpu_us(work))
    reference = cpu_us[HTTP_ECE]
    figures = [Figure(name, "CPU us", us, beside=reference) for name, us in cpu_us.items()]
    if importlib.util.find_spec("pywebpush") is None:
        figures.append(Figure(PYWEBPUSH, "CPU us", [], note="pywebpush is not installed"))
    topic = bench.add_followers(SENT, {"webpush": 1.0})
    print_progress("Web Push: a whole alert in one process")
    sent = [bench.send_in_one_process(topic, timed=False) for _ in range(bench.repeats)]
    whole = [run.cpu / run.planned * 1e6 for run in sent]
    figures.append(Figure("the whole way, one process", "CPU us", whole, beside=reference))
    rates = [run.planned / run.seconds for run in sent]
    figures.append(Figure("its rate, stand-in decrypting", "pushes/s", rates, "more"))
    return Answer("h", f"Web Push, {len(TEXT)} bytes, per message on one core", HTTP_ECE, figures)


OURS = "our request: encrypted, signed, complete"
HTTP_ECE = "http_ece: encrypted only"
PYWEBPUSH = "pywebpush: encrypted only"


def _contenders(subscriptions: Sequence[Browser]) -> dict[str, Callable[[], None]]:
    contenders = {OURS: lambda: _ours(subscriptions), HTTP_ECE: lambda: _http_ece(subscriptions)}
    if importlib.util.find_spec("pywebpush") is not None:
        contenders[PYWEBPUSH] = lambda: _pywebpush(subscriptions)
    return contenders


def _cpu_us(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) / MESSAGES * 1e6


def _ours(subscriptions: Sequence[Browser]) -> None:
    provider = load_provider("webpush")
    now = datetime.now(UTC)
    steps: Any = provider.credential(now)
    try:
        next(steps)
    except StopIteration as stop:
        pushes = provider.pushes(alert_content(now), stop.value)
    requests = list(
        pushes.requests([_target(n, each) for n, each in enumerate(subscriptions)], now)
    )
    assert all(isinstance(each, Request) for each in requests)


def _target(n: int, browser: Browser) -> Target:
    common = a_target("webpush", n, random.Random(n))
    keys = {"p256dh": browser.p256dh, "auth": browser.auth}
    return replace(common, address=browser.address, kind="endpoint", **keys)


def _http_ece(subscriptions: Sequence[Browser]) -> None:
    for each in subscriptions:
        http_ece.encrypt(
            TEXT,
            salt=os.urandom(16),
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=_bytes(each.p256dh),
            auth_secret=_bytes(each.auth),
            version="aes128gcm",
        )


def _pywebpush(subscriptions: Sequence[Browser]) -> None:
    from pywebpush import WebPusher  # noqa: PLC0415 - not always installed

    for each in subscriptions:
        keys = {"p256dh": each.p256dh, "auth": each.auth}
        WebPusher({"endpoint": each.address, "keys": keys}).encode(TEXT, "aes128gcm")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
