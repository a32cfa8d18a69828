"""Other clients, compared with the same plain libcurl loop: each in a process of its own.

`python -m tests.bench.peers NAME` reads a `Job` as JSON from standard input and prints a `Run`.
"""

import asyncio
import importlib.util
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.bench.bench_system import SENDER, BenchSystem, print_progress
from tests.bench.gateway_bench import REFERENCE, credential, run_python
from tests.bench.gateway_clients import Run, cpu_seconds
from tests.bench.pushes import Job, requests_of
from tests.bench.report import Figure
from tests.system import ROOT
from workers.provider import Request, load_provider

PUSHES = 3000
OURS = f"gateway ({SENDER})"
HTTPX_CONCURRENCY = 20
"""The best for httpx: its pool costs more with every request that waits for it."""


class PeerFailed(Exception):
    """A peer did not send all pushes."""


Sender = Callable[[list[Request]], Awaitable[int]]


def plain_httpx(job: Job) -> Run:
    """An `httpx.AsyncClient` over HTTP/2, as its documentation shows it."""

    async def run() -> Run:
        trust = ssl.create_default_context(cafile=job.ca_file)
        async with httpx.AsyncClient(http2=True, verify=trust, timeout=30) as client:
            limit = asyncio.Semaphore(HTTPX_CONCURRENCY)

            async def one(request: Request) -> bool:
                headers = [tuple(line.split(": ", 1)) for line in request.headers]
                async with limit:
                    answer = await client.post(request.url, headers=headers, content=request.body)
                return answer.status_code == 200

            async def send(requests: list[Request]) -> int:
                return sum(await asyncio.gather(*map(one, requests)))

            return await _measure(send, list(requests_of(job)))

    return asyncio.run(run())


def aioapns(job: Job) -> Run:
    """aioapns with its own ten connections."""
    from aioapns import APNs, NotificationRequest, PushType  # noqa: PLC0415 - not always installed
    from aioapns import connection as wire  # noqa: PLC0415 - the same

    environment = job.environment
    server = urlsplit(environment["APNS_URL"])
    wire.APNsBaseClientProtocol.APNS_SERVER = server.hostname
    for each in (wire.APNsProductionClientProtocol, wire.APNsTLSClientProtocol):
        each.APNS_SERVER, each.APNS_PORT = server.hostname, server.port
    # One token for all: Apple refuses tokens that alternate.
    wire.JWTAuthorizationHeaderProvider.get_header = lambda _: f"bearer {job.credential}"
    trust = ssl.create_default_context(cafile=job.ca_file)
    trust.set_alpn_protocols(["h2"])
    key = Path(environment["APNS_KEY_FILE"]).read_text()

    async def run() -> Run:
        client = APNs(
            key=key,
            key_id=environment["APNS_KEY_ID"],
            team_id=environment["APNS_TEAM_ID"],
            topic=environment["APNS_TOPIC"],
            ssl_context=trust,
        )

        async def one(request: Request) -> bool:
            push = NotificationRequest(
                device_token=request.url.rpartition("/")[2],
                message=json.loads(request.body),
                push_type=PushType.ALERT,
            )
            return bool((await client.send_notification(push)).is_successful)

        async def send(requests: list[Request]) -> int:
            return sum(await asyncio.gather(*map(one, requests)))

        return await _measure(send, list(requests_of(job)))

    return asyncio.run(run())


def firebase(job: Job) -> Run:
    """firebase-admin's `send_each_async`, five hundred messages a call."""
    os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = job.ca_file
    import firebase_admin  # noqa: PLC0415 - not always installed, and it reads the trust above
    from firebase_admin import credentials, messaging  # noqa: PLC0415 - the same

    environment = job.environment
    service = messaging._MessagingService
    service.FCM_URL = environment["FCM_URL"] + "/v1/projects/{0}/messages:send"
    firebase_admin.initialize_app(credentials.Certificate(environment["FCM_CREDENTIALS_FILE"]))

    def message(request: Request) -> messaging.Message:
        content = json.loads(request.body)["message"]
        words = messaging.Notification("Rain at last", "The first rain in sixty days.")
        return messaging.Message(token=content["token"], notification=words)

    async def send(requests: list[Request]) -> int:
        accepted = 0
        for begin in range(0, len(requests), 500):
            part = [message(request) for request in requests[begin : begin + 500]]
            accepted += (await messaging.send_each_async(part)).success_count
        return accepted

    return asyncio.run(_measure(send, list(requests_of(job))))


async def _measure(send: Sender, requests: list[Request]) -> Run:
    """Measure an asynchronous sender, as `measure` does a synchronous one."""
    await send(requests[:1])
    loop = asyncio.get_running_loop()
    start, start_cpu = loop.time(), cpu_seconds()
    accepted = await send(requests[1:])
    return Run(len(requests) - 1, accepted, loop.time() - start, cpu_seconds() - start_cpu)


PEERS: dict[str, tuple[str, str, Callable[[Job], Run]]] = {
    "aioapns": ("apns", "aioapns", aioapns),
    "plain httpx, APNs": ("apns", "httpx", plain_httpx),
    "firebase-admin": ("fcm", "firebase_admin", firebase),
    "plain httpx, FCM": ("fcm", "httpx", plain_httpx),
}
"""Name -> provider, the module that must be installed, the client."""


def measure_peers(bench: BenchSystem) -> list[Figure]:
    """Measure each peer in alternation with the gateway and the plain loop."""
    figures = []
    for name, (provider, module, _) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            figures.append(Figure(name, "pushes/s", [], note=f"{module} is not installed"))
            continue
        print_progress(f"{name}, in alternation with the gateway")
        try:
            figures += _figures(name, *_alternate(bench, name, provider))
        except PeerFailed as failed:
            figures.append(Figure(name, "pushes/s", [], note=str(failed)))
    return figures


def _alternate(
    bench: BenchSystem, name: str, provider: str
) -> tuple[list[Run], list[Run], list[Run]]:
    standins = bench.system.standins
    secret = credential(standins, provider)
    window = load_provider(provider).window
    few = Job(provider, PUSHES, window, standins.ca_file, secret, standins.credentials)
    many = Job(provider, PUSHES * 5, window, standins.ca_file, secret, standins.credentials)
    peer, ours, plain = [], [], []
    for _ in range(bench.repeats):
        peer.append(_run(name, few))
        ours.append(run_python(OURS, many))
        plain.append(run_python(REFERENCE, many))
    return peer, ours, plain


def _run(name: str, job: Job) -> Run:
    result = subprocess.run(
        [sys.executable, "-m", "tests.bench.peers", name],
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if result.returncode:
        raise PeerFailed(f"it failed: {result.stderr.strip().splitlines()[-1]}")
    run = Run(**json.loads(result.stdout.splitlines()[-1]))
    if run.accepted != run.pushes:
        raise PeerFailed(f"only {run.accepted} of {run.pushes} were accepted")
    return run


def _figures(
    name: str, peer: Sequence[Run], ours: Sequence[Run], plain: Sequence[Run]
) -> list[Figure]:
    rates = [run.per_second for run in peer]
    reference = [run.per_second for run in plain]
    faster = [a.per_second / b.per_second for a, b in zip(ours, peer, strict=True)]
    cpu, beside = [run.cpu_us for run in peer], [run.cpu_us for run in plain]
    return [
        Figure(name, "pushes/s", rates, "more", reference),
        Figure(name, "CPU us/push", cpu, beside=beside),
        Figure(f"the gateway's rate to {name}'s", "times", faster, "more"),
    ]


if __name__ == "__main__":
    print(json.dumps(asdict(PEERS[sys.argv[1]][2](Job(**json.load(sys.stdin))))))
