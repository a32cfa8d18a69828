"""One request and its answer on a stream of an HTTP/2 connection (RFC 9113, section 8.1)."""

from collections.abc import Mapping

from workers.provider import Answer, Failure, Request

FIRST_FINAL_STATUS = 200


class Stream:
    """`begin` is where the request's first byte stands in all that its connection wrote."""

    __slots__ = (
        "_chunks",
        "answer",
        "begin",
        "deadline",
        "received_bytes",
        "request",
        "unsent_body",
        "window",
    )

    def __init__(self, request: Request, deadline: float, begin: int) -> None:
        self.request = request
        self.deadline = deadline
        self.begin = begin
        self.unsent_body = b""
        """What of the body has not been written: the server has no window for it."""
        self.window = 0
        self.received_bytes = 0
        """Bytes of the answer's body so far."""
        self.answer: Answer | None = None
        self._chunks: list[bytes] = []

    @property
    def has_status(self) -> bool:
        """Whether a final status has come."""
        return self.answer is not None

    def take_headers(self, status: int, headers: Mapping[str, str]) -> None:
        """Take status and headers; informational answers and trailers are passed over."""
        if status >= FIRST_FINAL_STATUS and self.answer is None:
            self.answer = Answer(status, headers)

    def take_body(self, part: bytes) -> bool:
        """Take a part of the body; returns whether that is all that the request keeps of it."""
        self._chunks.append(part)
        self.received_bytes += len(part)
        return self.received_bytes >= self.request.answer_limit

    def finish(self) -> Answer:
        """Return the answer as far as it has come."""
        answer = self.answer
        if answer is None:
            return Answer(0, failure=Failure.UNKNOWN, detail="an answer without a status")
        if self._chunks:
            answer.body = b"".join(self._chunks)[: self.request.answer_limit]
        return answer

    def fail(self, failure: Failure, reason: str) -> Answer:
        """Return why there is no answer; one that broke off in its body is still one."""
        return self.finish() if self.has_status else Answer(0, failure=failure, detail=reason)
