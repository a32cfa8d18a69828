"""Header blocks and frames of our own HTTP/2, with the `hpack` library as the other side."""

import hpack
import hpack.hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.http2_peer import any_frame
from workers.gateway.http2 import frames
from workers.gateway.http2.frames import Frame
from workers.gateway.http2.header_compression import AnswerDecoder, RequestEncoder, integer

names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=300)
lines = st.lists(st.builds("{}: {}".format, names, values), max_size=8)


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
    encoder, decoder = RequestEncoder("push.example:443"), hpack.Decoder()
    sizes = iter(table_sizes)
    number = 0
    for shared, times in groups:
        if (size := next(sizes, None)) is not None:
            encoder.limit_table(size)
        for _ in range(times):
            number += 1
            own = [*shared, f"apns-id: {number}"]
            block = encoder.encode("POST", f"/3/device/{number}", own, number)
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
    encoder = RequestEncoder("push.example")
    shared = ["authorization: bearer " + "x" * 200, "apns-topic: app.newspoint"]

    sizes = [len(encoder.encode("POST", "/3/device/ab", shared, 300)) for _ in range(4)]

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
        RequestEncoder("push.example").encode("POST", path, [line], 3)


@pytest.mark.parametrize("bad", ["none", "x: " + "y" * 20_000])
def test_a_request_that_cannot_be_encoded_leaves_the_next_one_whole(bad: str) -> None:
    encoder, decoder = RequestEncoder("push.example"), hpack.Decoder()
    shared = ["apns-topic: app.newspoint", "apns-priority: 10"]
    decoder.decode(encoder.encode("POST", "/a", shared, 3))

    with pytest.raises(ValueError, match=r"not a|too long"):
        encoder.encode("POST", "/a", [*shared, bad], 3)

    for _ in range(3):
        headers = dict(decoder.decode(encoder.encode("POST", "/a", shared, 3)))
        assert headers["apns-topic"] == "app.newspoint"
        assert headers["apns-priority"] == "10"


@pytest.mark.parametrize("remembers", [True, False])
def test_answers_are_read_whether_or_not_the_server_forgets(*, remembers: bool) -> None:
    encoder, answers = hpack.Encoder(), AnswerDecoder()
    if not remembers:
        encoder.header_table_size = 0
    for status in ("200", "200", "410", "429", "200", "503", "200"):
        block = encoder.encode([(":status", status), ("apns-id", "7"), ("retry-after", status)])

        read, headers = answers.decode(block)

        assert (read, headers["retry-after"], headers["apns-id"]) == (int(status), status, "7")


def test_a_table_that_is_emptied_and_grows_again_is_followed() -> None:
    encoder, answers = hpack.Encoder(), AnswerDecoder()
    encoder.header_table_size = 0
    encoder.header_table_size = 4096
    for _ in range(3):
        _, headers = answers.decode(encoder.encode([(":status", "200"), ("x-id", "7")]))
        assert headers["x-id"] == "7"


@settings(deadline=None)
@given(st.lists(any_frame, max_size=8), st.lists(st.integers(1, 50), min_size=1))
def test_frames_are_the_same_however_they_are_cut(sent: list[Frame], cuts: list[int]) -> None:
    data = b"".join(frames.frame(*each) for each in sent)
    received: list[Frame] = []
    rest, at, turn = b"", 0, 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        rest = frames.split(rest + data[at : at + size], received)
        at, turn = at + size, turn + 1

    assert received == sent
    assert rest == b""
