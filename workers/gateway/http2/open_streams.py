"""The streams of a connection that are open, and how each ends (RFC 9113, sections 5.4 and 8.1)."""

from workers.gateway.http2 import frames
from workers.gateway.http2.events import Answers
from workers.gateway.http2.receive_limits import ReceiveLimits
from workers.gateway.http2.send_queue import SendQueue
from workers.gateway.http2.stream import Stream
from workers.provider import Failure, Request


class OpenStreams:
    """Streams by number, the oldest first. What ends one is added to `answers`."""

    def __init__(self, queue: SendQueue, limits: ReceiveLimits) -> None:
        self.by_number: dict[int, Stream] = {}
        self._queue = queue
        self._limits = limits

    def finish(self, number: int, stream: Stream, answers: Answers) -> None:
        """End a stream with its answer; one that came before the whole body stops it (8.1)."""
        if stream.unsent_body:
            self._cancel(number, stream)
        else:
            del self.by_number[number]
        answers.append((stream.request, stream.finish()))

    def cut(self, number: int, stream: Stream, answers: Answers) -> None:
        """End a stream whose answer is longer than its request keeps."""
        self._cancel(number, stream)
        answers.append((stream.request, stream.finish()))

    def refuse(self, number: int, stream: Stream, reason: str, code: int, answers: Answers) -> None:
        """End a stream on which the server broke a rule (5.4.2); the others go on."""
        self._cancel(number, stream, code)
        answers.append((stream.request, stream.fail(Failure.UNKNOWN, reason)))

    def _cancel(self, number: int, stream: Stream, code: int = frames.CANCEL) -> None:
        del self.by_number[number]
        self._queue.give_up(stream)
        self._limits.cancel(number, stream.received_bytes)
        word = frames.pack_word(code)
        self._queue.put(frames.frame(frames.RST_STREAM, 0, number, word))

    def take_reset(self, number: int, code: int, stream: Stream, answers: Answers) -> None:
        """Take a RST_STREAM; of a refused stream the server has done nothing (8.7)."""
        del self.by_number[number]
        self._queue.give_up(stream)
        failure = Failure.NOT_SENT if code == frames.REFUSED_STREAM else Failure.UNKNOWN
        reason = f"the server has reset the stream (HTTP/2 error {code})"
        answers.append((stream.request, stream.fail(failure, reason)))

    def take_after(self, last: int) -> list[Stream]:
        """Take out the streams after `last`: the server has done nothing for them (6.8)."""
        streams = []
        for number in [each for each in self.by_number if each > last]:
            stream = self.by_number.pop(number)
            self._queue.give_up(stream)
            streams.append(stream)
        return streams

    def expire(self, now: float, answers: Answers) -> None:
        """End the streams past their deadline."""
        late = []
        for number, stream in self.by_number.items():
            if stream.deadline > now:
                break  # the oldest stand first
            late.append((number, stream))
        for number, stream in late:
            # What is written will still leave, ahead of our word that it is cancelled; and a server
            # may act on a request before the whole body has come (8.1).
            self._cancel(number, stream)
            answers.append((stream.request, stream.fail(Failure.UNKNOWN, "no answer in time")))

    def lose(self, reason: str, offered_bytes: int) -> Answers:
        """End all: the connection is lost, and at most `offered_bytes` of it have left.

        A request of which no byte is among them was certainly not sent; of the others nobody knows.
        """
        ended: Answers = []
        for stream in self.by_number.values():
            failure = Failure.UNKNOWN if offered_bytes > stream.begin else Failure.NOT_SENT
            ended.append((stream.request, stream.fail(failure, reason)))
        self.by_number.clear()
        return ended

    def cancel_all(self) -> list[Request]:
        """Cancel every stream; returns their requests."""
        requests = [stream.request for stream in self.by_number.values()]
        for number, stream in list(self.by_number.items()):
            self._cancel(number, stream)
        return requests
