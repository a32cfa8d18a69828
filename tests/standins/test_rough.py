"""What only a broken connection shows, on the very origin that was announced."""

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

from tests.standins.senders import Apple
from tests.standins.test_weather import device, put


class Line:
    """One HTTP/2 connection to Apple's stand-in, with every event that came in on it."""

    def __init__(self, standins, apple: Apple) -> None:
        where = urlsplit(standins.providers["apns"])
        trust = ssl.create_default_context(cafile=standins.ca_file)
        trust.set_alpn_protocols(["h2"])
        plain = socket.create_connection((where.hostname, where.port), timeout=5)
        self.socket = trust.wrap_socket(plain, server_hostname=where.hostname)
        self.http = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.events = []
        self.authority = where.netloc
        self.apple = apple
        self.ended = False
        self.until(lambda: self.of(RemoteSettingsChanged))

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    def push(self, number: int) -> int:
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
        self.http.send_data(stream, b'{"aps":{"alert":"x"}}', end_stream=True)
        return stream

    def until(self, done, seconds=3.0) -> None:
        """Send what is to be sent and read until `done()`, the connection's end, or too late."""
        self.socket.settimeout(0.1)
        late = time.monotonic() + seconds
        self.socket.sendall(self.http.data_to_send())
        while not done() and not self.ended and time.monotonic() < late:
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
            if not self.of(ConnectionTerminated):
                self.socket.sendall(self.http.data_to_send())

    def streams(self) -> list[int]:
        changes = [event.changed_settings for event in self.of(RemoteSettingsChanged)]
        limit = SettingCodes.MAX_CONCURRENT_STREAMS
        return [change[limit].new_value for change in changes if limit in change]


@pytest.fixture
def line(standins, apple, control):
    lines = []

    def open_line(**weather) -> Line:
        if weather:
            put(control, **weather)
        lines.append(Line(standins, apple))
        return lines[-1]

    yield open_line
    for each in lines:
        each.socket.close()


def test_in_fair_weather_a_thousand_streams_are_announced(line):
    assert line().streams() == [1000]


def test_a_stream_is_reset_and_its_neighbours_are_not(line, control):
    rough = line(share={"reset": 0.4}, provider="apns")
    first = rough.push(0)
    rough.until(lambda: rough.of(StreamEnded) or rough.of(StreamReset))
    rest = [rough.push(number) for number in range(1, 40)]
    rough.until(lambda: len(rough.of(StreamEnded)) + len(rough.of(StreamReset)) == 40)
    resets = {event.stream_id: event.error_code for event in rough.of(StreamReset)}
    assert 5 < len(resets) < 30
    assert set(resets.values()) == {2}
    answered = {event.stream_id for event in rough.of(ResponseReceived)}
    assert answered | set(resets) == {first, *rest}
    assert control.get("/control/pushes").json()["count"] == len(answered)


def test_a_lost_answer_belongs_to_a_push_that_was_taken(line, control):
    rough = line(share={"lost": 1})
    rough.push(1)
    rough.until(lambda: rough.of(StreamReset))
    assert not rough.of(ResponseReceived)
    assert control.get("/control/pushes").json()["count"] == 1


def test_a_refused_stream_says_so(line, control):
    rough = line(script=[{"status": "refused_stream"}])
    rough.push(1)
    rough.until(lambda: rough.of(StreamReset))
    assert rough.of(StreamReset)[0].error_code == 7
    assert control.get("/control/pushes").json()["count"] == 0


def test_a_connection_is_cut_with_everything_in_flight(line, control):
    rough = line(address=device(2), share={"disconnect": 1})
    rough.push(1)
    rough.until(lambda: rough.of(StreamEnded))
    rough.push(2)
    rough.push(3)
    rough.until(lambda: False)
    assert rough.ended
    assert len(rough.of(ResponseReceived)) == 1
    assert control.get("/control/pushes").json()["count"] == 1


def test_goaway_names_the_last_stream_that_is_answered(line, control):
    rough = line(goaway=3, provider="apns")
    rough.push(0)
    rough.until(lambda: rough.of(StreamEnded))
    pushed = [rough.push(number) for number in range(1, 3)]
    rough.until(lambda: rough.of(ConnectionTerminated))
    [goodbye] = rough.of(ConnectionTerminated)
    assert goodbye.last_stream_id == pushed[-1]
    assert b"Shutdown" in goodbye.additional_data
    rough.until(lambda: False)
    assert rough.ended
    assert control.get("/control/pushes").json()["count"] == 3
    assert line().push(9)


def test_streams_after_goaway_are_not_looked_at(line, control):
    rough = line(goaway=1, latency_ms=300)
    rough.push(0)
    rough.until(lambda: rough.of(ConnectionTerminated))
    assert [event.last_stream_id for event in rough.of(ConnectionTerminated)] == [1]
    assert control.get("/control/pushes").json()["count"] == 1


def test_only_as_many_streams_are_borne_as_were_announced(line, control):
    rough = line(streams=2, latency_ms=300)
    assert rough.streams() == [1]
    rough.push(0)
    rough.until(lambda: rough.of(StreamEnded))
    assert rough.streams() == [1, 2]
    rough.http.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100
    rough.http.remote_settings.acknowledge()
    pushed = [rough.push(number) for number in range(1, 5)]
    rough.until(lambda: len(rough.of(StreamEnded)) == 3)
    assert [event.stream_id for event in rough.of(StreamReset)] == pushed[2:]
    assert {event.error_code for event in rough.of(StreamReset)} == {7}
    assert control.get("/control/pushes").json()["count"] == 3


@pytest.mark.parametrize("streams", [1, 100, 1000])
def test_apple_allows_one_stream_until_a_token_was_good(line, apple, streams):
    rough = line(streams=streams)
    good, apple.token = apple.mint(), apple.mint(kid="OTHERKEY00")
    rough.push(1)
    rough.until(lambda: rough.of(StreamEnded))
    assert rough.streams() == [1]
    apple.token = good
    rough.push(2)
    rough.until(lambda: len(rough.of(StreamEnded)) == 2)
    rough.until(lambda: rough.streams()[-1] == streams)
    assert rough.streams()[-1] == streams


def test_a_half_closed_connection_reads_on_in_silence(line, control):
    rough = line(half_close=1)
    rough.push(1)
    rough.until(lambda: rough.of(StreamEnded))
    rough.push(2)
    rough.until(lambda: False)
    assert rough.ended
    assert not rough.of(OSError)
    assert len(rough.of(ResponseReceived)) == 1
    assert control.get("/control/pushes").json()["count"] == 1


def test_fair_weather_returns_to_the_same_origin(standins, control):
    trust = ssl.create_default_context(cafile=standins.ca_file)
    for _ in range(3):
        put(control, goaway=2)
        for _ in range(4):
            with httpx.Client(http2=True, verify=trust, trust_env=False) as client:
                assert Apple(client, standins.credentials, token_of(standins)).push().is_success
        control.delete("/control/weather")
        with httpx.Client(http2=True, verify=trust, trust_env=False) as client:
            assert Apple(client, standins.credentials, token_of(standins)).push().is_success


def token_of(standins, kept={}) -> str:  # noqa: B006  # one token for all, or it is one too many
    if not kept:
        kept["token"] = Apple(httpx.Client(), standins.credentials).mint()
    return kept["token"]


def test_a_large_answer_waits_for_room(standins, control):
    body = "x" * 300_000
    put(control, script=[{"status": 400, "body": body}], goaway=100)
    trust = ssl.create_default_context(cafile=standins.ca_file)
    with httpx.Client(http2=True, verify=trust, trust_env=False) as client:
        assert Apple(client, standins.credentials).push().text == body
