"""Huawei's servers: Push Kit's v1 call for one app, and its OAuth 2.0 token endpoint.

From "Sending Messages" and its table of response codes in the HMS Core documentation. The HTTP
status is 200 whatever the `code` in the body says.
"""

import json
import re
import secrets
import time
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from workers.standins.misbehaviour.faults import FaultKind
from workers.standins.misbehaviour.settings import MisbehaviourSettings
from workers.standins.providers.exchange import Answer, Refusal, Request, answer_json, read_json
from workers.standins.providers.grants import AccessTokens
from workers.standins.providers.standin import Fields, Standin, text_or_empty
from workers.standins.received_pushes import Push, ReceivedPushes

MAX_BYTES = 4096
MAX_TOKENS = 1000
MAX_TTL_S = 15 * 86_400
COLLAPSE_KEYS = range(-1, 101)
TOKEN_LIFE_S = 3600
TOKEN = re.compile(r"[\w\-=+/:.]{16,1024}", re.ASCII)
TTL = re.compile(r"(\d{1,9})s?", re.IGNORECASE | re.ASCII)
MESSAGE_FIELDS = {
    "data",
    "notification",
    "android",
    "apns",
    "webpush",
    "token",
    "topic",
    "condition",
}
ANDROID_FIELDS = {
    "collapse_key", "urgency", "category", "ttl", "bi_tag", "receipt_id", "fast_app_target",
    "data", "notification",
}  # fmt: skip
CLICK_FIELDS = {1: ("intent", "action"), 2: ("url",), 3: ()}
SUCCESS, PARTIAL = "80000000", "80100000"
MESSAGES = {
    SUCCESS: "Success",
    "80100001": "Incorrect parameter",
    "80100003": "Incorrect message structure",
    "80100004": "The message expiration time is earlier than the current time",
    "80100013": "The collapse_key message field is invalid",
    "80100016": "The message contains sensitive information",
    "80200001": "OAuth authentication error",
    "80200003": "OAuth token expired",
    "80300002": "The current app does not have the permission to send messages",
    "80300007": "All tokens are invalid",
    "80300008": "The message body size exceeds the default value",
    "80300010": "The number of tokens in the message body exceeds the default value",
    "81000001": "System inner error",
}


class Hms(Standin):
    """push-api.cloud.huawei.com and oauth-login.cloud.huawei.com in one."""

    name = "hms"

    def __init__(
        self,
        pushes: ReceivedPushes,
        misbehaviour: MisbehaviourSettings,
        app_id: str,
        app_secret: str,
        tokens: AccessTokens,
    ) -> None:
        super().__init__(pushes, misbehaviour)
        self._app_id = app_id
        self._app_secret = app_secret
        self._tokens = tokens

    def judge(self, request: Request) -> Answer:
        """Check the app and its token, then the message, then each device."""
        if request.path == "/oauth2/v3/token":
            answer = self._answer_grant(request)
            answer.delay_s = self.misbehaviour.token_latency_s(self.name)
            return answer
        route = re.fullmatch(r"/v1/([^/]+)/messages:send", request.path)
        if not route or request.method != "POST":
            return answer_json(404, {"error_msg": "The API does not exist"})
        self._check_sender(request, route[1])
        content = _read_content(request.body)
        message = content["message"]
        tokens = _check_message(message)
        if content.get("validate_only") is True:
            return answer_code(SUCCESS)
        return self._send(message, tokens)

    def _check_sender(self, request: Request, app_id: str) -> None:
        authorization = request.headers.get("authorization", "")
        expiry = self._tokens.find_expiry(authorization) if authorization else 0.0
        if not expiry:
            raise Refusal(answer_code("80200001"))
        if expiry <= time.time():
            raise Refusal(answer_code("80200003"))
        if app_id != self._app_id:
            raise Refusal(answer_code("80300002"))

    def _send(self, message: dict[str, Any], tokens: list[str]) -> Answer:
        """Push to every well-formed token that meets no fault of its own."""
        valid = [token for token in tokens if TOKEN.fullmatch(token)]
        if not valid:
            return answer_code("80300007")
        fault, device_faults = self.draw_faults(valid)
        valid_tokens = [token for token in valid if token not in device_faults]
        acceptance = _answer_tokens(tokens, valid_tokens)
        answer = acceptance
        if fault is not None:
            answer = self.apply_fault(fault, valid[0], acceptance)
        if self.was_received(answer, acceptance, fault):
            self._add_pushes(message, valid_tokens)
        answer.delay_s = self.misbehaviour.latency_s(self.name, valid[0])
        return answer

    def _add_pushes(self, message: dict[str, Any], tokens: list[str]) -> None:
        payload = json.dumps({k: v for k, v in message.items() if k != "token"}).encode()
        _, data = self.read_payload(payload)
        android = message.get("android") or {}
        tag = (android.get("notification") or {}).get("tag")
        key = str(tag or android.get("collapse_key") or "")
        moment = time.time()
        for token in tokens:
            self.pushes.add(
                Push(self.name, token, text_or_empty(data.get("alert_id")), key, payload, moment)
            )

    def _answer_grant(self, request: Request) -> Answer:
        """Exchange the app's id and secret for an access token."""
        form = parse_qs(request.body.decode("latin-1"))
        fields = {name: values[0] for name, values in form.items()}
        invalid_request = {
            "error": 1101,
            "sub_error": 20042,
            "error_description": "invalid request",
        }
        if request.method != "POST" or fields.get("grant_type") != "client_credentials":
            return answer_json(400, invalid_request)
        secret = fields.get("client_secret", "").encode()
        is_our_secret = secrets.compare_digest(secret, self._app_secret.encode())
        if fields.get("client_id") != self._app_id or not is_our_secret:
            invalid_secret = {"sub_error": 20044, "error_description": "invalid client_secret"}
            return answer_json(401, invalid_request | invalid_secret)
        token = self._tokens.issue(TOKEN_LIFE_S)
        return answer_json(
            200, {"access_token": token, "expires_in": TOKEN_LIFE_S, "token_type": "Bearer"}
        )

    def fault_answer(self, kind: FaultKind, address: str) -> Answer:
        """Return Huawei's answer: flow control is a 503, an internal error a code."""
        if kind in (FaultKind.GONE, FaultKind.GONE_LATER, FaultKind.REFUSED):
            return _answer_tokens([address], [])
        if kind is FaultKind.FAILED:
            return answer_code("81000001")
        return answer_json(503, {"error_msg": "The traffic is being controlled"})

    def is_acceptance(self, answer: Answer) -> bool:
        """Say whether the code in the body is that of success."""
        return answer.status == HTTPStatus.OK and SUCCESS.encode() in answer.body

    def default_body(self, status: int) -> bytes:
        """Return a body for the status."""
        return json.dumps({"error_msg": f"HTTP {status}"}).encode()

    def read_payload(self, payload: bytes) -> tuple[Fields, Fields]:
        """Return the text of a message and its data, which Huawei carries as one string."""
        message = read_json(payload)
        android = message.get("android") or {}
        try:
            data = read_json((android.get("data") or message.get("data") or "{}").encode())
        except ValueError:
            data = {}
        data = data if isinstance(data, dict) else {}
        text = (message.get("notification") or {}) | (android.get("notification") or {})
        return data | text, data


def answer_code(code: str, message: str | None = None) -> Answer:
    """Return Huawei's answer for a code."""
    request_id = f"{time.time_ns() // 1000}{secrets.randbelow(10**6):06}"
    text = message or MESSAGES.get(code, "error")
    return answer_json(200, {"code": code, "msg": text, "requestId": request_id})


def _answer_tokens(tokens: list[str], valid_tokens: list[str]) -> Answer:
    """Return success, partial success with the illegal tokens, or that all are illegal."""
    if len(valid_tokens) == len(tokens):
        return answer_code(SUCCESS)
    if not valid_tokens:
        return answer_code("80300007")
    legal = set(valid_tokens)
    illegal = [token for token in tokens if token not in legal]
    report = {"success": len(valid_tokens), "failure": len(illegal), "illegal_tokens": illegal}
    return answer_code(PARTIAL, json.dumps(report))


def _read_content(body: bytes) -> dict[str, Any]:
    try:
        content = read_json(body)
    except ValueError:
        raise Refusal(answer_code("80100003")) from None
    if not isinstance(content, dict) or not isinstance(content.get("message"), dict):
        raise Refusal(answer_code("80100003"))
    if set(content) - {"message", "validate_only"}:
        raise Refusal(answer_code("80100003"))
    return content


def _check_message(message: dict[str, Any]) -> list[str]:
    """Return the tokens of a message after all checks."""
    tokens = message.get("token")
    if set(message) - MESSAGE_FIELDS or not isinstance(tokens, list) or not tokens:
        raise Refusal(answer_code("80100003"))
    if not all(isinstance(token, str) for token in tokens):
        raise Refusal(answer_code("80100003"))
    if len(tokens) > MAX_TOKENS:
        raise Refusal(answer_code("80300010"))
    if not isinstance(message.get("data", ""), str) or not isinstance(
        message.get("notification", {}), dict
    ):
        raise Refusal(answer_code("80100003"))
    _check_android(message.get("android", {}))
    content = {name: value for name, value in message.items() if name != "token"}
    if len(json.dumps(content, ensure_ascii=False).encode()) > MAX_BYTES:
        raise Refusal(answer_code("80300008"))
    return tokens


def _check_android(android: Any) -> None:
    if not isinstance(android, dict) or set(android) - ANDROID_FIELDS:
        raise Refusal(answer_code("80100003"))
    if not isinstance(android.get("data", ""), str):
        raise Refusal(answer_code("80100003"))
    if android.get("urgency", "NORMAL") not in ("HIGH", "NORMAL"):
        raise Refusal(answer_code("80100001"))
    ttl = TTL.fullmatch(str(android.get("ttl", "86400s")))
    if not ttl or int(ttl[1]) > MAX_TTL_S:
        raise Refusal(answer_code("80100001"))
    if int(ttl[1]) == 0:
        raise Refusal(answer_code("80100004"))
    key = android.get("collapse_key", -1)
    if isinstance(key, bool) or not isinstance(key, int) or key not in COLLAPSE_KEYS:
        raise Refusal(answer_code("80100013"))
    display = android.get("notification")
    if display is not None and not _is_clickable(display):
        raise Refusal(answer_code("80100003"))


def _is_clickable(display: Any) -> bool:
    """Whether it has the complete click action that Huawei requires."""
    action = display.get("click_action") if isinstance(display, dict) else None
    if not isinstance(action, dict):
        return False
    kind = action.get("type")
    names = CLICK_FIELDS.get(kind) if isinstance(kind, int) else None
    return names is not None and (not names or any(action.get(name) for name in names))
