"""One request on its way over HTTP/2, and its answer as it comes together."""

from collections.abc import Mapping

from workers.provider import Answer, Failure, Request

NEVER = 1 << 62
FIRST_FINAL_STATUS = 200


class Stream:
    """`end` is where the request's last byte stands in all that its connection has written."""

    __slots__ = ("_answer", "_chunks", "deadline", "end", "request", "rest", "size", "window")

    def __init__(self, request: Request, deadline: float) -> None:
        self.request = request
        self.deadline = deadline
        self.end = NEVER
        self.rest = b""
        """What of the body has not been written: the other side has no window for it."""
        self.window = 0
        self.size = 0
        """How much of the answer's body has come."""
        self._answer: Answer | None = None
        self._chunks: list[bytes] = []

    @property
    def answered(self) -> bool:
        """Whether a final status has come."""
        return self._answer is not None

    def take_headers(self, status: int, headers: Mapping[str, str]) -> None:
        """Take status and headers; what is only informational, and trailers, are passed over."""
        if status >= FIRST_FINAL_STATUS and self._answer is None:
            self._answer = Answer(status, headers)

    def take_body(self, part: bytes) -> bool:
        """Take a part of the body; returns whether that is all we want of it."""
        self._chunks.append(part)
        self.size += len(part)
        return self.size >= self.request.answer_limit and self.answered

    def finish(self) -> Answer:
        """Return the answer as far as it has come."""
        if self._answer is None:
            return Answer(0, failure=Failure.UNKNOWN, detail="an answer without a status")
        self._answer.body = b"".join(self._chunks)[: self.request.answer_limit]
        return self._answer

    def fail(self, kind: Failure, why: str) -> Answer:
        """Return why there is no answer; one that broke off in its body is still one."""
        return self.finish() if self.answered else Answer(0, failure=kind, detail=why)
