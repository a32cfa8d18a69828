"""Apple's server: what APNs refuses, and the reasons it gives.

From "Sending notification requests to APNs", "Handling notification responses from APNs" and
"Establishing a token-based connection to APNs" in Apple's developer documentation.
"""

import json
import re
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from workers.standins.misbehaviour.faults import Fault, FaultKind
from workers.standins.misbehaviour.settings import MisbehaviourSettings
from workers.standins.providers.exchange import Answer, Header, Refusal, Request, read_json
from workers.standins.providers.standin import STATUSES, Fields, Standin, text_or_empty
from workers.standins.received_pushes import Push, ReceivedPushes

MAX_BYTES = 4096
TOKEN_LIFE_S = 3600
CLOCK_SKEW_S = 60
CHANGES_WITHIN_S = 20 * 60
MAX_CHANGES = 2
MAX_STORAGE_S = 30 * 86_400
MAX_COLLAPSE_BYTES = 64
MAX_TOKENS = 100

DEVICE = re.compile(r"(?:[0-9a-fA-F]{2}){32,100}")
CANONICAL_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TOPIC_SUFFIXES = {
    "alert": "", "background": "", "mdm": "",
    "liveactivity": ".push-type.liveactivity", "widgets": ".push-type.widgets",
    "controls": ".push-type.controls", "location": ".location-query", "voip": ".voip",
    "pushtotalk": ".voip-ptt", "complication": ".complication",
    "fileprovider": ".pushkit.fileprovider",
}  # fmt: skip
ANY_PRIORITY = frozenset({"10", "5", "1"})
PRIORITIES = {"background": frozenset({"5"})}
TOPIC = re.compile(r"[A-Za-z0-9.-]{1,255}")
REASONS = {
    400: "BadDeviceToken", 403: "InvalidProviderToken", 404: "BadPath", 405: "MethodNotAllowed",
    410: "Unregistered", 413: "PayloadTooLarge", 429: "TooManyRequests",
    500: "InternalServerError", 503: "ServiceUnavailable",
}  # fmt: skip


class Apns(Standin):
    """api.push.apple.com for one team, one key and one app."""

    name = "apns"
    http1 = False
    first_streams = 1

    def __init__(
        self,
        pushes: ReceivedPushes,
        misbehaviour: MisbehaviourSettings,
        provider_tokens: "ProviderTokens",
        topic: str,
    ) -> None:
        super().__init__(pushes, misbehaviour)
        self._provider_tokens = provider_tokens
        self._topic = topic

    def early_answer(self, request: Request) -> Answer:
        """Return Apple's acceptance, which has no body."""
        return Answer(self.success_status, [("apns-id", _push_id(request))])

    def judge(self, request: Request) -> Answer:
        """Check the headers, then the device, then the payload."""
        push_id = _push_id(request)
        reason = _refuse_route(request) or self._provider_tokens.refuse(
            request.headers.get("authorization")
        )
        reason = reason or self._refuse_headers(request)
        if reason:
            raise Refusal(refusal(reason, push_id))
        device = request.path[10:]
        if not DEVICE.fullmatch(device):
            raise Refusal(refusal("BadDeviceToken" if device else "MissingDeviceToken", push_id))
        payload = _read_push(request, push_id)
        push = Push(
            self.name,
            device.lower(),
            text_or_empty(payload.get("alert_id")),
            request.headers.get("apns-collapse-id", ""),
            request.body,
            time.time(),
        )
        return self.accept(push, Answer(200, [("apns-id", push_id)]))

    def _refuse_headers(self, request: Request) -> str | None:
        """Return the reason for which the headers are refused."""
        headers = request.headers
        kind = headers.get("apns-push-type", "")
        suffix = TOPIC_SUFFIXES.get(kind)
        if request.has_duplicates:
            return "DuplicateHeaders"
        if suffix is None:
            return "InvalidPushType"
        if headers.get("apns-priority", "10") not in PRIORITIES.get(kind, ANY_PRIORITY):
            return "BadPriority"
        return _refuse_form(headers) or self._refuse_topic(headers.get("apns-topic"), suffix)

    def _refuse_topic(self, topic: str | None, suffix: str) -> str | None:
        if topic == self._topic + suffix:
            return None
        if not topic:
            return "MissingTopic"
        return "TopicDisallowed" if TOPIC.fullmatch(topic) else "BadTopic"

    def apply_fault(self, fault: Fault, address: str, acceptance: Answer) -> Answer:
        """Return the answer under a fault, with the `apns-id` that every answer of Apple has."""
        answer = super().apply_fault(fault, address, acceptance)
        if answer is not acceptance and answer.failure is None:
            answer.headers = [*acceptance.headers, *answer.headers]
        return answer

    def fault_answer(self, kind: FaultKind, address: str) -> Answer:  # noqa: ARG002  # alike for all devices
        """Return Apple's answer: a reason, and with 410 the time since when."""
        reasons = {
            FaultKind.GONE: "Unregistered",
            FaultKind.GONE_LATER: "Unregistered",
            FaultKind.REFUSED: "BadDeviceToken",
        }
        return refusal(reasons.get(kind) or REASONS[STATUSES[kind]], "")

    def default_body(self, status: int) -> bytes:
        """Return a reason that Apple gives with the status."""
        return refusal(REASONS.get(status, "InternalServerError"), "").body

    def read_payload(self, payload: bytes) -> tuple[Fields, Fields]:
        """Return the text and the data of a payload: the data stands beside `aps`."""
        content = read_json(payload)
        alert = content["aps"].get("alert")
        text = alert if isinstance(alert, dict) else {"body": alert}
        return text, content


STATUS_BY_REASON = {
    "Unregistered": 410, "ExpiredToken": 410, "PayloadTooLarge": 413, "MethodNotAllowed": 405,
    "BadPath": 404, "ExpiredProviderToken": 403, "InvalidProviderToken": 403,
    "MissingProviderToken": 403, "Forbidden": 403, "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429, "InternalServerError": 500, "ServiceUnavailable": 503, "Shutdown": 503,
}  # fmt: skip


def refusal(reason: str, push_id: str) -> Answer:
    """Return Apple's answer for a reason; a reason not listed above is a 400."""
    status = STATUS_BY_REASON.get(reason, 400)
    content: dict[str, Any] = {"reason": reason}
    if status == STATUS_BY_REASON["Unregistered"]:
        content["timestamp"] = int(time.time() * 1000)
    headers: list[Header] = [("apns-id", push_id)] if push_id else []
    return Answer(status, headers, json.dumps(content).encode())


def _push_id(request: Request) -> str:
    """Return the sender's `apns-id`, or a new one where there is none or it is malformed."""
    push_id = request.headers.get("apns-id", "")
    return push_id if CANONICAL_ID.fullmatch(push_id) else str(uuid.uuid4())


def _refuse_route(request: Request) -> str | None:
    if not request.path.startswith("/3/device/"):
        return "MissingDeviceToken" if request.path == "/3/device" else "BadPath"
    return None if request.method == "POST" else "MethodNotAllowed"


def _read_push(request: Request, push_id: str) -> dict[str, Any]:
    """Return the payload; it must fit its push type."""
    if len(request.body) > MAX_BYTES:
        raise Refusal(refusal("PayloadTooLarge", push_id))
    try:
        payload = read_json(request.body)
    except ValueError:
        raise Refusal(refusal("PayloadEmpty", push_id)) from None
    aps = payload.get("aps") if isinstance(payload, dict) else None
    if not isinstance(aps, dict) or not aps:
        raise Refusal(refusal("PayloadEmpty", push_id))
    kind = request.headers["apns-push-type"]
    is_visible = "alert" in aps or "sound" in aps or "badge" in aps
    is_silent = aps.get("content-available") == 1 and not is_visible
    if (kind == "alert" and not is_visible) or (kind == "background" and not is_silent):
        raise Refusal(refusal("InvalidPushType", push_id))
    return dict(payload)


def _refuse_form(headers: Mapping[str, str]) -> str | None:
    """Return the reason for which an optional header is refused as malformed."""
    push_id = headers.get("apns-id")
    if push_id is not None and not CANONICAL_ID.fullmatch(push_id):
        return "BadMessageId"
    if _is_invalid_expiration(headers.get("apns-expiration", "0")):
        return "BadExpirationDate"
    collapse = headers.get("apns-collapse-id")
    if collapse is not None and not 0 < len(collapse.encode()) <= MAX_COLLAPSE_BYTES:
        return "BadCollapseId"
    return None


def _is_invalid_expiration(text: str) -> bool:
    if not text.isdecimal() or not text.isascii():
        return True
    return int(text) > time.time() + MAX_STORAGE_S + CLOCK_SKEW_S


class ProviderTokens:
    """Apple's check of provider tokens: each is verified once, and changes are counted."""

    def __init__(self, key: ec.EllipticCurvePublicKey, key_id: str, team_id: str) -> None:
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._issued_at: dict[str, float] = {}
        self._changes: deque[float] = deque(maxlen=MAX_CHANGES)

    def forget(self) -> None:
        """Forget all tokens and how often they changed."""
        self._changes.clear()
        self._issued_at.clear()

    def refuse(self, authorization: str | None) -> str | None:
        """Return the reason for which this `authorization` header is refused."""
        issued_at = self._issued_at.get(authorization or "")
        if issued_at is None:
            if not authorization or authorization[:7].lower() != "bearer ":
                return "MissingProviderToken"
            issued_at = self._verify(authorization[7:].strip())
            if issued_at is None or issued_at > time.time() + CLOCK_SKEW_S:
                return "InvalidProviderToken"
            if issued_at < time.time() - TOKEN_LIFE_S:
                return "ExpiredProviderToken"
            return self._admit(authorization, issued_at)
        return "ExpiredProviderToken" if issued_at < time.time() - TOKEN_LIFE_S else None

    def _admit(self, authorization: str, issued_at: float) -> str | None:
        """Remember a new token unless there were too many changes; the first is no change."""
        moment = time.time()
        if len(self._changes) == MAX_CHANGES and self._changes[0] > moment - CHANGES_WITHIN_S:
            return "TooManyProviderTokenUpdates"
        if self._issued_at:
            self._changes.append(moment)
        while len(self._issued_at) >= MAX_TOKENS:
            del self._issued_at[next(iter(self._issued_at))]
        self._issued_at[authorization] = issued_at
        return None

    def _verify(self, token: str) -> float | None:
        """Return the time of issue of a token with a valid signature of our team."""
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["ES256"],
                options={"verify_iat": False, "verify_aud": False, "require": ["iss", "iat"]},
            )
        except (jwt.InvalidTokenError, ValueError):
            return None
        if header.get("kid") != self._key_id or claims["iss"] != self._team_id:
            return None
        issued_at = claims["iat"]
        if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
            return None
        return float(issued_at)
