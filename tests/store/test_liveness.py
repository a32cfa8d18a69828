"""A server that keeps its connections and says nothing, played by a wire that can be stopped."""

import socket
import threading
import time
from contextlib import suppress

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import exc, text

from service.store import liveness
from service.store.driver_statement import DriverStatement
from service.store.pipeline import Query, run_pipeline
from service.store.session import DATABASE_AWAY, open_engine, transaction


class Wire:
    """Passes bytes between a port of its own and the server; stopped, it takes them and waits."""

    def __init__(self, host, port):
        self.server = (host, port)
        self.flowing = threading.Event()
        self.flowing.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.server)
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one, other):
        with suppress(OSError):
            while data := one.recv(65536):
                self.flowing.wait(30)
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def close(self):
        self.flowing.set()
        self.listener.close()


@pytest.fixture
def wire(database_url, monkeypatch):
    monkeypatch.setattr(liveness, "PATIENCE_S", 0.3)
    server = conninfo_to_dict(database_url)
    opened = Wire(server["host"], int(server["port"]))
    yield opened
    opened.close()


@pytest.fixture
def over_the_wire(wire, database_url):
    server = conninfo_to_dict(database_url)
    near = database_url.replace(f"{server['host']}:{server['port']}", f"127.0.0.1:{wire.port}")
    engine = open_engine(near, pool_size=4)
    yield engine
    engine.dispose()


def ask(engine, sql="SELECT 1"):
    with transaction(engine) as session:
        return session.execute(text(sql)).scalar_one()


def seconds_until_refused(engine):
    began = time.monotonic()
    with pytest.raises(exc.OperationalError) as refused:
        ask(engine)
    assert isinstance(refused.value, DATABASE_AWAY)
    return time.monotonic() - began


def test_a_slow_statement_takes_its_time_while_the_server_lives(over_the_wire):
    assert ask(over_the_wire, "SELECT 1 FROM pg_sleep(1.5)") == 1


def test_what_is_under_way_ends_when_the_server_falls_silent(over_the_wire, wire):
    ended = {}
    sleep = Query(DriverStatement("SELECT 1 FROM pg_sleep(10)"), {})
    calls = {
        "statement": lambda: ask(over_the_wire, "SELECT 1 FROM pg_sleep(10)"),
        "pipeline": lambda: run_pipeline(over_the_wire, [sleep, sleep], 1.0),
    }

    def wait(name):
        with pytest.raises(exc.OperationalError):
            calls[name]()
        ended[name] = time.monotonic()

    waiting = [threading.Thread(target=wait, args=(name,)) for name in calls]
    for thread in waiting:
        thread.start()
    time.sleep(0.1)
    wire.flowing.clear()
    began = time.monotonic()
    for thread in waiting:
        thread.join(8)
    assert set(ended) == set(calls)
    assert max(ended.values()) - began < 5


def test_a_silent_server_costs_one_caller_a_wait_and_the_others_none(over_the_wire, wire):
    assert ask(over_the_wire) == 1
    wire.flowing.clear()
    assert seconds_until_refused(over_the_wire) < 5
    assert all(seconds_until_refused(over_the_wire) < 0.2 for _ in range(5))
    wire.flowing.set()
    time.sleep(liveness.REST_S + 0.1)
    assert ask(over_the_wire) == 1


def test_of_all_who_come_to_a_silent_server_one_at_a_time_tries_again(over_the_wire, wire):
    wire.flowing.clear()
    assert seconds_until_refused(over_the_wire) < 5
    time.sleep(liveness.REST_S + 0.1)
    took = []
    callers = [
        threading.Thread(target=lambda: took.append(seconds_until_refused(over_the_wire)))
        for _ in range(6)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(10)
    assert sorted(seconds > 1 for seconds in took) == [False] * 5 + [True]
