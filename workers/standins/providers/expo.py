"""Expo's server: tickets now, receipts later, for one project that requires an access token.

From "Send notifications with the Expo Push Service". A ticket's id contains a keyed hash that also
determines its receipt, so no ticket is stored.
"""

import gzip
import hashlib
import json
import re
import secrets
import time
import uuid
import zlib
from http import HTTPStatus
from typing import Any

from workers.standins.misbehaviour.faults import FaultKind
from workers.standins.misbehaviour.settings import MisbehaviourSettings
from workers.standins.providers.exchange import Answer, Refusal, Request, answer_json, read_json
from workers.standins.providers.standin import STATUSES, Fields, Standin, text_or_empty
from workers.standins.received_pushes import Push, ReceivedPushes

MAX_BYTES = 4096
MAX_MESSAGES = 100
MAX_RECEIPTS = 1000
TOKEN = re.compile(r"Expo(?:nent)?PushToken\[[^\]\s]{1,200}\]")
PRIORITIES = ("default", "normal", "high")
FIELDS = {
    "to", "title", "subtitle", "body", "data", "sound", "badge", "ttl", "expiration", "priority",
    "channelId", "icon", "richContent", "categoryId", "mutableContent", "_contentAvailable",
    "contentAvailable", "interruptionLevel", "collapseId", "tag", "threadId",
}  # fmt: skip
GONE = "DeviceNotRegistered"
CODES = {429: "TOO_MANY_REQUESTS", 401: "UNAUTHORIZED", 500: "INTERNAL_SERVER_ERROR"}


class Expo(Standin):
    """exp.host for one project."""

    name = "expo"

    def __init__(
        self,
        pushes: ReceivedPushes,
        misbehaviour: MisbehaviourSettings,
        access_token: str,
        seed: bytes,
    ) -> None:
        super().__init__(pushes, misbehaviour)
        self._authorization = f"Bearer {access_token}"
        self._key = hashlib.blake2b(seed, digest_size=32).digest()

    def judge(self, request: Request) -> Answer:
        """Check the access token, then send messages or look up receipts."""
        calls = {
            "/--/api/v2/push/send": self._send,
            "/--/api/v2/push/getReceipts": self._receipts,
        }
        call = calls.get(request.path)
        if call is None or request.method != "POST":
            return _refusal(404, "NOT_FOUND", "There is no such call.")
        if not secrets.compare_digest(
            request.headers.get("authorization", "").encode(), self._authorization.encode()
        ):
            return _refusal(401, "UNAUTHORIZED", "The bearer token is invalid.")
        return call(_read_content(request))

    def _send(self, content: Any) -> Answer:
        """Answer with one ticket per message, in order."""
        messages = content if isinstance(content, list) else [content]
        pairs = [(message, to) for message in messages for to in _receivers(message)]
        if not pairs:
            return _refusal(400, "VALIDATION_ERROR", "There must be at least one message.")
        if len(pairs) > MAX_MESSAGES:
            text = "Cannot send more than 100 push notifications in one request."
            return _refusal(400, "PUSH_TOO_MANY_NOTIFICATIONS", text)
        fault, device_faults = self.draw_faults([to for _, to in pairs])
        tickets = [self._ticket(message, to, device_faults.get(to)) for message, to in pairs]
        acceptance = answer_json(
            200, {"data": tickets if isinstance(content, list) else tickets[0]}
        )
        answer = acceptance
        if fault is not None:
            answer = self.apply_fault(fault, pairs[0][1], acceptance)
        if self.was_received(answer, acceptance, fault):
            for (message, to), ticket in zip(pairs, tickets, strict=True):
                if ticket["status"] == "ok" and to not in device_faults:
                    self._add_push(message, to)
        answer.delay_s = self.misbehaviour.latency_s(self.name, pairs[0][1])
        return answer

    def _ticket(self, message: dict[str, Any], to: str, kind: FaultKind | None) -> dict[str, Any]:
        if kind is FaultKind.GONE:
            text = f'"{to}" is not a registered push notification recipient'
            return _failed(text, GONE, to)
        if kind is FaultKind.REFUSED:
            return _failed("The provider refused the message", "ProviderError", to)
        if len(json.dumps(message, ensure_ascii=False).encode()) > MAX_BYTES:
            return _failed("The message is over 4096 bytes", "MessageTooBig", to)
        return {"status": "ok", "id": self._ticket_id(gone=kind is FaultKind.GONE_LATER)}

    def _ticket_id(self, *, gone: bool, unique: bytes | None = None) -> str:
        unique = secrets.token_bytes(8) if unique is None else unique
        proof = hashlib.blake2b(unique + bytes([gone]), key=self._key, digest_size=8).digest()
        return str(uuid.UUID(bytes=unique + proof))

    def _add_push(self, message: dict[str, Any], to: str) -> None:
        data = message.get("data") or {}
        key = str(message.get("collapseId") or message.get("tag") or "")
        payload = json.dumps(message, ensure_ascii=False).encode()
        alert_id = text_or_empty(data.get("alert_id"))
        self.pushes.add(Push(self.name, to, alert_id, key, payload, time.time()))

    def _receipts(self, content: Any) -> Answer:
        """Answer with the receipts of tickets; other ids are left out."""
        ids = content.get("ids") if isinstance(content, dict) else None
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            return _refusal(400, "VALIDATION_ERROR", '"ids" must be an array of strings.')
        if len(ids) > MAX_RECEIPTS:
            text = "Cannot get more than 1000 push receipts in one request."
            return _refusal(400, "PUSH_TOO_MANY_RECEIPTS", text)
        receipts = {each: receipt for each in ids if (receipt := self._receipt(each))}
        return answer_json(200, {"data": receipts})

    def _receipt(self, ticket_id: str) -> dict[str, Any] | None:
        try:
            unique = uuid.UUID(ticket_id).bytes[:8]
        except ValueError:
            return None
        if ticket_id == self._ticket_id(gone=False, unique=unique):
            return {"status": "ok"}
        if ticket_id == self._ticket_id(gone=True, unique=unique):
            return _failed("The recipient device is not registered.", GONE)
        return None

    def fault_answer(self, kind: FaultKind, address: str) -> Answer:  # noqa: ARG002  # devices get tickets
        """Return Expo's answer to a fault of the whole request."""
        status = STATUSES[kind]
        return Answer(status, [("content-type", "application/json")], self.default_body(status))

    def is_acceptance(self, answer: Answer) -> bool:
        """Say whether the answer contains tickets and not errors."""
        return answer.status == HTTPStatus.OK and b'"data"' in answer.body

    def default_body(self, status: int) -> bytes:
        """Return the error that goes with the status."""
        return _refusal(status, CODES.get(status, "SERVICE_UNAVAILABLE"), "Scripted.").body

    def read_payload(self, payload: bytes) -> tuple[Fields, Fields]:
        """Return the text and the data of a message."""
        message = read_json(payload)
        return message, message.get("data") or {}


def _refusal(status: int, code: str, message: str) -> Answer:
    return answer_json(status, {"errors": [{"code": code, "message": message}]})


def _failed(message: str, error: str, to: str | None = None) -> dict[str, Any]:
    details = {"error": error} | ({"expoPushToken": to} if to else {})
    return {"status": "error", "message": message, "details": details}


def _invalid(text: str) -> Refusal:
    return Refusal(_refusal(400, "VALIDATION_ERROR", text))


def _read_content(request: Request) -> Any:
    body = request.body
    try:
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return read_json(body)
    except (ValueError, OSError, EOFError, zlib.error):
        raise _invalid("The request's body is not JSON.") from None


def _receivers(message: Any) -> list[str]:
    """Return the push tokens of a message after all checks."""
    if not isinstance(message, dict) or "to" not in message:
        raise _invalid('"to" is required.')
    unknown = set(message) - FIELDS
    if unknown:
        raise _invalid(f'"{min(unknown)}" is not allowed.')
    _check_values(message)
    to = message["to"]
    receivers = to if isinstance(to, list) else [to]
    if not all(isinstance(each, str) and TOKEN.fullmatch(each) for each in receivers):
        raise _invalid('"to" must be a valid Expo push token.')
    return receivers


def _check_values(message: dict[str, Any]) -> None:
    if not isinstance(message.get("data", {}), dict):
        raise _invalid('"data" must be an object.')
    if message.get("priority", "default") not in PRIORITIES:
        raise _invalid('"priority" must be one of default, normal, high.')
    for name in ("ttl", "expiration", "badge"):
        value = message.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _invalid(f'"{name}" must be a whole number.')
