"""Google's side: FCM HTTP v1 for one project, and the token endpoint of its service account.

From the REST reference of projects.messages, "Firebase Cloud Messaging error codes", and "Using
OAuth 2.0 for Server to Server Applications". Bodies are worded as Google words them.
"""

import html
import json
import re
import secrets
import time
from typing import Any

from workers.standins.providers.exchange import (
    JSON_TYPE,
    Answer,
    Refused,
    Request,
    answer_json,
    read_json,
)
from workers.standins.providers.fcm_schema import Violation, examine
from workers.standins.providers.grants import AccessTokens, JwtGrants
from workers.standins.providers.standin import STATUSES, Standin, Words, text_of
from workers.standins.received import Push, Pushes
from workers.standins.weather import Kind, Sky

MOST_BYTES = 4096
LONGEST_TTL = 28 * 86_400
TARGETS = ("token", "fid", "topic", "condition")
TOKEN = re.compile(r"(?=.{32,4096}\Z)[\w-]+:[\w-]+", re.ASCII)
FID = re.compile(r"[\w-]{20,24}", re.ASCII)
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
        self, pushes: Pushes, sky: Sky, project: str, grants: JwtGrants, tokens: AccessTokens
    ) -> None:
        super().__init__(pushes, sky)
        self._project = project
        self._path = f"/v1/projects/{project}/messages:send"
        self._grants = grants
        self._tokens = tokens

    def judge(self, request: Request) -> Answer:
        """Check the route and the access token, then the message field by field."""
        if request.path != self._path or request.method != "POST":
            return self._elsewhere(request)
        if not self._tokens.good(request.headers.get("authorization")):
            return error(401)
        content = _content(request)
        message = _examined(content)
        target = _target(message)
        _check_second_version(message)
        _check_values(message, request.body)
        if content.get("validate_only") or content.get("validateOnly"):
            return self._accepted("fake_message_id")
        push = Push(
            self.name,
            target,
            text_of(_data(message).get("alert_id")),
            _collapse_key(message),
            request.body,
            time.time(),
        )
        return self.take(push, self._accepted())

    def _accepted(self, message_id: str | None = None) -> Answer:
        fresh = message_id or f"0:{time.time_ns() // 1000}%{secrets.token_hex(8)}"
        name = f'{{"name":"projects/{self._project}/messages/{fresh}"}}'
        return Answer(200, [JSON_TYPE], name.encode())

    def _elsewhere(self, request: Request) -> Answer:
        """Answer what is not a message of this project."""
        if request.path == "/token":
            return self._grants.answer(request)
        found = re.fullmatch(r"/v1/projects/([^/]+)/messages:send", request.path)
        if not found or request.method != "POST":
            return _page_not_found(request.path)
        if not self._tokens.good(request.headers.get("authorization")):
            return error(401)
        denied = (
            "Permission 'cloudmessaging.messages.create' denied on resource "
            f"'//cloudresourcemanager.googleapis.com/projects/{found[1]}' (or it may not exist)."
        )
        return error(403, denied, code=None)

    def blow(self, kind: Kind, address: str) -> Answer:  # noqa: ARG002  # alike for all devices
        """Return Google's trouble in Google's words."""
        return error(
            {Kind.GONE: 404, Kind.GONE_LATER: 404, Kind.REFUSED: 403}.get(kind) or STATUSES[kind]
        )

    def excuse(self, status: int) -> bytes:
        """Return the error that goes with the status."""
        return error(status).body

    def read(self, payload: bytes) -> tuple[Words, Words]:
        """Return the words and the data part of a send request."""
        message = read_json(payload)["message"]
        data = _data(message)
        android = _android(message)
        words = data | (message.get("notification") or {}) | (android.get("notification") or {})
        return words, data


def error(
    status: int,
    message: str | None = None,
    *,
    code: str | None = "",
    violation: tuple[str, str] | None = None,
) -> Answer:
    """Return Google's error: its FcmError has the status' own code unless `code` says otherwise."""
    name, usual, usual_code = ERRORS.get(status, ("UNKNOWN", "Unknown error.", None))
    details: list[dict[str, Any]] = []
    code = usual_code if code == "" else code
    if code:
        details.append({"@type": FCM_ERROR, "errorCode": code})
    if violation:
        field, description = violation
        found = [{"field": field, "description": description}]
        details.append({"@type": BAD_REQUEST, "fieldViolations": found})
    content: dict[str, Any] = {"code": status, "message": message or usual, "status": name}
    if details:
        content["details"] = details
    return answer_json(status, {"error": content})


def _refuse(field: str, description: str, *, code: str | None = None) -> Refused:
    return Refused(error(400, description, code=code, violation=(field, description)))


def _content(request: Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").startswith("application/json"):
        unbound = 'Invalid JSON payload received. Unknown name "": Cannot bind query parameter.'
        raise _refuse("", unbound)
    try:
        content = read_json(request.body)
    except ValueError:
        unexpected = "Invalid JSON payload received. Unexpected token."
        raise Refused(error(400, unexpected, code=None)) from None
    if not isinstance(content, dict):
        raise _refuse("", "Invalid JSON payload received. Root element must be a message.")
    return content


def _examined(content: dict[str, Any]) -> dict[str, Any]:
    try:
        examine(content)
    except Violation as violation:
        where, what = violation.field, violation.description
        if what.startswith("Unknown name"):
            at = f" at '{where}'" if where else ""
            text = f"Invalid JSON payload received. {what}{at}: Cannot find field."
        else:
            text = f"Invalid value at '{where}' ({what})"
        raise _refuse(where, text) from None
    message = content.get("message")
    if not message:
        raise _refuse("message", "The message is not set.")
    return dict(message)


def _target(message: dict[str, Any]) -> str:
    """Return the one target; a topic or condition is one too, but no device."""
    named = [name for name in TARGETS if message.get(name)]
    if not named:
        raise _refuse("message", "Recipient of the message is not set.", code="INVALID_ARGUMENT")
    if len(named) > 1:
        twice = f"oneof field 'target' is already set. Cannot set '{named[1]}'"
        raise _refuse("message", f"Invalid value at 'message' (oneof), {twice}")
    target = str(message[named[0]])
    form = {"token": TOKEN, "fid": FID}.get(named[0])
    if form is not None and not form.fullmatch(target):
        raise Refused(error(400, BAD_TOKEN))
    return target if form is not None else f"{named[0]}:{target}"


def _check_second_version(message: dict[str, Any]) -> None:
    """Demand that AndroidConfigV2 says what kind of message it is: one of two."""
    newer = message.get("androidV2") or message.get("android_v2")
    kinds = ("remoteNotification", "remote_notification", "backgroundSync", "background_sync")
    if newer and sum(newer.get(kind) is not None for kind in kinds) != 1:
        one = "Exactly one of remote_notification and background_sync must be set."
        raise _refuse("message.android_v2", one, code="INVALID_ARGUMENT")


def _check_values(message: dict[str, Any], body: bytes) -> None:
    """Refuse what the schema allows and the rules do not: keys, TTL and size."""
    android = _android(message)
    for where, data in (("message", message.get("data")), ("message.android", android.get("data"))):
        for key in data or ():
            if RESERVED.fullmatch(key):
                raise _refuse(
                    f"{where}.data", f"Invalid data payload key: {key}", code="INVALID_ARGUMENT"
                )
    ttl = android.get("ttl")
    if ttl is not None and not 0 <= float(ttl[:-1]) <= LONGEST_TTL:
        unfit = "TTL must be between 0 and 2419200 seconds."
        raise _refuse("message.android.ttl", unfit, code="INVALID_ARGUMENT")
    if len(body) > MOST_BYTES and _size(message, android) > MOST_BYTES:
        raise Refused(error(400))
    payload = (message.get("apns") or {}).get("payload") if len(body) > MOST_BYTES else None
    if payload and len(json.dumps(payload, ensure_ascii=False).encode()) > MOST_BYTES:
        raise Refused(error(400))


def _size(message: dict[str, Any], android: dict[str, Any]) -> int:
    """Return the bytes of the keys and values that travel to an Android device."""
    parts = [message.get("notification"), android.get("notification"), _data(message)]
    pairs = [pair for part in parts if part for pair in part.items()]
    return sum(len(key.encode()) + len(str(value).encode()) for key, value in pairs)


def _android(message: dict[str, Any]) -> dict[str, Any]:
    """Return what is meant for Android; of the second version what the first has too."""
    newer = message.get("androidV2") or message.get("android_v2")
    if not newer:
        return message.get("android") or {}
    remote = newer.get("remoteNotification") or newer.get("remote_notification") or {}
    return {**newer, "notification": remote.get("notification")}


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
