"""Our HTTP/2 beside `hyperframe`, `hpack` and `h2`: the same bytes, the same meaning."""

from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import hpack
import hyperframe.exceptions
import hyperframe.frame
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.http2_peer import Peer
from workers.gateway.http2 import frames
from workers.gateway.http2.frames import ProtocolError
from workers.gateway.http2.header_compression import LONGEST_LIST, AnswerDecoder
from workers.provider import Answer

REFUSED = "refused"
REQUESTS = 3
COMPARED = (
    frames.DATA,
    frames.HEADERS,
    frames.RST_STREAM,
    frames.SETTINGS,
    frames.PING,
    frames.GOAWAY,
    frames.WINDOW_UPDATE,
    frames.CONTINUATION,
)
"""Not PRIORITY, which says nothing to a client, and not pushes, which are refused as they come."""

one_frame = st.builds(
    frames.frame,
    st.sampled_from(COMPARED),
    st.integers(0, 255),
    st.sampled_from([0, 1, 3, 2**31 - 1]),
    st.binary(max_size=12) | st.sampled_from([b"\0\0\0\1", b"12345678", b"\0\4\0\0\xff\xff"]),
)


READERS: dict[int, Callable[[int, bytes], object]] = {
    frames.DATA: lambda flags, payload: frames.plain_payload(frames.DATA, flags, payload),
    frames.HEADERS: lambda flags, payload: frames.plain_payload(frames.HEADERS, flags, payload),
    frames.SETTINGS: lambda flags, payload: {} if flags & 1 else frames.read_settings(payload),
    frames.GOAWAY: lambda _, payload: frames.read_goaway(payload),
    frames.WINDOW_UPDATE: lambda _, payload: frames.read_word(payload) & frames.LARGEST_WINDOW,
    frames.RST_STREAM: lambda _, payload: frames.read_word(payload),
}


def read_ours(data: bytes) -> object:
    """Return what the frame holds as we read it, or that it is refused."""
    parts: list[frames.Frame] = []
    try:
        assert frames.split(data, parts) == b""
        [(kind, flags, number, payload)] = parts
        frames.check(kind, flags, number, payload)
        content = READERS[kind](flags, payload) if kind in READERS else payload
    except ProtocolError:
        return REFUSED
    if kind == frames.WINDOW_UPDATE and not content:
        return REFUSED
    return kind, number, content


def read_theirs(data: bytes) -> object:
    if data[3] in (frames.WINDOW_UPDATE, frames.GOAWAY) and len(data) > frames.HEAD_SIZE:
        # The reserved bit is to be ignored (RFC 9113, 6.8 and 6.9); hyperframe reads it.
        data = data[:9] + bytes([data[9] & 0x7F]) + data[10:]
    try:
        frame, size = hyperframe.frame.Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + size]))
    except hyperframe.exceptions.HyperframeError:
        return REFUSED
    match frame:
        case hyperframe.frame.SettingsFrame():
            content: object = frame.settings
        case hyperframe.frame.GoAwayFrame():
            content = frame.last_stream_id, frame.error_code
        case hyperframe.frame.WindowUpdateFrame():
            content = frame.window_increment
        case hyperframe.frame.RstStreamFrame():
            content = frame.error_code
        case hyperframe.frame.PingFrame():
            content = frame.opaque_data
        case _:
            content = bytes(frame.data)  # type: ignore[attr-defined]
    return frame.type, frame.stream_id, content


def is_forbidden_setting(content: object) -> bool:
    """Whether hyperframe, which leaves the values to h2, has read what RFC 9113, 6.5.2, forbids."""
    if not (isinstance(content, tuple) and content[0] == frames.SETTINGS):
        return False
    values = content[2]
    return (
        values.get(frames.ENABLE_PUSH, 0) != 0
        or values.get(frames.INITIAL_WINDOW_SIZE, 0) > frames.LARGEST_WINDOW
        or not 2**14 <= values.get(frames.MAX_FRAME_SIZE, 2**14) < 2**24
    )


@settings(deadline=None, max_examples=200)
@given(one_frame)
def test_a_frame_means_to_us_what_it_means_to_hyperframe(data: bytes) -> None:
    theirs = read_theirs(data)
    expected = REFUSED if is_forbidden_setting(theirs) else theirs

    assert read_ours(data) == expected


def decoded(decode: Callable[[bytes], object], block: bytes) -> object:
    try:
        return decode(block)
    except (hpack.HPACKError, ProtocolError):
        return REFUSED


lines = st.lists(
    st.tuples(
        st.sampled_from([b"apns-id", b"content-type", b"retry-after", b"x"]),
        st.binary(max_size=30),
    ),
    max_size=6,
)
blocks = st.lists(
    lines | st.binary(max_size=40),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=150)
@given(contents=blocks, forgets=st.booleans())
def test_a_header_block_means_to_us_what_it_means_to_hpack(
    *, contents: list[object], forgets: bool
) -> None:
    """Blocks of a real encoder and blocks of anything at all, one after the other."""
    encoder = hpack.Encoder()
    if forgets:
        encoder.header_table_size = 0
    ours, theirs = AnswerDecoder(), hpack.Decoder(LONGEST_LIST)
    if forgets:
        theirs.max_allowed_table_size = 0
    for n, content in enumerate(contents):
        if isinstance(content, bytes):
            block = (b"\x20" if forgets else b"") + content
        else:
            block = encoder.encode([(b":status", b"2%02d" % n), *content])  # type: ignore[misc]
        expected = decoded(lambda block: dict(theirs.decode(block, raw=True)), block)
        found = decoded(ours.decode, block)
        if expected == REFUSED or not _has_plain_status(expected):
            return  # a server that breaks the rules is heard no further
        assert found != REFUSED
        status, headers = found  # type: ignore[misc]
        assert status == int(expected.get(b":status", b"0"))  # type: ignore[attr-defined]
        assert {
            name.encode("latin-1"): value.encode("latin-1") for name, value in headers.items()
        } == expected


def _has_plain_status(headers: object) -> bool:
    assert isinstance(headers, dict)
    return bool(headers.get(b":status", b"0").isdigit())


class H2Client:
    """What the `h2` library makes of the server's bytes."""

    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding=None)
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.answers: dict[int, tuple[int, bytes]] = {}
        self.ended: dict[int, object] = {}

    def request(self) -> None:
        number = self.connection.get_next_available_stream_id()
        lines = [(":method", "POST"), (":path", "/a"), (":scheme", "https"), (":authority", "x")]
        self.connection.send_headers(number, lines)
        self.connection.send_data(number, b"x", end_stream=True)

    def receive(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            match event:
                case h2.events.ResponseReceived():
                    status = int(dict(event.headers)[b":status"])
                    self.answers[event.stream_id] = status, b""
                case h2.events.DataReceived():
                    status, body = self.answers[event.stream_id]
                    self.answers[event.stream_id] = status, body + event.data
                case h2.events.StreamEnded():
                    self.ended[event.stream_id] = self.answers[event.stream_id]
                case h2.events.StreamReset():
                    answer = self.answers.get(event.stream_id)
                    self.ended[event.stream_id] = answer or f"reset {event.error_code}"


Server = h2.connection.H2Connection
ACTIONS: dict[str, Callable[[Server, int, int], None]] = {
    "inform": lambda server, number, size: server.send_headers(
        number, [(":status", "103"), ("link", "x" * size)]
    ),
    "answer": lambda server, number, size: server.send_headers(
        number, [(":status", f"{200 + size}")], end_stream=True
    ),
    "answer with a body": lambda server, number, size: server.send_headers(
        number, [(":status", "200"), ("a", "b" * size)]
    ),
    "part": lambda server, number, size: server.send_data(
        number, b"p" * size, pad_length=size % 200 or None
    ),
    "end": lambda server, number, size: server.send_data(number, b"e" * size, end_stream=True),
    "trailers": lambda server, number, _: server.send_headers(
        number, [("t", "u")], end_stream=True
    ),
    "reset": lambda server, number, _: server.reset_stream(number, 2),
    "refuse": lambda server, number, _: server.reset_stream(number, 7),
    "ping": lambda server, *_: server.ping(b"12345678"),
    "credit": lambda server, number, size: server.increment_flow_control_window(1 + size, number),
    "settings": lambda server, _, size: server.update_settings(
        {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 60_000 + size}
    ),
}
"""What a server may do to one of the requests."""
NEED_STATUS = {"part", "end", "trailers"}

actions = st.lists(
    st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, REQUESTS - 1), st.integers(0, 300)),
    max_size=14,
)


def outcome(answer: Answer) -> object:
    if answer.status:
        return answer.status, answer.body
    return f"reset {answer.detail.rpartition(' ')[2].rstrip(')')}"


@settings(deadline=None, max_examples=150)
@given(taken=actions, piece=st.integers(1, 200), forgets=st.booleans())
def test_what_a_server_does_ends_each_request_as_it_does_with_h2(
    *, taken: list[tuple[str, int, int]], piece: int, forgets: bool
) -> None:
    ours, theirs = Peer(), H2Client()
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.initiate_connection()
    if forgets:
        server.encoder.header_table_size = 0
    greeting = server.data_to_send()
    ours.sends(greeting)
    theirs.receive(greeting)
    requests = {2 * n + 1: ours.gets() for n in range(REQUESTS)}
    for _ in range(REQUESTS):
        theirs.request()
    server.receive_data(theirs.connection.data_to_send())
    answering = set[int]()
    for what, which, size in taken:
        if what == "answer with a body":
            answering.add(which)
        if what in NEED_STATUS and which not in answering:
            continue
        try:
            ACTIONS[what](server, 2 * which + 1, size)
        except h2.exceptions.ProtocolError:
            break  # it may have encoded what it did not send: its header table is of no use now
    sent = server.data_to_send()

    for begin in range(0, len(sent), piece):
        ours.sends(sent[begin : begin + piece])
        theirs.receive(sent[begin : begin + piece])

    assert not ours.failure
    answers = {id(request): outcome(answer) for request, answer in ours.ended}
    numbers = {id(request): number for number, request in requests.items()}
    assert {numbers[name]: answer for name, answer in answers.items()} == theirs.ended
