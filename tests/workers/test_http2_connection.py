"""An HTTP/2 connection without a network: windows, limits, ends and hostile servers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.http2_peer import (
    LAST,
    LATER,
    OK,
    SETTINGS,
    Peer,
    any_frame,
    data,
    goaway,
    headers,
    reset,
    window_update,
)
from workers.gateway.http2 import frames
from workers.gateway.http2.connection import Http2Connection
from workers.gateway.http2.events import Answers, ConnectionFailed
from workers.gateway.http2.header_compression import text
from workers.gateway.http2.liveness import Liveness
from workers.gateway.http2.receive_limits import MOST_FRAMES_WITHOUT_ANSWER, STREAM_WINDOW
from workers.gateway.http2.session import Http2Session
from workers.provider import Failure, Request


@pytest.fixture
def peer() -> Peer:
    greeted = Peer()
    greeted.sends(SETTINGS)
    return greeted


def test_nothing_leaves_before_the_server_has_said_how_much_it_takes() -> None:
    silent = Peer()

    assert silent.connection.available_streams() == 0
    silent.sends(SETTINGS)
    assert silent.connection.available_streams() == 100


def test_a_server_that_names_no_limit_has_none() -> None:
    generous = Peer()
    generous.sends(frames.settings())

    assert generous.connection.available_streams() > 10_000


def test_a_limit_may_change_at_any_time(peer: Peer) -> None:
    peer.gets()
    peer.sends(frames.settings((frames.MAX_CONCURRENT_STREAMS, 0)))
    assert peer.connection.available_streams() < 0

    peer.sends(frames.settings((frames.INITIAL_WINDOW_SIZE, 10)))
    peer.sends(frames.settings((frames.MAX_CONCURRENT_STREAMS, 7)))
    assert peer.connection.available_streams() == 6


def test_an_answer_comes_in_any_number_of_pieces(peer: Peer) -> None:
    peer.gets()
    pieces = [
        headers(1, b"\x20\x08\x03103", frames.END_HEADERS),  # informational
        frames.frame(
            frames.HEADERS,
            frames.PADDED | frames.WITH_PRIORITY,
            1,
            b"\x02" + b"P" * 5 + b"\x88" + b"\0\0",
        ),
        frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, b"\x00\x01a\x01b"),
        frames.frame(frames.DATA, frames.PADDED, 1, b"\x03one\0\0\0"),
        frames.frame(99, 0, 1, b"unknown"),
        frames.frame(frames.DATA, 0, 1, b"two"),
        headers(1, b"\x00\x01t\x01u", LAST),  # trailers
    ]

    [answer] = peer.sends(*pieces)

    assert (answer.status, answer.body, answer.headers["a"]) == (200, b"onetwo", "b")


def test_a_ping_is_answered(peer: Peer) -> None:
    peer.sends(frames.frame(frames.PING, 0, 0, b"12345678"))

    assert (frames.PING, frames.ACK, 0, b"12345678") in peer.frames()


def test_a_body_waits_for_the_windows_and_leaves_whole(peer: Peer) -> None:
    peer.sends(frames.settings((frames.INITIAL_WINDOW_SIZE, 1000)))
    body = bytes(range(250)) * 12
    peer.gets(body)
    assert peer.connection.available_streams() == 0

    for _ in range(2):
        peer.sends(frames.frame(frames.WINDOW_UPDATE, 0, 1, frames.pack_word(700)))
    peer.sends(frames.settings((frames.INITIAL_WINDOW_SIZE, 2000)))

    data = [each for each in peer.frames() if each[0] == frames.DATA]
    assert b"".join(payload for *_, payload in data) == body
    assert [flags for _, flags, *_ in data] == [0, 0, 0, frames.END_STREAM]
    assert peer.connection.available_streams() == 99


def test_many_bodies_wait_for_the_connections_window_in_turn(peer: Peer) -> None:
    for n in range(4):
        peer.gets(b"%d" % n * 20_000)
    peer.sends(frames.frame(frames.WINDOW_UPDATE, 0, 0, frames.pack_word(1 << 20)))

    whole = dict.fromkeys((1, 3, 5, 7), b"")
    for kind, _, number, payload in peer.frames():
        if kind == frames.DATA:
            whole[number] += payload
    assert whole == {2 * n + 1: b"%d" % n * 20_000 for n in range(4)}


def test_an_answer_that_comes_before_the_body_has_left_stops_the_body(peer: Peer) -> None:
    peer.gets(b"x" * 100_000)

    [answer] = peer.sends(headers(1, OK, LAST))

    assert answer.status == 200
    assert (frames.RST_STREAM, 0, 1, frames.pack_word(frames.CANCEL)) in peer.frames()
    assert peer.connection.available_streams() == 100


def test_credit_for_a_finished_stream_widens_no_other_window(peer: Peer) -> None:
    """RFC 9113, 5.1: WINDOW_UPDATE may come on a closed stream, and means that stream only."""
    peer.gets(b"x" * 100_000)
    peer.sends(headers(1, OK, LAST))

    peer.sends(window_update(1, 1 << 20))
    peer.gets(b"x" * 20_000)

    bodies = [payload for kind, *_, payload in peer.frames() if kind == frames.DATA]
    assert sum(map(len, bodies)) == frames.DEFAULT_WINDOW


def test_an_answer_is_cut_where_the_request_says_so(peer: Peer) -> None:
    peer.gets(answer_limit=5)

    [answer] = peer.sends(headers(1), frames.frame(frames.DATA, 0, 1, b"too long"))

    assert answer.body == b"too l"
    assert (frames.RST_STREAM, 0, 1, frames.pack_word(frames.CANCEL)) in peer.frames()


def test_long_answers_that_are_cut_break_no_connection(peer: Peer) -> None:
    """A server learns late that its answer was cut: until then it sends what the window allows."""
    parts = [b"x" * 4_000] * 50
    for n in range(250):
        number = 2 * n + 1
        peer.gets()
        body = [data(number, part) for part in parts]

        [answer] = peer.sends(headers(number), *body, data(number, b"", frames.END_STREAM))

        assert (answer.status, len(answer.body)) == (200, 8_192)
    assert not peer.failure
    assert peer.connection.available_streams() == 100


def test_what_comes_on_cancelled_streams_disturbs_no_other(peer: Peer) -> None:
    """All answers are cut at once, and what is left of them comes before the next answer."""
    for _ in range(100):
        peer.gets()
    for n in range(100):
        peer.sends(headers(2 * n + 1), data(2 * n + 1, b"x" * 9_000))

    for n in range(100):
        peer.sends(data(2 * n + 1, b"x" * 4_000) * 150)

    assert not peer.failure
    peer.gets()
    [answer] = peer.sends(headers(201, OK, LAST))
    assert answer.status == 200


def test_more_than_a_cancelled_stream_may_bring_is_an_attack(peer: Peer) -> None:
    peer.gets()
    peer.sends(headers(1), data(1, b"x" * 9_000))

    frames_allowed = STREAM_WINDOW // 256 + MOST_FRAMES_WITHOUT_ANSWER
    peer.sends(data(1, b"x") * (frames_allowed + 1))

    assert "no answers" in peer.failure


def test_the_window_for_answers_is_kept_open(peer: Peer) -> None:
    for n in range(600):
        peer.gets(answer_limit=1 << 20)
        peer.sends(
            headers(2 * n + 1),
            frames.frame(frames.DATA, frames.END_STREAM, 2 * n + 1, b"x" * 16_000),
        )

    granted = [
        p for kind, _, number, p in peer.frames() if kind == frames.WINDOW_UPDATE and not number
    ]
    assert sum(frames.read_word(payload) for payload in granted[1:]) > 8_000_000


def test_what_has_not_left_when_the_connection_breaks_was_certainly_not_sent(peer: Peer) -> None:
    whole = peer.gets()
    sent = len(peer.received)
    part = peer.submit()
    none = peer.submit()

    ended = peer.connection.lose("broken", sent + 50)

    failures = {id(request): answer.failure for request, answer in ended}
    assert failures[id(whole)] is Failure.UNKNOWN
    assert failures[id(part)] is Failure.UNKNOWN
    assert failures[id(none)] is Failure.NOT_SENT


def test_a_request_whose_body_waits_may_have_been_acted_on(peer: Peer) -> None:
    """A server may answer before it has read the whole body."""
    peer.gets(b"x" * 100_000)

    [(_, answer)] = peer.connection.lose("broken", len(peer.received))

    assert answer.failure is Failure.UNKNOWN


def test_a_goaway_tells_what_was_looked_at(peer: Peer) -> None:
    first, second, third = peer.gets(), peer.gets(), peer.gets()

    assert peer.sends(goaway(3)) == []
    [one, two] = peer.sends(headers(1, OK, LAST), headers(3, b"\x88", LAST))

    assert peer.connection.not_taken == [third]
    assert [request for request, _ in peer.ended] == [first, second]
    assert (one.status, two.status) == (200, 200)
    assert peer.connection.available_streams() == 0


@pytest.mark.parametrize(
    ("last", "code", "failure"),
    [
        (0, frames.NO_ERROR, Failure.NOT_SENT),
        (1, frames.ENHANCE_YOUR_CALM, Failure.UNKNOWN),
    ],
    ids=["all", "trouble"],
)
def test_a_goaway_that_takes_nothing_or_is_about_trouble_is_an_answer(
    peer: Peer, last: int, code: int, failure: Failure
) -> None:
    """To connect again at once would lead to the same.

    The last stream that a GOAWAY with an error names is not believed: nghttp2 names one too few.
    """
    peer.gets()
    request = peer.gets()

    *_, refused = peer.sends(goaway(last, code))

    assert refused.failure is failure
    assert peer.ended[-1][0] is request
    assert peer.connection.not_taken == []


def test_a_reset_after_the_status_is_still_an_answer(peer: Peer) -> None:
    peer.gets()

    [answer] = peer.sends(headers(1), frames.frame(frames.RST_STREAM, 0, 1, frames.pack_word(0)))

    assert answer.status == 200


def test_what_takes_too_long_is_cancelled_and_nobody_knows_its_outcome(peer: Peer) -> None:
    request = Request("https://push.example/a", [], b"x")
    peer.connection.open_stream(request, "/a", deadline=10.0)
    peer.gets()

    answers: Answers = []
    peer.connection.expire(11.0, answers)

    [(ended, answer)] = answers
    assert (ended, answer.failure) == (request, Failure.UNKNOWN)
    assert len(peer.connection.streams) == 1


def test_a_server_without_settings_in_time_loses_its_connection() -> None:
    connection = Http2Connection("push.example", settings_due=10.0)

    connection.expire(10.0, [])
    assert connection.failure is None
    connection.expire(10.1, [])
    assert connection.failure == ConnectionFailed("no HTTP/2 settings in time")


HOSTILE = {
    "a frame beyond the limit": b"\x01\x00\x00\x00\x00\x00\x00\x00\x01",
    "a push": frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, b"\0\0\0\2\x88"),
    "a header block that is interrupted": headers(1, OK, 0)
    + frames.frame(frames.PING, 0, 0, b"8bytes.."),
    "a continuation of nothing": frames.frame(frames.CONTINUATION, 0, 1, b"\x88"),
    "a continuation of another": headers(1, OK, 0)
    + frames.frame(frames.CONTINUATION, 0, 3, b"\x88"),
    "headers without end": headers(1, OK, 0)
    + frames.frame(frames.CONTINUATION, 0, 1, b"x" * 16_384) * 5,
    "more padding than frame": frames.frame(frames.DATA, frames.PADDED, 1, b"\xff"),
    "settings of a wrong size": frames.frame(frames.SETTINGS, 0, 0, b"12345"),
    "a window beyond the limit": frames.frame(frames.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
    "a storm of pings": frames.frame(frames.PING, 0, 0, b"12345678")
    * (MOST_FRAMES_WITHOUT_ANSWER + 1),
    "a storm of empty data": frames.frame(frames.DATA, 0, 1, b"")
    * (MOST_FRAMES_WITHOUT_ANSWER + 1),
    "a body on no stream": data(0, b"x"),
    "headers on no stream": headers(0, OK, LAST),
    "a reset of no stream": reset(0, frames.CANCEL),
    "a body on a stream that was never opened": data(3, b"x"),
    "headers on a stream of the server's": headers(2, OK, LAST),
    "a reset of a stream that was never opened": reset(5, frames.CANCEL),
    "credit for a stream that was never opened": window_update(5, 1),
    "settings on a stream": frames.frame(frames.SETTINGS, 0, 1, b""),
    "settings acknowledged with values": frames.frame(frames.SETTINGS, frames.ACK, 0, b"123456"),
    "a setting that allows pushes": frames.settings((frames.ENABLE_PUSH, 1)),
    "an initial window beyond the limit": frames.settings((frames.INITIAL_WINDOW_SIZE, 1 << 31)),
    "a frame size below the least": frames.settings((frames.MAX_FRAME_SIZE, 16_383)),
    "a frame size beyond the most": frames.settings((frames.MAX_FRAME_SIZE, 1 << 24)),
    "a ping on a stream": frames.frame(frames.PING, 0, 1, b"12345678"),
    "a ping of a wrong size": frames.frame(frames.PING, 0, 0, b"1234567"),
    "a goaway on a stream": frames.frame(frames.GOAWAY, 0, 1, b"12345678"),
    "a goaway too short": frames.frame(frames.GOAWAY, 0, 0, b"1234567"),
    "a window widened by nothing": window_update(0, 0),
    "a window update of a wrong size": frames.frame(frames.WINDOW_UPDATE, 0, 0, b"12345"),
    "a storm of informational answers": headers(1, b"\x20\x08\x03103")
    * (MOST_FRAMES_WITHOUT_ANSWER + 1),
    "a body without a status": data(1, b"x"),
    "more of a body than was allowed": headers(1) + data(1, b"x" * 16_000) * 66,
    "a storm of empty continuations": headers(1, OK, 0)
    + frames.frame(frames.CONTINUATION, 0, 1, b"") * (MOST_FRAMES_WITHOUT_ANSWER + 1),
    "a storm of settings": frames.settings((frames.INITIAL_WINDOW_SIZE, 9)) * 1_001,
    "a storm of tiny parts of a body": headers(1) + data(1, b"x") * MOST_FRAMES_WITHOUT_ANSWER,
    "a storm of long headers without end": headers(1, OK + b"x" * 16_000) * 200,
    "a storm of headers on a finished stream": headers(1, OK, LAST)
    + headers(1, OK) * (MOST_FRAMES_WITHOUT_ANSWER + 100),
    "a reset too short": frames.frame(frames.RST_STREAM, 0, 1, b"1"),
}


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_server_that_breaks_the_rules_loses_its_connection(peer: Peer, sent: bytes) -> None:
    peer.gets(answer_limit=1 << 21)

    peer.sends(sent)

    assert peer.failure
    assert peer.connection.available_streams() == 0


def test_a_server_that_breaks_the_rules_hears_why() -> None:
    """RFC 9113, 5.4.1: the error code goes out in a GOAWAY."""
    connection = Http2Connection("push.example", LATER)
    connection.receive(SETTINGS, [])

    connection.receive(HOSTILE["a ping of a wrong size"], [])

    assert connection.failure is not None
    code = frames.pack_word(frames.FRAME_SIZE_ERROR)
    assert connection.failure.goaway == frames.frame(
        frames.GOAWAY, 0, 0, frames.pack_word(0) + code
    )


@pytest.mark.parametrize(
    "first",
    [
        frames.frame(frames.PING, 0, 0, b"12345678"),
        frames.frame(frames.SETTINGS, frames.ACK, 0),
        window_update(0, 1),
    ],
)
def test_a_server_begins_with_its_settings(first: bytes) -> None:
    peer = Peer()

    peer.sends(first, SETTINGS)

    assert "SETTINGS" in peer.failure


STREAM_ERRORS = {
    "a window widened by nothing": (window_update(1, 0), frames.PROTOCOL_ERROR),
    "a window beyond the limit": (window_update(1, (1 << 31) - 1) * 2, frames.FLOW_CONTROL_ERROR),
}


@pytest.mark.parametrize(("sent", "code"), STREAM_ERRORS.values(), ids=STREAM_ERRORS.keys())
def test_a_broken_rule_on_a_stream_ends_that_stream_only(
    peer: Peer, sent: bytes, code: int
) -> None:
    peer.gets(b"x" * 100_000, answer_limit=1 << 21)

    peer.sends(sent)

    assert not peer.failure
    assert len(peer.ended) == 1
    assert (frames.RST_STREAM, 0, 1, frames.pack_word(code)) in peer.frames()
    assert peer.connection.available_streams() == 100


def test_what_no_rule_names_is_ignored(peer: Peer) -> None:
    peer.sends(
        frames.frame(99, 255, 7, b"an unknown kind"),
        frames.frame(frames.PRIORITY, 0, 9, b"12345"),
        frames.settings((99, 1)),
        frames.frame(frames.PING, frames.ACK, 0, b"12345678"),
    )

    assert not peer.failure


def test_a_window_that_shrinks_below_nothing_opens_again(peer: Peer) -> None:
    """RFC 9113, 6.9.2: new settings may leave a window negative."""
    peer.gets(b"x" * 60_000)
    peer.gets(b"y" * 60_000)
    peer.sends(frames.settings((frames.INITIAL_WINDOW_SIZE, 1_000)))

    peer.sends(window_update(0, 1 << 20), window_update(3, 60_000))

    body = b"".join(p for kind, _, number, p in peer.frames() if (kind, number) == (0, 3))
    assert body == b"y" * 60_000


def test_the_answers_before_a_broken_rule_are_kept(peer: Peer) -> None:
    peer.gets()

    [answer] = peer.sends(headers(1, OK, LAST), HOSTILE["a frame beyond the limit"])

    assert answer.status == 200
    assert peer.failure


def test_a_header_block_that_cannot_be_read_is_no_answer(peer: Peer) -> None:
    peer.gets()

    [answer] = peer.sends(headers(1, b"\x20\xff\xff\xff", LAST))

    assert (answer.status, answer.failure) == (0, Failure.UNKNOWN)


@pytest.mark.parametrize(
    "status", [b"abc", b"2xx", b"-20", b"20", b"1000", b"9" * 5_000, "२००".encode()]
)
def test_a_status_that_is_no_number_of_three_digits_ends_the_connection(
    peer: Peer, status: bytes
) -> None:
    peer.gets()

    peer.sends(headers(1, b"\x20\x08" + text(status), LAST))

    assert "status" in peer.failure


class Transport:
    """Has a byte to read, and may have sent everything."""

    offered_bytes = 1_000

    def read(self, parts: list[bytes]) -> None:
        parts.append(b"x")

    def close(self, last: bytes) -> None:
        pass


def test_a_fault_of_ours_in_reading_a_connection_ends_that_connection_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    connection = Http2Connection("push.example", settings_due=LATER)
    connection.open_stream(request := Request("https://push.example/a", [], b"x"), "/a", LATER)
    monkeypatch.setattr(connection, "receive", fail)
    session = Http2Session(connection, Transport(), Liveness(0.0, 10.0))  # type: ignore[arg-type]
    answers: Answers = []

    session.turn(1.0, answers)

    assert [(each, answer.failure) for each, answer in answers] == [(request, Failure.UNKNOWN)]


@settings(deadline=None)
@given(
    st.lists(any_frame.map(lambda each: frames.frame(*each)) | st.binary(max_size=60), max_size=20)
)
def test_whatever_a_server_sends_each_request_has_one_answer(sent: list[bytes]) -> None:
    peer = Peer()
    peer.sends(SETTINGS)
    requests = [peer.gets() for _ in range(20)]

    peer.sends(*sent)
    peer.ended += peer.connection.lose(peer.failure or "the end", len(peer.received))

    ended = [request for request, _ in peer.ended] + peer.connection.not_taken
    assert sorted(map(id, ended)) == sorted(map(id, requests))
    for _, answer in peer.ended:
        assert (answer.status == 0) == (answer.failure is not None)
        dict(answer.headers)
