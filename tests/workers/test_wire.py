"""HTTP/2 as the wire sender speaks it: header blocks, frames, windows, and hostile servers."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import hpack
import hpack.hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.certificates import Certificate, make_certificate
from tests.workers.h2_server import H2Server
from workers.provider import Answer, Failure, Request
from workers.senders import wire_frames as wire
from workers.senders.hpack_lines import AnswerLines, RequestLines, integer
from workers.senders.wire_connection import MOST_TALK, Connection
from workers.senders.wire_frames import BrokenFrame
from workers.senders.wire_sender import WireSender

SETTINGS = wire.settings((wire.MAX_CONCURRENT_STREAMS, 100))
OK = bytes([0x20, 0x88])
LATER = 1e12

names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=300)
lines = st.lists(st.builds("{}: {}".format, names, values), max_size=8)


# ------------------------------------------------------------------------ header blocks


@settings(deadline=None)
@given(st.integers(0, 2**30), st.integers(1, 8))
def test_integers_are_written_as_the_rules_say(value: int, bits: int) -> None:
    assert integer(value, bits) == bytes(hpack.hpack.encode_integer(value, bits))


@settings(deadline=None)
@given(
    st.lists(st.tuples(lines, st.integers(1, 30)), min_size=1, max_size=8),
    st.lists(st.sampled_from([0, 64, 300, 4096, 65536]), max_size=3),
)
def test_every_request_is_read_back_as_it_was(
    groups: list[tuple[list[str], int]], table_sizes: list[int]
) -> None:
    """Lines repeat for a while, then others come; the table fills, shrinks and is emptied."""
    encoder, decoder = RequestLines("push.example:443"), hpack.Decoder()
    sizes = iter(table_sizes)
    number = 0
    for shared, times in groups:
        if (size := next(sizes, None)) is not None:
            encoder.limit(size)
        for _ in range(times):
            number += 1
            own = [*shared, f"apns-id: {number}"]
            block = encoder.block("POST", f"/3/device/{number}", own, number)
            expected = [
                (":method", "POST"),
                (":scheme", "https"),
                (":authority", "push.example:443"),
                (":path", f"/3/device/{number}"),
                ("user-agent", "newszop"),
                *((line.split(": ", 1)[0], line.split(": ", 1)[1]) for line in own),
                ("content-length", str(number)),
            ]
            assert [tuple(pair) for pair in decoder.decode(block)] == expected


def test_what_returns_is_sent_as_one_byte() -> None:
    encoder = RequestLines("push.example")
    shared = ["authorization: bearer " + "x" * 200, "apns-topic: app.newspoint"]

    sizes = [len(encoder.block("POST", "/3/device/ab", shared, 300)) for _ in range(4)]

    assert sizes[0] > 250
    assert sizes[2] == sizes[3] < 50


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/a b", "x: y"),
        ("/a\r\nb", "x: y"),
        ("/ü", "x: y"),
        ("/a", "x: y\r\nz: w"),
        ("/a", "x: ü"),
        ("/a", "none"),
    ],
)
def test_what_is_no_header_is_not_sent(path: str, line: str) -> None:
    with pytest.raises(ValueError, match=r"not a|codec"):
        RequestLines("push.example").block("POST", path, [line], 3)


@pytest.mark.parametrize("remembers", [True, False])
def test_answers_are_read_whether_or_not_the_server_forgets(*, remembers: bool) -> None:
    encoder, answers = hpack.Encoder(), AnswerLines()
    if not remembers:
        encoder.header_table_size = 0
    for status in ("200", "200", "410", "429", "200", "503", "200"):
        block = encoder.encode([(":status", status), ("apns-id", "7"), ("retry-after", status)])

        read, headers = answers.read(block)

        assert (read, headers["retry-after"], headers["apns-id"]) == (int(status), status, "7")


def test_a_table_that_is_emptied_and_grows_again_is_followed() -> None:
    encoder, answers = hpack.Encoder(), AnswerLines()
    encoder.header_table_size = 0
    encoder.header_table_size = 4096
    for _ in range(3):
        _, headers = answers.read(encoder.encode([(":status", "200"), ("x-id", "7")]))
        assert headers["x-id"] == "7"


# ------------------------------------------------------------------------------- frames

any_frame = st.tuples(
    st.integers(0, 12), st.integers(0, 255), st.integers(0, 99), st.binary(max_size=300)
)


@settings(deadline=None)
@given(st.lists(any_frame, max_size=8), st.lists(st.integers(1, 50), min_size=1))
def test_frames_are_the_same_however_they_are_cut(
    frames: list[tuple[int, int, int, bytes]], cuts: list[int]
) -> None:
    data = b"".join(wire.frame(*each) for each in frames)
    found: list[tuple[int, int, int, bytes]] = []
    rest, at, turn = b"", 0, 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        rest = wire.split(rest + data[at : at + size], found)
        at, turn = at + size, turn + 1

    assert found == frames
    assert rest == b""


# -------------------------------------------------------------------------- connections


class Wires:
    """The two ends of a connection without a network: what is sent, and what is to be read."""

    def __init__(self) -> None:
        self.sent = b""
        self.coming: list[bytes] = []
        self.room = 1 << 30
        self.broken = False

    def send(self, data: memoryview) -> int:
        if self.broken:
            raise BrokenPipeError
        part = bytes(data[: self.room])
        if not part:
            raise ssl.SSLWantWriteError
        self.room -= len(part)
        self.sent += part
        return len(part)

    def recv(self, _: int) -> bytes:
        if not self.coming:
            raise ssl.SSLWantReadError
        return self.coming.pop(0)

    def close(self) -> None:
        self.broken = True

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        found: list[tuple[int, int, int, bytes]] = []
        assert wire.split(self.sent.removeprefix(wire.PREFACE), found) == b""
        return found


class Peer:
    """A connection, and the server at its other end as far as a test plays it."""

    def __init__(self) -> None:
        self.wires = Wires()
        self.connection = Connection(self.wires, "push.example")  # type: ignore[arg-type]
        self.taken: list[tuple[Request, Answer]] = []

    def hear(self, *frames: bytes) -> list[Answer]:
        """Let the server say something; returns the answers that followed from it."""
        before = len(self.taken)
        self.wires.coming.append(b"".join(frames))
        self.connection.receive(self.taken)
        self.connection.out.flush()
        return [answer for _, answer in self.taken[before:]]

    def ask(self, body: bytes = b"x" * 300, **how: int) -> Request:
        request = Request("https://push.example/a", ["ttl: 60"], body, **how)  # type: ignore[arg-type]
        self.connection.begin(request, "/a", LATER)
        self.connection.out.flush()
        return request


@pytest.fixture
def peer() -> Peer:
    greeted = Peer()
    greeted.hear(SETTINGS)
    return greeted


def headers(number: int, block: bytes = OK, flags: int = wire.END_HEADERS) -> bytes:
    return wire.frame(wire.HEADERS, flags, number, block)


LAST = wire.END_HEADERS | wire.END_STREAM


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


# ---------------------------------------------------------------------- with real servers


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def gateway(certificate: Certificate) -> Iterator[WireSender]:
    opened = WireSender(ca_file=Path(certificate.certificate), timeout_s=5)
    opened.open_lane("apns", 100)
    yield opened
    opened.close()


@pytest.mark.parametrize("how", [{"window": 100}, {"remembers": True}, {"streams": None}])
def test_servers_of_all_kinds_are_understood(
    gateway: WireSender, certificate: Certificate, how: dict[str, int]
) -> None:
    server = H2Server(certificate.certificate, certificate.key, **how)  # type: ignore[arg-type]
    asked = [
        Request(f"{server.origin}/answer/{status}", ["ttl: 60"], b"%d," % n * 200)
        for n, status in enumerate([200, 410, 200, 503, 200] * 40)
    ]

    answers = {id(request): answer for request, answer in gateway.send("apns", asked)}

    for request in asked:
        answer = answers[id(request)]
        assert request.url.endswith(f"/{answer.status}")
        assert answer.headers["content-type"] == "application/json"
    assert sorted(body for _, body in server.seen.requests) == sorted(each.body for each in asked)
    assert server.seen.connections == 1
    server.close()


def test_a_server_that_allows_a_hundred_gets_more_connections(
    gateway: WireSender, certificate: Certificate
) -> None:
    server = H2Server(certificate.certificate, certificate.key, streams=100, latency=0.1)
    gateway.open_lane("fcm", 350)
    asked = [Request(f"{server.origin}/answer/200", [], b"%d" % n) for n in range(1400)]

    assert all(answer.status == 200 for _, answer in gateway.send("fcm", asked))

    assert 2 <= server.seen.connections <= 4
    assert server.seen.most_streams == 100
    assert server.seen.most_at_once <= 350
    server.close()
