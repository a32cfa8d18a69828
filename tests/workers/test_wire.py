"""HTTP/2 as the wire sender speaks it: windows, limits, ends and hostile servers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.wires import LAST, OK, SETTINGS, Peer, any_frame, headers
from workers.gateway.http2 import frames as wire
from workers.gateway.http2.connection import MOST_TALK
from workers.gateway.http2.frames import BrokenFrame
from workers.provider import Failure, Request


@pytest.fixture
def peer() -> Peer:
    greeted = Peer()
    greeted.hear(SETTINGS)
    return greeted


def test_nothing_is_asked_before_the_server_has_said_how_much_it_takes() -> None:
    silent = Peer()

    assert silent.connection.free() == 0
    silent.hear(SETTINGS)
    assert silent.connection.free() == 100


def test_a_server_that_names_no_limit_has_none() -> None:
    generous = Peer()
    generous.hear(wire.settings())

    assert generous.connection.free() > 10_000


def test_a_limit_may_change_at_any_time(peer: Peer) -> None:
    peer.ask()
    peer.hear(wire.settings((wire.MAX_CONCURRENT_STREAMS, 0)))
    assert peer.connection.free() < 0

    peer.hear(wire.settings((wire.INITIAL_WINDOW_SIZE, 10)))
    peer.hear(wire.settings((wire.MAX_CONCURRENT_STREAMS, 7)))
    assert peer.connection.free() == 6


def test_an_answer_comes_in_any_number_of_pieces(peer: Peer) -> None:
    peer.ask()
    pieces = [
        headers(1, b"\x20\x08\x03103", wire.END_HEADERS),  # informational
        wire.frame(
            wire.HEADERS,
            wire.PADDED | wire.WITH_PRIORITY,
            1,
            b"\x02" + b"P" * 5 + b"\x88" + b"\0\0",
        ),
        wire.frame(wire.CONTINUATION, wire.END_HEADERS, 1, b"\x00\x01a\x01b"),
        wire.frame(wire.DATA, wire.PADDED, 1, b"\x03one\0\0\0"),
        wire.frame(99, 0, 1, b"unknown"),
        wire.frame(wire.DATA, 0, 1, b"two"),
        headers(1, b"\x00\x01t\x01u", LAST),  # trailers
    ]

    [answer] = peer.hear(*pieces)

    assert (answer.status, answer.body, answer.headers["a"]) == (200, b"onetwo", "b")


def test_a_ping_is_answered(peer: Peer) -> None:
    peer.hear(wire.frame(wire.PING, 0, 0, b"12345678"))

    assert (wire.PING, wire.ACK, 0, b"12345678") in peer.wires.frames()


def test_a_body_waits_for_the_windows_and_leaves_whole(peer: Peer) -> None:
    peer.hear(wire.settings((wire.INITIAL_WINDOW_SIZE, 1000)))
    body = bytes(range(250)) * 12
    peer.ask(body)
    assert peer.connection.free() == 0

    for _ in range(2):
        peer.hear(wire.frame(wire.WINDOW_UPDATE, 0, 1, wire.pack_word(700)))
    peer.hear(wire.settings((wire.INITIAL_WINDOW_SIZE, 2000)))

    data = [each for each in peer.wires.frames() if each[0] == wire.DATA]
    assert b"".join(payload for *_, payload in data) == body
    assert [flags for _, flags, *_ in data] == [0, 0, 0, wire.END_STREAM]
    assert peer.connection.free() == 99


def test_many_bodies_wait_for_the_connections_window_in_turn(peer: Peer) -> None:
    for n in range(4):
        peer.ask(b"%d" % n * 20_000)
    peer.hear(wire.frame(wire.WINDOW_UPDATE, 0, 0, wire.pack_word(1 << 20)))

    whole = dict.fromkeys((1, 3, 5, 7), b"")
    for kind, _, number, payload in peer.wires.frames():
        if kind == wire.DATA:
            whole[number] += payload
    assert whole == {2 * n + 1: b"%d" % n * 20_000 for n in range(4)}


def test_an_answer_that_comes_before_the_body_has_left_stops_the_body(peer: Peer) -> None:
    peer.ask(b"x" * 100_000)

    [answer] = peer.hear(headers(1, OK, LAST))

    assert answer.status == 200
    assert (wire.RST_STREAM, 0, 1, wire.pack_word(wire.CANCEL)) in peer.wires.frames()
    assert peer.connection.free() == 100


def test_an_answer_is_cut_where_the_request_says_so(peer: Peer) -> None:
    peer.ask(answer_limit=5)

    [answer] = peer.hear(headers(1), wire.frame(wire.DATA, 0, 1, b"too long"))

    assert answer.body == b"too l"
    assert (wire.RST_STREAM, 0, 1, wire.pack_word(wire.CANCEL)) in peer.wires.frames()


def test_the_window_for_answers_is_kept_open(peer: Peer) -> None:
    for n in range(600):
        peer.ask(answer_limit=1 << 20)
        peer.hear(
            headers(2 * n + 1), wire.frame(wire.DATA, wire.END_STREAM, 2 * n + 1, b"x" * 16_000)
        )

    granted = [
        p for kind, _, number, p in peer.wires.frames() if kind == wire.WINDOW_UPDATE and not number
    ]
    assert sum(wire.read_word(payload) for payload in granted[1:]) > 8_000_000


def test_what_has_not_left_when_the_connection_breaks_was_certainly_not_sent(peer: Peer) -> None:
    left = peer.ask()
    peer.wires.room = 50
    half = peer.ask()
    never = peer.ask()

    peer.connection.lose("broken", peer.taken)

    kinds = {id(request): answer.failure for request, answer in peer.taken}
    assert kinds[id(left)] is Failure.UNKNOWN
    assert kinds[id(half)] is Failure.NOT_SENT
    assert kinds[id(never)] is Failure.NOT_SENT


def test_a_goaway_tells_what_was_looked_at(peer: Peer) -> None:
    first, second, third = peer.ask(), peer.ask(), peer.ask()

    told = wire.frame(wire.GOAWAY, 0, 0, wire.pack_word(3) + wire.pack_word(0))
    [refused] = peer.hear(told)
    [one, two] = peer.hear(headers(1, OK, LAST), headers(3, b"\x88", LAST))

    assert [request for request, _ in peer.taken] == [third, first, second]
    assert refused.failure is Failure.NOT_SENT
    assert (one.status, two.status) == (200, 200)
    assert peer.connection.free() == 0


def test_a_reset_after_the_status_is_still_an_answer(peer: Peer) -> None:
    peer.ask()

    [answer] = peer.hear(headers(1), wire.frame(wire.RST_STREAM, 0, 1, wire.pack_word(0)))

    assert answer.status == 200


def test_what_takes_too_long_is_cancelled_and_nobody_knows_its_outcome(peer: Peer) -> None:
    request = Request("https://push.example/a", [], b"x")
    peer.connection.begin(request, "/a", deadline=10.0)
    peer.ask()

    peer.connection.expire(11.0, peer.taken)

    [(late, answer)] = peer.taken
    assert (late, answer.failure) == (request, Failure.UNKNOWN)
    assert len(peer.connection.streams) == 1


HOSTILE = {
    "a frame beyond the limit": b"\x01\x00\x00\x00\x00\x00\x00\x00\x01",
    "a push": wire.frame(wire.PUSH_PROMISE, wire.END_HEADERS, 1, b"\0\0\0\2\x88"),
    "a header block that is interrupted": headers(1, OK, 0)
    + wire.frame(wire.PING, 0, 0, b"8bytes.."),
    "a continuation of nothing": wire.frame(wire.CONTINUATION, 0, 1, b"\x88"),
    "a continuation of another": headers(1, OK, 0) + wire.frame(wire.CONTINUATION, 0, 3, b"\x88"),
    "headers without end": headers(1, OK, 0)
    + wire.frame(wire.CONTINUATION, 0, 1, b"x" * 16_384) * 5,
    "more padding than frame": wire.frame(wire.DATA, wire.PADDED, 1, b"\xff"),
    "settings of a wrong size": wire.frame(wire.SETTINGS, 0, 0, b"12345"),
    "a window beyond the limit": wire.frame(wire.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
    "a storm of pings": wire.frame(wire.PING, 0, 0, b"12345678") * (MOST_TALK + 1),
    "a storm of empty data": wire.frame(wire.DATA, 0, 1, b"") * (MOST_TALK + 1),
    "a reset too short": wire.frame(wire.RST_STREAM, 0, 1, b"1"),
}


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_server_that_breaks_the_rules_loses_its_connection(peer: Peer, said: bytes) -> None:
    peer.ask()

    with pytest.raises(BrokenFrame):
        peer.hear(said)


def test_a_header_block_that_cannot_be_read_is_no_answer(peer: Peer) -> None:
    peer.ask()

    [answer] = peer.hear(headers(1, b"\x20\xff\xff\xff", LAST))

    assert (answer.status, answer.failure) == (0, Failure.UNKNOWN)


def test_a_status_that_is_no_number_ends_the_connection(peer: Peer) -> None:
    peer.ask()

    with pytest.raises(ValueError, match="literal"):
        peer.hear(headers(1, b"\x20\x08\x03abc", LAST))


@settings(deadline=None)
@given(
    st.lists(any_frame.map(lambda each: wire.frame(*each)) | st.binary(max_size=60), max_size=20)
)
def test_whatever_a_server_says_each_request_has_one_answer(said: list[bytes]) -> None:
    peer = Peer()
    peer.hear(SETTINGS)
    asked = [peer.ask() for _ in range(20)]

    try:
        peer.hear(*said)
        why = "the end"
    except (BrokenFrame, ValueError, OSError) as error:
        why = str(error)
    peer.connection.lose(why, peer.taken)

    assert sorted(id(request) for request, _ in peer.taken) == sorted(map(id, asked))
    for _, answer in peer.taken:
        assert (answer.status == 0) == (answer.failure is not None)
        dict(answer.headers)
