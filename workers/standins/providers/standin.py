"""What all stand-ins have in common: they judge a request, then the misbehaviour applies."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from workers.standins.misbehaviour.faults import DEVICE_KINDS, Fault, FaultKind
from workers.standins.misbehaviour.settings import MisbehaviourSettings
from workers.standins.providers.exchange import (
    JSON_TYPE,
    Answer,
    Refusal,
    Request,
    TransportFailure,
)
from workers.standins.received_pushes import Push, ReceivedPushes

FAILURES = {
    FaultKind.RESET: TransportFailure.RESET,
    FaultKind.LOST: TransportFailure.RESET,
    FaultKind.REFUSED_STREAM: TransportFailure.REFUSED_STREAM,
    FaultKind.DISCONNECT: TransportFailure.DISCONNECT,
    FaultKind.HANG: TransportFailure.HANG,
}
STATUSES = {FaultKind.TOO_MANY: 429, FaultKind.FAILED: 500, FaultKind.UNAVAILABLE: 503}
SUCCESS = range(200, 300)
DEFAULT_RETRY_AFTER_S = 1

Fields = dict[str, Any]


class Standin(ABC):
    """One provider's side. A subclass knows its rules; servers only call `answer`."""

    name: ClassVar[str]
    http1: ClassVar[bool] = True
    """Whether HTTP/1.1 is spoken beside HTTP/2."""
    success_status: ClassVar[int] = 200
    """The status of an acceptance."""
    first_streams: ClassVar[int | None] = None
    """The most streams on a connection that has not shown a good credential yet."""

    def __init__(self, pushes: ReceivedPushes, misbehaviour: MisbehaviourSettings) -> None:
        self.pushes = pushes
        self.misbehaviour = misbehaviour

    def answer(self, request: Request) -> Answer:
        """Return what the provider would answer."""
        try:
            return self.judge(request)
        except Refusal as refusal:
            return refusal.answer

    def early_answer(self, request: Request) -> Answer:  # noqa: ARG002  # for subclasses
        """Return the success that is sent before the request's body has been read."""
        return Answer(self.success_status, [JSON_TYPE], b"{}")

    @abstractmethod
    def judge(self, request: Request) -> Answer:
        """Return the provider's answer to a request, or raise it as `Refusal`."""

    @abstractmethod
    def fault_answer(self, kind: FaultKind, address: str) -> Answer:
        """Return the answer that the provider documents for this kind of fault."""

    @abstractmethod
    def default_body(self, status: int) -> bytes:
        """Return the body of a scripted answer that has a status only."""

    @abstractmethod
    def read_payload(self, payload: bytes) -> tuple[Fields, Fields]:
        """Return the text fields and the data fields of a stored payload."""

    def accept(self, push: Push, acceptance: Answer) -> Answer:
        """Store the push and return `acceptance`, unless the misbehaviour has another answer."""
        if self.misbehaviour.is_empty:
            self.pushes.add(push)
            return acceptance
        fault = self.misbehaviour.next_fault(self.name, push.address)
        answer = acceptance
        if fault is not None:
            answer = self.apply_fault(fault, push.address, acceptance)
        if self.was_received(answer, acceptance, fault):
            self.pushes.add(push)
        answer.delay_s = self.misbehaviour.latency_s(self.name, push.address)
        return answer

    def was_received(self, answer: Answer, acceptance: Answer, fault: Fault | None) -> bool:
        """Say whether the device received the push, whatever answer came back."""
        if fault is None or answer is acceptance:
            return True
        is_scripted_acceptance = fault.kind is None and self.is_acceptance(answer)
        return is_scripted_acceptance or fault.kind is FaultKind.LOST

    def is_acceptance(self, answer: Answer) -> bool:
        """Say whether this answer, which may be scripted, means that the push was accepted."""
        return answer.status in SUCCESS

    def draw_faults(self, addresses: Sequence[str]) -> tuple[Fault | None, dict[str, FaultKind]]:
        """Return the fault of a request for several devices, and those of single devices."""
        if self.misbehaviour.is_empty:
            return None, {}
        fault = self.misbehaviour.next_fault(self.name, addresses[0])
        kinds = (
            (each, self.misbehaviour.next_device_fault(self.name, each)) for each in addresses[1:]
        )
        device_faults = {address: kind for address, kind in kinds if kind is not None}
        if fault is not None and fault.kind in DEVICE_KINDS:
            device_faults[addresses[0]] = fault.kind
            fault = None
        return fault, device_faults

    def apply_fault(self, fault: Fault, address: str, acceptance: Answer) -> Answer:
        """Return the answer under a fault; `acceptance` itself for a scripted success."""
        if fault.kind is not None:
            if fault.kind in FAILURES:
                return Answer(0, failure=FAILURES[fault.kind])
            return with_retry_after(self.fault_answer(fault.kind, address), fault)
        if fault.status in SUCCESS and fault.body is None:
            return acceptance
        body = self.default_body(fault.status) if fault.body is None else fault.body
        answer = Answer(fault.status, [("content-type", "application/json")], body)
        return with_retry_after(answer, fault)


def with_retry_after(answer: Answer, fault: Fault) -> Answer:
    """Return the answer with the fault's Retry-After; the 429 of a share always has one."""
    seconds = fault.retry_after
    if seconds is None and fault.kind is FaultKind.TOO_MANY:
        seconds = DEFAULT_RETRY_AFTER_S
    if seconds is not None:
        answer.headers = [*answer.headers, ("retry-after", str(seconds))]
    return answer


def text_or_empty(value: Any) -> str:
    """Return a data field as text; a value that is not text is no id of ours."""
    return value if isinstance(value, str) else ""
