"""What every stand-in has in common: it judges a request, then lets the weather have its say."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from workers.standins.providers.exchange import Answer, Fate, Refused, Request
from workers.standins.received import Push, Pushes
from workers.standins.weather import OF_DEVICES, Kind, Sky, Stroke

FATES = {
    Kind.RESET: Fate.RESET,
    Kind.LOST: Fate.RESET,
    Kind.REFUSED_STREAM: Fate.REFUSED_STREAM,
    Kind.DISCONNECT: Fate.DISCONNECT,
    Kind.HANG: Fate.HANG,
}
STATUSES = {Kind.TOO_MANY: 429, Kind.FAILED: 500, Kind.AWAY: 503}
SUCCESS = range(200, 300)


Words = dict[str, Any]


class Standin(ABC):
    """One provider's side. A subclass knows its rules; servers only ever call `answer`."""

    name: ClassVar[str]
    http1: ClassVar[bool] = True
    """Whether HTTP/1.1 is spoken beside HTTP/2."""
    first_streams: ClassVar[int | None] = None
    """The most streams on a connection that has not shown a good credential yet."""

    def __init__(self, pushes: Pushes, sky: Sky) -> None:
        self.pushes = pushes
        self.sky = sky

    def answer(self, request: Request) -> Answer:
        """Return what the provider would."""
        try:
            return self.judge(request)
        except Refused as refused:
            return refused.answer

    @abstractmethod
    def judge(self, request: Request) -> Answer:
        """Return the provider's answer to a request; `Refused` is an answer too."""

    @abstractmethod
    def blow(self, kind: Kind, address: str) -> Answer:
        """Return the answer that the provider documents for this kind of trouble."""

    @abstractmethod
    def excuse(self, status: int) -> bytes:
        """Return the body that goes with a scripted status that brought none."""

    @abstractmethod
    def read(self, payload: bytes) -> tuple[Words, Words]:
        """Return the words of a kept payload and its data part."""

    def take(self, push: Push, taken: Answer) -> Answer:
        """Keep the push and return `taken`, unless the weather has another answer."""
        if self.sky.clear:
            self.pushes.keep(push)
            return taken
        stroke = self.sky.stroke(self.name, push.address)
        answer = taken if stroke is None else self.struck(stroke, push.address, taken)
        if self.is_taken(answer, taken, stroke):
            self.pushes.keep(push)
        answer.delay = self.sky.latency(self.name, push.address)
        return answer

    def is_taken(self, answer: Answer, taken: Answer, stroke: Stroke | None) -> bool:
        """Say whether the push was taken, be it that its answer is another or never comes."""
        if stroke is None or answer is taken:
            return True
        scripted = stroke.kind is None and self.is_yes(answer)
        return scripted or stroke.kind is Kind.LOST

    def is_yes(self, answer: Answer) -> bool:
        """Say whether the provider's answer, scripted as it may be, means that it took the push."""
        return answer.status in SUCCESS

    def sift(self, addresses: Sequence[str]) -> tuple[Stroke | None, dict[str, Kind]]:
        """Return what hits a request for many devices as a whole, and what hits some of them."""
        if self.sky.clear:
            return None, {}
        stroke = self.sky.stroke(self.name, addresses[0])
        rest = ((each, self.sky.stroke_of_device(self.name, each)) for each in addresses[1:])
        hit = {address: kind for address, kind in rest if kind is not None}
        if stroke is not None and stroke.kind in OF_DEVICES:
            hit[addresses[0]] = stroke.kind
            stroke = None
        return stroke, hit

    def struck(self, stroke: Stroke, address: str, taken: Answer) -> Answer:
        """Return what a request gets that was hit; `taken` itself if it was only brushed."""
        if stroke.kind is not None:
            if stroke.kind in FATES:
                return Answer(0, fate=FATES[stroke.kind])
            return with_wait(self.blow(stroke.kind, address), stroke)
        if stroke.status in SUCCESS and stroke.body is None:
            return taken
        body = self.excuse(stroke.status) if stroke.body is None else stroke.body
        return with_wait(
            Answer(stroke.status, [("content-type", "application/json")], body), stroke
        )


def with_wait(answer: Answer, stroke: Stroke) -> Answer:
    """Return the answer with its Retry-After: as told, or a second for a share's 429."""
    wait = 1 if stroke.retry_after is None and stroke.kind is Kind.TOO_MANY else stroke.retry_after
    if wait is not None:
        answer.headers = [*answer.headers, ("retry-after", str(wait))]
    return answer


def text_of(value: Any) -> str:
    """Return a field of a push's data part as text; what is not text is no id of ours."""
    return value if isinstance(value, str) else ""
