"""Broken connections, on the same origin that the stand-ins announce."""

import socket
import ssl
import time
from urllib.parse import urlsplit

import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes
from hyperframe.frame import WindowUpdateFrame

from tests.standins.senders import Apple
from tests.standins.test_misbehaviour import device, put_weather
from workers.standins.misbehaviour.faults import ConnectionFaults
from workers.standins.servers.breaking_server import _open_listener


class Http2Client:
    """One HTTP/2 connection to Apple's stand-in, with every event that it received."""

    def __init__(self, standins, apple: Apple) -> None:
        address = urlsplit(standins.providers["apns"])
        trust = ssl.create_default_context(cafile=standins.ca_file)
        trust.set_alpn_protocols(["h2"])
        tcp = socket.create_connection((address.hostname, address.port), timeout=5)
        self.socket = trust.wrap_socket(tcp, server_hostname=address.hostname)
        self.http = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.events = []
        self.authority = address.netloc
        self.apple = apple
        self.ended = False
        self.read_until(lambda: self.events_of(RemoteSettingsChanged))

    def events_of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    def push(self, number: int) -> int:
        stream = self.send_headers(number)
        self.http.send_data(stream, b'{"aps":{"alert":"x"}}', end_stream=True)
        return stream

    def send_headers(self, number: int) -> int:
        self.apple.token = self.apple.token or self.apple.mint()
        stream = self.http.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", self.authority),
            (":path", f"/3/device/{device(number)}"),
            ("authorization", f"bearer {self.apple.token}"),
            ("apns-topic", self.apple.settings["APNS_TOPIC"]),
            ("apns-push-type", "alert"),
        ]
        self.http.send_headers(stream, headers)
        return stream

    def read_until(self, is_done, seconds=3.0) -> None:
        """Send what waits, and read until `is_done()`, the connection's end or the deadline."""
        self.socket.settimeout(0.1)
        deadline = time.monotonic() + seconds
        self.socket.sendall(self.http.data_to_send())
        while not is_done() and not self.ended and time.monotonic() < deadline:
            try:
                data = self.socket.recv(65_536)
            except TimeoutError:
                continue
            except OSError as error:
                self.events.append(error)
                self.ended = True
                return
            self.ended = not data
            self.events += self.http.receive_data(data) if data else []
            if not self.events_of(ConnectionTerminated):
                self.socket.sendall(self.http.data_to_send())

    def stream_limits(self) -> list[int]:
        changes = [event.changed_settings for event in self.events_of(RemoteSettingsChanged)]
        limit = SettingCodes.MAX_CONCURRENT_STREAMS
        return [change[limit].new_value for change in changes if limit in change]


@pytest.fixture
def connect(standins, apple, control):
    clients = []

    def connect_under(**weather) -> Http2Client:
        if weather:
            put_weather(control, **weather)
        clients.append(Http2Client(standins, apple))
        return clients[-1]

    yield connect_under
    for each in clients:
        each.socket.close()


def test_without_weather_a_thousand_streams_are_announced(connect):
    assert connect().stream_limits() == [1000]


def test_a_stream_is_reset_and_its_neighbours_are_not(connect, control):
    client = connect(share={"reset": 0.4}, provider="apns")
    first = client.push(0)
    client.read_until(lambda: client.events_of(StreamEnded) or client.events_of(StreamReset))
    rest = [client.push(number) for number in range(1, 40)]
    client.read_until(
        lambda: len(client.events_of(StreamEnded)) + len(client.events_of(StreamReset)) == 40
    )
    resets = {event.stream_id: event.error_code for event in client.events_of(StreamReset)}
    assert 5 < len(resets) < 30
    assert set(resets.values()) == {2}
    answered = {event.stream_id for event in client.events_of(ResponseReceived)}
    assert answered | set(resets) == {first, *rest}
    assert control.get("/control/pushes").json()["count"] == len(answered)


def test_a_lost_answer_belongs_to_a_push_that_was_accepted(connect, control):
    client = connect(share={"lost": 1})
    client.push(1)
    client.read_until(lambda: client.events_of(StreamReset))
    assert not client.events_of(ResponseReceived)
    assert control.get("/control/pushes").json()["count"] == 1


def test_a_refused_stream_has_its_own_error_code(connect, control):
    client = connect(script=[{"status": "refused_stream"}])
    client.push(1)
    client.read_until(lambda: client.events_of(StreamReset))
    assert client.events_of(StreamReset)[0].error_code == 7
    assert control.get("/control/pushes").json()["count"] == 0


def test_a_connection_is_cut_with_everything_in_flight(connect, control):
    client = connect(address=device(2), share={"disconnect": 1})
    client.push(1)
    client.read_until(lambda: client.events_of(StreamEnded))
    client.push(2)
    client.push(3)
    client.read_until(lambda: False)
    assert client.ended
    assert len(client.events_of(ResponseReceived)) == 1
    assert control.get("/control/pushes").json()["count"] == 1


def test_goaway_names_the_last_stream_that_is_answered(connect, control):
    client = connect(goaway=3, provider="apns")
    client.push(0)
    client.read_until(lambda: client.events_of(StreamEnded))
    pushed = [client.push(number) for number in range(1, 3)]
    client.read_until(lambda: client.events_of(ConnectionTerminated))
    [goaway] = client.events_of(ConnectionTerminated)
    assert goaway.last_stream_id == pushed[-1]
    assert b"Shutdown" in goaway.additional_data
    client.read_until(lambda: False)
    assert client.ended
    assert control.get("/control/pushes").json()["count"] == 3
    assert connect().push(9)


def test_streams_after_goaway_are_not_read(connect, control):
    client = connect(goaway=1, latency_ms=300)
    client.push(0)
    client.read_until(lambda: client.events_of(ConnectionTerminated))
    assert [event.last_stream_id for event in client.events_of(ConnectionTerminated)] == [1]
    assert control.get("/control/pushes").json()["count"] == 1


def test_only_as_many_streams_are_accepted_as_were_announced(connect, control):
    client = connect(streams=2, latency_ms=300)
    assert client.stream_limits() == [1]
    client.push(0)
    client.read_until(lambda: client.events_of(StreamEnded))
    assert client.stream_limits() == [1, 2]
    client.http.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100
    client.http.remote_settings.acknowledge()
    pushed = [client.push(number) for number in range(1, 5)]
    client.read_until(lambda: len(client.events_of(StreamEnded)) == 3)
    assert [event.stream_id for event in client.events_of(StreamReset)] == pushed[2:]
    assert {event.error_code for event in client.events_of(StreamReset)} == {7}
    assert control.get("/control/pushes").json()["count"] == 3


@pytest.mark.parametrize("streams", [1, 100, 1000])
def test_apple_allows_one_stream_until_a_token_was_valid(connect, apple, streams):
    client = connect(streams=streams)
    valid_token, apple.token = apple.mint(), apple.mint(kid="OTHERKEY00")
    client.push(1)
    client.read_until(lambda: client.events_of(StreamEnded))
    assert client.stream_limits() == [1]
    apple.token = valid_token
    client.push(2)
    client.read_until(lambda: len(client.events_of(StreamEnded)) == 2)
    client.read_until(lambda: client.stream_limits()[-1] == streams)
    assert client.stream_limits()[-1] == streams


def test_a_half_closed_connection_reads_on_without_answering(connect, control):
    client = connect(half_close=1)
    client.push(1)
    client.read_until(lambda: client.events_of(StreamEnded))
    client.push(2)
    client.read_until(lambda: False)
    assert client.ended
    assert not client.events_of(OSError)
    assert len(client.events_of(ResponseReceived)) == 1
    assert control.get("/control/pushes").json()["count"] == 1


def test_a_deafened_connection_stays_open_and_later_ones_are_well(connect, control):
    client = connect(goaway=100)
    client.push(1)
    client.read_until(lambda: client.events_of(StreamEnded))
    control.post("/control/deafen").raise_for_status()
    client.push(2)
    client.read_until(lambda: False, seconds=0.5)
    assert not client.ended
    assert len(client.events_of(ResponseReceived)) == 1
    later = connect(goaway=100)
    later.push(3)
    later.read_until(lambda: later.events_of(StreamEnded))
    assert len(later.events_of(ResponseReceived)) == 1


def test_cleared_weather_returns_to_the_same_origin(standins, control):
    trust = ssl.create_default_context(cafile=standins.ca_file)
    for _ in range(3):
        put_weather(control, goaway=2)
        for _ in range(4):
            with httpx.Client(http2=True, verify=trust, trust_env=False) as client:
                assert Apple(client, standins.credentials, token_of(standins)).push().is_success
        control.delete("/control/weather")
        with httpx.Client(http2=True, verify=trust, trust_env=False) as client:
            assert Apple(client, standins.credentials, token_of(standins)).push().is_success


def token_of(standins, cache={}) -> str:  # noqa: B006  # Apple refuses a third token
    if not cache:
        cache["token"] = Apple(httpx.Client(), standins.credentials).mint()
    return cache["token"]


def test_a_large_answer_waits_for_flow_control(standins, control):
    body = "x" * 300_000
    put_weather(control, script=[{"status": 400, "body": body}], goaway=100)
    trust = ssl.create_default_context(cafile=standins.ca_file)
    with httpx.Client(http2=True, verify=trust, trust_env=False) as client:
        assert Apple(client, standins.credentials).push().text == body


def test_an_early_answer_comes_before_the_body_and_the_push_counts_after_it(connect, control):
    client = connect(early_answers=True)
    stream = client.send_headers(1)
    client.read_until(lambda: client.events_of(StreamEnded))
    [response] = client.events_of(ResponseReceived)
    assert dict(response.headers)[":status"] == "200"
    assert control.get("/control/pushes").json()["count"] == 0
    client.http.send_data(stream, b'{"aps":{"alert":"x"}}', end_stream=True)
    client.push(2)
    client.read_until(lambda: len(client.events_of(StreamEnded)) == 2)
    assert control.get("/control/pushes").json()["count"] == 2
    assert control.get("/control/stats").json()["answers"]["apns"] == {"200": 2}


def test_an_early_answer_to_a_body_that_is_refused_leaves_no_push(connect, control):
    client = connect(early_answers=True)
    stream = client.send_headers(1)
    client.http.send_data(stream, b"{}", end_stream=True)
    client.read_until(lambda: client.events_of(StreamEnded))
    assert not client.events_of(StreamReset)
    assert control.get("/control/pushes").json()["count"] == 0


def test_a_window_update_follows_the_end_of_a_stream(connect):
    client = connect(late_window_updates=1000)
    received = bytearray()
    receive_data = client.http.receive_data

    def record(data: bytes):
        received.extend(data)
        return receive_data(data)

    client.http.receive_data = record
    update = WindowUpdateFrame(client.push(1), window_increment=1000).serialize()
    client.read_until(lambda: update in received)
    assert client.events_of(StreamEnded)
    assert received.endswith(update)


def test_a_long_body_is_still_json_and_arrives_through_small_buffers(
    standins, google, mozilla, browser, control
):
    put_weather(control, long_bodies=200_000, send_buffer=True, receive_buffer=True)
    trust = ssl.create_default_context(cafile=standins.ca_file)
    with httpx.Client(http2=True, verify=trust, trust_env=False, timeout=20) as client:
        google.client = mozilla.client = client
        answer = google.push()
        assert answer.json()["name"]
        assert len(answer.content) > 200_000
        assert mozilla.push(browser).status_code == 201
    assert control.get("/control/pushes").json()["count"] == 2


def test_small_buffers_are_those_of_the_socket():
    listener = _open_listener(0, ConnectionFaults(send_buffer=8192, receive_buffer=8192))
    with listener:
        sizes = [
            listener.getsockopt(socket.SOL_SOCKET, option)
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF)
        ]
    assert max(sizes) <= 2 * 8192
