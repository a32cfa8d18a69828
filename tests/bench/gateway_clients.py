"""The clients that the gateway's benchmark compares: ours and its references.

Each runs in a process of its own: `python -m tests.bench.gateway_clients NAME` reads a `Job` as
JSON from standard input and prints a `Run` as JSON. Measuring begins on a warm connection.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import Any

import pycurl

from service.settings import Settings
from tests.bench.pushes import Job, requests_of
from workers.gateway.opening import open_gateway
from workers.provider import Request


@dataclass(frozen=True)
class Run:
    pushes: int
    accepted: int
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return self.pushes / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu / self.pushes * 1e6


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(send: Callable[[list[Request]], int], requests: list[Request]) -> Run:
    """Warm up with one request, then measure the rest."""
    send(requests[:1])
    rest = requests[1:]
    start, start_cpu = time.perf_counter(), cpu_seconds()
    accepted = send(rest)
    return Run(len(rest), accepted, time.perf_counter() - start, cpu_seconds() - start_cpu)


def ours(job: Job, sender: str) -> Run:
    """The gateway, as the workers use it."""
    gateway = open_gateway(
        Settings(
            database_url="postgresql://unused",
            redis_url="redis://unused",
            secret_key="not needed in a benchmark",
            sender=sender,  # type: ignore[arg-type]
            ca_file=job.ca_file,  # type: ignore[arg-type]
        )
    )
    gateway.open_pool("bench", job.window)

    def send(requests: list[Request]) -> int:
        return sum(answer.status == 200 for _, answer in gateway.send("bench", requests))

    return measure(send, list(requests_of(job)))


class PlainLoop:
    """libcurl as its documentation shows it: `perform`, `select`, and POSTFIELDS."""

    def __init__(self, job: Job) -> None:
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self.multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, 1000)
        self.multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
        self.ca_file = job.ca_file
        self.free = [self.new_handle() for _ in range(job.window)]

    def new_handle(self) -> Any:
        handle = pycurl.Curl()
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        handle.setopt(pycurl.PIPEWAIT, 1)
        handle.setopt(pycurl.CAINFO, self.ca_file)
        handle.setopt(pycurl.TIMEOUT, 15)
        return handle

    def begin(self, handle: Any, request: Request) -> None:
        handle.headers, handle.body = [], []
        handle.setopt(pycurl.URL, request.url)
        handle.setopt(pycurl.HTTPHEADER, list(request.headers))
        handle.setopt(pycurl.POSTFIELDS, request.body)
        handle.setopt(pycurl.HEADERFUNCTION, handle.headers.append)
        handle.setopt(pycurl.WRITEFUNCTION, handle.body.append)
        self.multi.add_handle(handle)

    def send(self, requests: list[Request]) -> int:
        remaining: Iterator[Request] = iter(requests)
        done = accepted = 0
        while done < len(requests):
            for request in islice(remaining, len(self.free)):
                self.begin(self.free.pop(), request)
            self.multi.perform()
            _, ended, failed = self.multi.info_read()
            for handle in chain(ended, (each[0] for each in failed)):
                accepted += handle.getinfo(pycurl.RESPONSE_CODE) == 200
                self.multi.remove_handle(handle)
                self.free.append(handle)
            done += len(ended) + len(failed)
            if not ended:
                wait = self.multi.timeout()
                self.multi.select(min(wait / 1000, 0.1) if wait >= 0 else 0.1)
        return accepted


def plain(job: Job) -> Run:
    return measure(PlainLoop(job).send, list(requests_of(job)))


CLIENTS: dict[str, Callable[[Job], Run]] = {
    "gateway (curl)": lambda job: ours(job, "curl"),
    "gateway (wire)": lambda job: ours(job, "wire"),
    "gateway (httpx)": lambda job: ours(job, "httpx"),
    "plain CurlMulti loop": plain,
}


if __name__ == "__main__":
    run = CLIENTS[sys.argv[1]](Job(**json.load(sys.stdin)))
    print(json.dumps(asdict(run)))
