"""What one connection may hold, and for how long; the whole is in journeys/test_strangers.py."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress

import httpx
import psutil
import pytest
from starlette.exceptions import HTTPException

from service.commands import running
from service.commands.output import Failed
from service.demo import programs
from service.demo.servers import free_port
from service.hot.read_body import Deadlines
from service.http import server
from service.http.body_deadline import BodyDeadline
from service.http.body_limit import CLOSE_CONNECTION
from service.http.connections import listener, slow_readers
from service.http.connections.answer_parts import PART_BYTES, in_parts

FEW_FILES = server.SPARE_FILES + 100
"""A limit of open files that leaves a hundred connections."""


def receive_body(parts, **limits):
    """Let an application read a body whose parts come after so many seconds each."""
    received = []

    async def application(_scope, receive, _send):
        while True:
            message = await receive()
            received.append(message["body"])
            if not message["more_body"]:
                return

    remaining = list(parts)

    async def receive():
        await asyncio.sleep(remaining.pop(0))
        return {"type": "http.request", "body": b"x", "more_body": bool(remaining)}

    scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}
    asyncio.run(BodyDeadline(application, **limits)(scope, receive, None))
    return received


def test_a_body_that_arrives_part_by_part_is_read_to_its_end():
    assert receive_body([0, 0.01, 0.01], part_s=1, whole_s=2) == [b"x"] * 3


@pytest.mark.parametrize(
    ("parts", "limits"),
    [
        ([60], {"part_s": 0.05, "whole_s": 5}),
        ([0, 60], {"part_s": 0.05, "whole_s": 5}),
        ([0.02] * 50, {"part_s": 5, "whole_s": 0.1}),
    ],
    ids=["never begins", "stops", "trickles"],
)
def test_a_body_that_does_not_arrive_in_time_is_refused_and_ends_its_connection(parts, limits):
    begin = time.monotonic()
    with pytest.raises(HTTPException) as refusal:
        receive_body(parts, **limits)
    assert time.monotonic() - begin < 2
    assert refusal.value.status_code == 408
    assert refusal.value.headers == CLOSE_CONNECTION


def test_a_connection_inherits_the_limits_of_its_listener():
    with ExitStack() as stack:
        listening = stack.enter_context(listener.open_listener("127.0.0.1", 0))
        stack.enter_context(socket.create_connection(listening.getsockname()))
        listening.settimeout(5)
        accepted = stack.enter_context(listening.accept()[0])
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        unread_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert unread_ms == listener.UNREAD_MS


def connect_slowly(stack, listening):
    """Return both ends of a connection with a full send buffer; little room at the other end."""
    reader = stack.enter_context(socket.socket())
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(5)
    reader.connect(listening.getsockname())
    sender = stack.enter_context(listening.accept()[0])
    sender.setblocking(False)
    fill(sender)
    return reader, sender


def fill(sender):
    with suppress(BlockingIOError):
        while True:
            sender.send(b"x" * 65_536)


def take(reader, size):
    while size > 0:
        size -= len(reader.recv(size))


def test_a_caller_who_takes_a_little_now_and_then_is_ended_and_no_other():
    needed = slow_readers.SLOWEST_BYTES_PER_S * int(slow_readers.LOOK_S)
    with ExitStack() as stack:
        listening = stack.enter_context(listener.open_listener("127.0.0.1", 0))
        listening.settimeout(5)
        slow, to_slow = connect_slowly(stack, listening)
        quick, to_quick = connect_slowly(stack, listening)
        idle = stack.enter_context(socket.create_connection(listening.getsockname()))
        to_idle = stack.enter_context(listening.accept()[0])
        watch, ended = slow_readers.SlowReaders(listening.getsockname()[1]), []
        for _ in range(slow_readers.SLOW_LOOKS + 1):
            ended.append(watch.look())
            take(slow, 1)
            take(quick, 8 * needed)
            fill(to_quick)
        assert ended == [0] * slow_readers.SLOW_LOOKS + [1]
        with pytest.raises(BrokenPipeError):
            to_slow.send(b"x")
        assert to_idle.send(b"x") == len(idle.recv(1))


def test_a_large_answer_leaves_in_parts_and_whole():
    messages = []

    async def send(message):
        messages.append(message)

    async def answer(body, **more):
        messages.clear()
        await in_parts(send)({"type": "http.response.body", "body": body, **more})
        return [(len(m["body"]), m.get("more_body", False)) for m in messages]

    most = PART_BYTES
    assert asyncio.run(answer(b"")) == [(0, False)]
    assert asyncio.run(answer(b"x" * most)) == [(most, False)]
    assert asyncio.run(answer(b"x" * (most + 1))) == [(most, True), (1, False)]
    assert asyncio.run(answer(b"x" * 2 * most)) == [(most, True), (most, False)]
    assert asyncio.run(answer(b"x" * 2 * most, more_body=True)) == [(most, True)] * 2
    body = bytes(range(256)) * 1_000
    asyncio.run(answer(body))
    assert b"".join(message["body"] for message in messages) == body


def test_the_places_of_a_process_leave_files_for_everything_else():
    assert server.count_places(1024) + server.SPARE_FILES == 1024
    assert server.count_places(1_000_000) == server.MAX_CONNECTIONS


@contextmanager
def serving(settings, port, **more):
    environment = os.environ | {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "NEWSZOP_SECRET_KEY": settings.secret_key,
    }
    entry = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0}));"
    entry = f"{entry.format(FEW_FILES)} from service.cli import main; main()"
    command = [sys.executable, "-c", entry, "serve", "--port", str(port)]
    process = subprocess.Popen(
        command,
        env=programs.environment(environment | more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)
        process.stdout.close()


def await_alive(port):
    deadline = time.monotonic() + 30
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=2, verify=False)
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def nicest(parent, port):
    """How nice the nicest process is of those that serve this port."""
    children = psutil.Process(parent.pid).children(recursive=True)
    return max(child.nice() for child in children if str(port) in child.cmdline())


def test_readers_who_fill_the_site_do_not_fill_the_newsrooms_listener(settings):
    port, inner_port = free_port(), free_port()
    more = {"NEWSZOP_INNER_PORT": str(inner_port), "NEWSZOP_LOG_FORMAT": "json"}
    with serving(settings, port, **more) as process, ExitStack() as stack:
        await_alive(port)
        await_alive(inner_port)
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        with pytest.raises(httpx.TimeoutException):
            httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=2)
        for path in ("/health/live", "/health/ready", "/metrics", "/login"):
            begin = time.monotonic()
            assert httpx.get(f"http://127.0.0.1:{inner_port}{path}").status_code == 200
            assert time.monotonic() - begin < 3, path
        assert nicest(process, port) > nicest(process, inner_port)
        process.terminate()
        lines = [json.loads(line) for line in process.stdout.read().splitlines()]
    assert {"Starting granian", "Spawning worker-1", "Stopped."} <= {
        line["event"].partition(" (")[0].partition(" with ")[0] for line in lines
    }
    assert all({"timestamp", "level"} <= line.keys() for line in lines)


def test_a_second_server_on_a_taken_port_is_refused_in_one_line(settings):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as granian does
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serving(settings, port) as process:
            output = process.stdout.read().decode()
            assert process.wait(30) == 1
    assert len(output.splitlines()) == 1
    assert f"port {port}" in output


def test_a_taken_inner_port_is_named_too():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Failed, match=f"port {port}"):
            running.require_free("127.0.0.1", free_port(), port)


def test_a_hot_calls_body_that_stops_ends_too_and_other_bodies_go_on():
    async def stop():
        await asyncio.sleep(60)

    async def arrive():
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def main():
        deadlines = Deadlines(limit_s=0.1, check_s=0.01)
        late, punctual = asyncio.create_task(deadlines.receive(stop)), deadlines.receive(arrive)
        assert (await punctual)["body"] == b"x"
        with pytest.raises(HTTPException) as refusal:
            await late
        assert not late.cancelled()
        return refusal.value.status_code

    assert asyncio.run(main()) == 408
