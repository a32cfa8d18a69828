"""Google's servers: FCM HTTP v1 for one project, and the token endpoint of its service account.

From the REST reference of projects.messages, "Firebase Cloud Messaging error codes", and "Using
OAuth 2.0 for Server to Server Applications". Bodies have Google's words.
"""

import html
import json
import re
import secrets
import time
from typing import Any

from workers.standins.misbehaviour.faults import FaultKind
from workers.standins.misbehaviour.settings import MisbehaviourSettings
from workers.standins.providers.exchange import (
    JSON_TYPE,
    Answer,
    Refusal,
    Request,
    answer_json,
    read_json,
)
from workers.standins.providers.fcm_schema import Violation, check_schema
from workers.standins.providers.grants import AccessTokens, JwtGrants
from workers.standins.providers.standin import STATUSES, Fields, Standin, text_or_empty
from workers.standins.received_pushes import Push, ReceivedPushes

MAX_BYTES = 4096
MAX_TTL_S = 28 * 86_400
TARGETS = ("token", "fid", "topic", "condition")
TOKEN = re.compile(r"(?=.{32,4096}\Z)[\w-]+:[\w-]+", re.ASCII)
FID = re.compile(r"[\w-]{20,24}", re.ASCII)
COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
RESERVED = re.compile(r"from|message_type|google.*|gcm.*", re.DOTALL)
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
BAD_TOKEN = "The registration token is not a valid FCM registration token"
UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
    "or other valid authentication credential."
)
ERRORS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument.", "INVALID_ARGUMENT"),
    401: ("UNAUTHENTICATED", UNAUTHENTICATED, None),
    403: ("PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH"),
    404: ("NOT_FOUND", "Requested entity was not found.", "UNREGISTERED"),
    429: ("RESOURCE_EXHAUSTED", "Quota exceeded for the project.", "QUOTA_EXCEEDED"),
    500: ("INTERNAL", "Internal error encountered.", "INTERNAL"),
    503: ("UNAVAILABLE", "The service is currently unavailable.", "UNAVAILABLE"),
}


class Fcm(Standin):
    """fcm.googleapis.com and oauth2.googleapis.com in one."""

    name = "fcm"

    def __init__(
        self,
        pushes: ReceivedPushes,
        misbehaviour: MisbehaviourSettings,
        project: str,
        grants: JwtGrants,
        tokens: AccessTokens,
    ) -> None:
        super().__init__(pushes, misbehaviour)
        self._project = project
        self._path = f"/v1/projects/{project}/messages:send"
        self._grants = grants
        self._tokens = tokens

    def judge(self, request: Request) -> Answer:
        """Check the route and the access token, then the message field by field."""
        if request.path != self._path or request.method != "POST":
            return self._answer_other_route(request)
        if not self._tokens.is_valid(request.headers.get("authorization")):
            return error(401)
        content = _read_content(request)
        message = _read_message(content)
        target = _target(message)
        _check_android_v2(message)
        _check_values(message, request.body)
        _check_colour(message)
        if content.get("validate_only") or content.get("validateOnly"):
            return self._accepted("fake_message_id")
        push = Push(
            self.name,
            target,
            text_or_empty(_data(message).get("alert_id")),
            _collapse_key(message),
            request.body,
            time.time(),
        )
        return self.accept(push, self._accepted())

    def _accepted(self, message_id: str | None = None) -> Answer:
        new_id = message_id or f"0:{time.time_ns() // 1000}%{secrets.token_hex(8)}"
        name = f'{{"name":"projects/{self._project}/messages/{new_id}"}}'
        return Answer(200, [JSON_TYPE], name.encode())

    def _answer_other_route(self, request: Request) -> Answer:
        """Answer a request that sends no message of this project."""
        if request.path == "/token":
            answer = self._grants.answer(request)
            answer.delay_s = self.misbehaviour.token_latency_s(self.name)
            return answer
        route = re.fullmatch(r"/v1/projects/([^/]+)/messages:send", request.path)
        if not route or request.method != "POST":
            return _page_not_found(request.path)
        if not self._tokens.is_valid(request.headers.get("authorization")):
            return error(401)
        message = (
            "Permission 'cloudmessaging.messages.create' denied on resource "
            f"'//cloudresourcemanager.googleapis.com/projects/{route[1]}' (or it may not exist)."
        )
        return error(403, message, code=None)

    def fault_answer(self, kind: FaultKind, address: str) -> Answer:  # noqa: ARG002  # alike for all devices
        """Return Google's answer to this kind of fault."""
        return error(
            {FaultKind.GONE: 404, FaultKind.GONE_LATER: 404, FaultKind.REFUSED: 403}.get(kind)
            or STATUSES[kind]
        )

    def default_body(self, status: int) -> bytes:
        """Return the error that goes with the status."""
        return error(status).body

    def read_payload(self, payload: bytes) -> tuple[Fields, Fields]:
        """Return the text and the data of a send request."""
        message = read_json(payload)["message"]
        data = _data(message)
        android = _android(message)
        text = data | (message.get("notification") or {}) | (android.get("notification") or {})
        return text, data


def error(
    status: int,
    message: str | None = None,
    *,
    code: str | None = "",
    violation: tuple[str, str] | None = None,
) -> Answer:
    """Return Google's error: its FcmError has the status' own code unless `code` says otherwise."""
    name, default_message, default_code = ERRORS.get(status, ("UNKNOWN", "Unknown error.", None))
    details: list[dict[str, Any]] = []
    code = default_code if code == "" else code
    if code:
        details.append({"@type": FCM_ERROR, "errorCode": code})
    if violation:
        field, description = violation
        violations = [{"field": field, "description": description}]
        details.append({"@type": BAD_REQUEST, "fieldViolations": violations})
    content: dict[str, Any] = {
        "code": status,
        "message": message or default_message,
        "status": name,
    }
    if details:
        content["details"] = details
    return answer_json(status, {"error": content})


def _refuse(field: str, description: str, *, code: str | None = None) -> Refusal:
    return Refusal(error(400, description, code=code, violation=(field, description)))


def _read_content(request: Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").startswith("application/json"):
        message = 'Invalid JSON payload received. Unknown name "": Cannot bind query parameter.'
        raise _refuse("", message)
    try:
        content = read_json(request.body)
    except ValueError:
        message = "Invalid JSON payload received. Unexpected token."
        raise Refusal(error(400, message, code=None)) from None
    if not isinstance(content, dict):
        raise _refuse("", "Invalid JSON payload received. Root element must be a message.")
    return content


def _read_message(content: dict[str, Any]) -> dict[str, Any]:
    try:
        check_schema(content)
    except Violation as violation:
        path, description = violation.field, violation.description
        if description.startswith("Unknown name"):
            suffix = f" at '{path}'" if path else ""
            text = f"Invalid JSON payload received. {description}{suffix}: Cannot find field."
        else:
            text = f"Invalid value at '{path}' ({description})"
        raise _refuse(path, text) from None
    message = content.get("message")
    if not message:
        raise _refuse("message", "The message is not set.")
    return dict(message)


def _target(message: dict[str, Any]) -> str:
    """Return the only target; a topic or condition is one too, but no device."""
    targets = [name for name in TARGETS if message.get(name)]
    if not targets:
        raise _refuse("message", "Recipient of the message is not set.", code="INVALID_ARGUMENT")
    if len(targets) > 1:
        reason = f"oneof field 'target' is already set. Cannot set '{targets[1]}'"
        raise _refuse("message", f"Invalid value at 'message' (oneof), {reason}")
    target = str(message[targets[0]])
    pattern = {"token": TOKEN, "fid": FID}.get(targets[0])
    if pattern is not None and not pattern.fullmatch(target):
        raise Refusal(error(400, BAD_TOKEN))
    return target if pattern is not None else f"{targets[0]}:{target}"


def _check_android_v2(message: dict[str, Any]) -> None:
    """Check that AndroidConfigV2 has exactly one of its two kinds of message."""
    config = message.get("androidV2") or message.get("android_v2")
    kinds = ("remoteNotification", "remote_notification", "backgroundSync", "background_sync")
    if config and sum(config.get(kind) is not None for kind in kinds) != 1:
        reason = "Exactly one of remote_notification and background_sync must be set."
        raise _refuse("message.android_v2", reason, code="INVALID_ARGUMENT")


def _check_values(message: dict[str, Any], body: bytes) -> None:
    """Check what the schema does not: reserved keys, TTL and size."""
    android = _android(message)
    for path, data in (("message", message.get("data")), ("message.android", android.get("data"))):
        for key in data or ():
            if RESERVED.fullmatch(key):
                raise _refuse(
                    f"{path}.data", f"Invalid data payload key: {key}", code="INVALID_ARGUMENT"
                )
    ttl = android.get("ttl")
    if ttl is not None and not 0 <= float(ttl[:-1]) <= MAX_TTL_S:
        reason = "TTL must be between 0 and 2419200 seconds."
        raise _refuse("message.android.ttl", reason, code="INVALID_ARGUMENT")
    if len(body) > MAX_BYTES and _size(message, android) > MAX_BYTES:
        raise Refusal(error(400))
    payload = (message.get("apns") or {}).get("payload") if len(body) > MAX_BYTES else None
    if payload and len(json.dumps(payload, ensure_ascii=False).encode()) > MAX_BYTES:
        raise Refusal(error(400))


def _check_colour(message: dict[str, Any]) -> None:
    """Check that the colour of an Android notification is #rrggbb."""
    display = _android(message).get("notification") or {}
    colour = display.get("color")
    if colour is not None and not COLOUR.fullmatch(colour):
        reason = f"Invalid notification color: {colour}. It must have the form #rrggbb."
        field = "message.android.notification.color"
        raise _refuse(field, reason, code="INVALID_ARGUMENT")


def _size(message: dict[str, Any], android: dict[str, Any]) -> int:
    """Return the size in bytes of the keys and values for an Android device."""
    parts = [message.get("notification"), android.get("notification"), _data(message)]
    pairs = [pair for part in parts if part for pair in part.items()]
    return sum(len(key.encode()) + len(str(value).encode()) for key, value in pairs)


def _android(message: dict[str, Any]) -> dict[str, Any]:
    """Return the Android part; of its second version what the first one has too."""
    config = message.get("androidV2") or message.get("android_v2")
    if not config:
        return message.get("android") or {}
    remote = config.get("remoteNotification") or config.get("remote_notification") or {}
    return {**config, "notification": remote.get("notification")}


def _data(message: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = _android(message).get("data") or message.get("data") or {}
    return data


def _collapse_key(message: dict[str, Any]) -> str:
    android = _android(message)
    key = android.get("collapseKey") or android.get("collapse_key")
    return str(key or (android.get("notification") or {}).get("tag") or "")


def _page_not_found(path: str) -> Answer:
    page = (
        "<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)!!1</title>"
        f"<p>The requested URL <code>{html.escape(path)}</code> was not found on this server."
    )
    return Answer(404, [("content-type", "text/html; charset=UTF-8")], page.encode())
