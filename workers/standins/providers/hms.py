"""Huawei's side: Push Kit's v1 call for one app, and its OAuth 2.0 token endpoint.

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

from workers.standins.providers.exchange import Answer, Refused, Request, answer_json, read_json
from workers.standins.providers.grants import AccessTokens
from workers.standins.providers.standin import Standin, Words, text_of
from workers.standins.received import Push, Pushes
from workers.standins.weather import Kind, Sky

MOST_BYTES = 4096
MOST_TOKENS = 1000
LONGEST_TTL = 15 * 86_400
COLLAPSE_KEYS = range(-1, 101)
TOKEN_LIFE = 3600
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
CLICK_NEEDS = {1: ("intent", "action"), 2: ("url",), 3: ()}
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
        self, pushes: Pushes, sky: Sky, app_id: str, app_secret: str, tokens: AccessTokens
    ) -> None:
        super().__init__(pushes, sky)
        self._app_id = app_id
        self._app_secret = app_secret
        self._tokens = tokens

    def judge(self, request: Request) -> Answer:
        """Check the app and its token, then the message, then each device."""
        if request.path == "/oauth2/v3/token":
            return self._grant(request)
        found = re.fullmatch(r"/v1/([^/]+)/messages:send", request.path)
        if not found or request.method != "POST":
            return answer_json(404, {"error_msg": "The API does not exist"})
        self._check_sender(request, found[1])
        content = _read(request.body)
        message = content["message"]
        tokens = _check(message)
        if content.get("validate_only") is True:
            return answer_of(SUCCESS)
        return self._send(message, tokens)

    def _check_sender(self, request: Request, app_id: str) -> None:
        authorization = request.headers.get("authorization", "")
        end = self._tokens.end(authorization) if authorization else 0.0
        if not end:
            raise Refused(answer_of("80200001"))
        if end <= time.time():
            raise Refused(answer_of("80200003"))
        if app_id != self._app_id:
            raise Refused(answer_of("80300002"))

    def _send(self, message: dict[str, Any], tokens: list[str]) -> Answer:
        """Push to every device that is well-formed and that the weather spares."""
        good = [token for token in tokens if TOKEN.fullmatch(token)]
        if not good:
            return answer_of("80300007")
        stroke, hit = self.sift(good)
        delay = self.sky.latency(self.name, good[0])
        taken = _tally(tokens, [token for token in good if token not in hit])
        answer = taken if stroke is None else self.struck(stroke, good[0], taken)
        if self.is_taken(answer, taken, stroke):
            self._keep(message, [token for token in good if token not in hit])
        answer.delay = delay
        return answer

    def _keep(self, message: dict[str, Any], tokens: list[str]) -> None:
        payload = json.dumps({k: v for k, v in message.items() if k != "token"}).encode()
        _, data = self.read(payload)
        android = message.get("android") or {}
        tag = (android.get("notification") or {}).get("tag")
        key = str(tag or android.get("collapse_key") or "")
        moment = time.time()
        for token in tokens:
            self.pushes.keep(
                Push(self.name, token, text_of(data.get("alert_id")), key, payload, moment)
            )

    def _grant(self, request: Request) -> Answer:
        """Trade the app's id and secret for an access token."""
        form = parse_qs(request.body.decode("latin-1"))
        given = {name: values[0] for name, values in form.items()}
        wrong = {"error": 1101, "sub_error": 20042, "error_description": "invalid request"}
        if request.method != "POST" or given.get("grant_type") != "client_credentials":
            return answer_json(400, wrong)
        secret = given.get("client_secret", "").encode()
        known = secrets.compare_digest(secret, self._app_secret.encode())
        if given.get("client_id") != self._app_id or not known:
            described = {"sub_error": 20044, "error_description": "invalid client_secret"}
            return answer_json(401, wrong | described)
        token = self._tokens.issue(TOKEN_LIFE)
        return answer_json(
            200, {"access_token": token, "expires_in": TOKEN_LIFE, "token_type": "Bearer"}
        )

    def blow(self, kind: Kind, address: str) -> Answer:
        """Return Huawei's trouble: flow control is a 503, an inner error a code."""
        if kind in (Kind.GONE, Kind.GONE_LATER, Kind.REFUSED):
            return _tally([address], [])
        if kind is Kind.FAILED:
            return answer_of("81000001")
        return answer_json(503, {"error_msg": "The traffic is being controlled"})

    def is_yes(self, answer: Answer) -> bool:
        """Say whether the code inside the answer is that of success."""
        return answer.status == HTTPStatus.OK and SUCCESS.encode() in answer.body

    def excuse(self, status: int) -> bytes:
        """Return a body that goes with the status."""
        return json.dumps({"error_msg": f"HTTP {status}"}).encode()

    def read(self, payload: bytes) -> tuple[Words, Words]:
        """Return the words of a message and its data, which Huawei carries as one string."""
        message = read_json(payload)
        android = message.get("android") or {}
        try:
            data = read_json((android.get("data") or message.get("data") or "{}").encode())
        except ValueError:
            data = {}
        data = data if isinstance(data, dict) else {}
        shown = (message.get("notification") or {}) | (android.get("notification") or {})
        return data | shown, data


def answer_of(code: str, message: str | None = None) -> Answer:
    """Return Huawei's answer for a code."""
    request_id = f"{time.time_ns() // 1000}{secrets.randbelow(10**6):06}"
    text = message or MESSAGES.get(code, "error")
    return answer_json(200, {"code": code, "msg": text, "requestId": request_id})


def _tally(tokens: list[str], taken: list[str]) -> Answer:
    """Return success, partial success with the illegal tokens, or that all are illegal."""
    if len(taken) == len(tokens):
        return answer_of(SUCCESS)
    if not taken:
        return answer_of("80300007")
    fine = set(taken)
    illegal = [token for token in tokens if token not in fine]
    report = {"success": len(taken), "failure": len(illegal), "illegal_tokens": illegal}
    return answer_of(PARTIAL, json.dumps(report))


def _read(body: bytes) -> dict[str, Any]:
    try:
        content = read_json(body)
    except ValueError:
        raise Refused(answer_of("80100003")) from None
    if not isinstance(content, dict) or not isinstance(content.get("message"), dict):
        raise Refused(answer_of("80100003"))
    if set(content) - {"message", "validate_only"}:
        raise Refused(answer_of("80100003"))
    return content


def _check(message: dict[str, Any]) -> list[str]:
    """Return the tokens of a message that keeps the rules."""
    tokens = message.get("token")
    if set(message) - MESSAGE_FIELDS or not isinstance(tokens, list) or not tokens:
        raise Refused(answer_of("80100003"))
    if not all(isinstance(token, str) for token in tokens):
        raise Refused(answer_of("80100003"))
    if len(tokens) > MOST_TOKENS:
        raise Refused(answer_of("80300010"))
    if not isinstance(message.get("data", ""), str) or not isinstance(
        message.get("notification", {}), dict
    ):
        raise Refused(answer_of("80100003"))
    _check_android(message.get("android", {}))
    bare = {name: value for name, value in message.items() if name != "token"}
    if len(json.dumps(bare, ensure_ascii=False).encode()) > MOST_BYTES:
        raise Refused(answer_of("80300008"))
    return tokens


def _check_android(android: Any) -> None:
    if not isinstance(android, dict) or set(android) - ANDROID_FIELDS:
        raise Refused(answer_of("80100003"))
    if not isinstance(android.get("data", ""), str):
        raise Refused(answer_of("80100003"))
    if android.get("urgency", "NORMAL") not in ("HIGH", "NORMAL"):
        raise Refused(answer_of("80100001"))
    ttl = TTL.fullmatch(str(android.get("ttl", "86400s")))
    if not ttl or int(ttl[1]) > LONGEST_TTL:
        raise Refused(answer_of("80100001"))
    if int(ttl[1]) == 0:
        raise Refused(answer_of("80100004"))
    key = android.get("collapse_key", -1)
    if isinstance(key, bool) or not isinstance(key, int) or key not in COLLAPSE_KEYS:
        raise Refused(answer_of("80100013"))
    shown = android.get("notification")
    if shown is not None and not _is_clickable(shown):
        raise Refused(answer_of("80100003"))


def _is_clickable(shown: Any) -> bool:
    """Say whether a notification has the click action that Huawei demands, whole."""
    action = shown.get("click_action") if isinstance(shown, dict) else None
    if not isinstance(action, dict):
        return False
    kind = action.get("type")
    wanted = CLICK_NEEDS.get(kind) if isinstance(kind, int) else None
    return wanted is not None and (not wanted or any(action.get(name) for name in wanted))
