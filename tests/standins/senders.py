"""Senders written from the providers' public rules only, to test the stand-ins with."""

import base64
import json
import os
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import http_ece
import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

DEVICE = "ab" * 32
FCM_TOKEN = "dGhpcyBpcyBhbiBpbnN0:APA91b" + "x" * 120
FID = "cXJzdHV2d3h5eoGCg4SFhg"
EXPO_TOKEN = "ExponentPushToken[abcdefghijklmnopqrstuv]"
HMS_TOKEN = "IQAAAACy" + "h" * 100
DATA = {
    "alert_id": "71",
    "story_id": "12",
    "delivery_id": "9f0c2f4e-5a0b-5a37-8f64-1c6fbd0f3a11",
    "url": "https://newspoint.example.com/stories/rain",
    "receipt": "signed",
}
WORDS = {"title": "बारिश का अलर्ट", "body": "Heavy rain by noon \N{UMBRELLA WITH RAIN DROPS}"}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass
class Apple:
    client: httpx.Client
    settings: dict[str, str]
    token: str = ""

    def mint(self, *, key=None, kid=None, issuer=None, age=0, algorithm="ES256", **claims) -> str:
        key = key or Path(self.settings["APNS_KEY_FILE"]).read_text()
        claims = {
            "iss": issuer or self.settings["APNS_TEAM_ID"],
            "iat": int(time.time()) - age,
        } | claims
        headers = {"kid": kid or self.settings["APNS_KEY_ID"]}
        return jwt.encode(claims, key, algorithm, headers)

    def push(
        self, device=DEVICE, body=None, *, method="POST", path=None, **changes
    ) -> httpx.Response:
        """Push; a header that is None is left out, one that is a list is sent once per value."""
        if not self.token:
            self.token = self.mint()
        headers = {
            "authorization": f"bearer {self.token}",
            "apns-topic": self.settings["APNS_TOPIC"],
            "apns-push-type": "alert",
            "apns-priority": "10",
            "apns-expiration": str(int(time.time()) + 3600),
            "apns-collapse-id": "story-12",
            "apns-id": str(uuid.uuid4()),
        } | {name.replace("_", "-"): value for name, value in changes.items()}
        if body is None:
            body = json.dumps({"aps": {"alert": WORDS}, **DATA}).encode()
        url = self.settings["APNS_URL"] + (path if path is not None else f"/3/device/{device}")
        return self.client.request(method, url, headers=lines(headers), content=body)


@dataclass
class Google:
    client: httpx.Client
    settings: dict[str, str]
    token: str = ""

    @property
    def account(self) -> dict[str, str]:
        return json.loads(Path(self.settings["FCM_CREDENTIALS_FILE"]).read_text())

    def assertion(self, *, key=None, algorithm="RS256", **changes) -> str:
        now = int(time.time())
        claims = {
            "iss": self.account["client_email"],
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": "https://oauth2.googleapis.com/token",
            "iat": now,
            "exp": now + 3600,
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key or self.account["private_key"], algorithm)

    def grant(
        self, assertion: str, kind="urn:ietf:params:oauth:grant-type:jwt-bearer"
    ) -> httpx.Response:
        form = {"grant_type": kind, "assertion": assertion}
        return self.client.post(self.account["token_uri"], data=form)

    def push(
        self, *, authorization=None, project=None, path=None, content=None, **message
    ) -> httpx.Response:
        if not self.token:
            self.token = self.grant(self.assertion()).json()["access_token"]
        defaults = {
            "token": FCM_TOKEN,
            "data": DATA,
            "notification": WORDS,
            "android": {"ttl": "3600s", "priority": "HIGH", "collapse_key": "story-12"},
        }
        if content is None:
            merged = defaults | message
            content = {"message": {k: v for k, v in merged.items() if v is not None}}
        project = project or self.account["project_id"]
        path = path or f"/v1/projects/{project}/messages:send"
        headers = {"authorization": authorization or f"Bearer {self.token}"}
        return self.client.post(self.settings["FCM_URL"] + path, json=content, headers=headers)


@dataclass
class Browser:
    """One subscription, as the control API returned it."""

    address: str
    keys: dict[str, str] = field(default_factory=dict)


@dataclass
class Mozilla:
    client: httpx.Client
    settings: dict[str, str]
    vapid_key: ec.EllipticCurvePrivateKey | None = None

    def key(self) -> ec.EllipticCurvePrivateKey:
        if self.vapid_key is None:
            pem = Path(self.settings["WEBPUSH_VAPID_KEY_FILE"]).read_bytes()
            self.vapid_key = load_pem_private_key(pem, None)
        return self.vapid_key

    def vapid(self, browser: Browser, *, key=None, shown=None, **changes: Any) -> str:
        key = key or self.key()
        endpoint = urlsplit(browser.address)
        claims = {
            "aud": f"{endpoint.scheme}://{endpoint.netloc}",
            "exp": int(time.time()) + 3600,
            "sub": self.settings["WEBPUSH_SUBJECT"],
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return f"vapid t={jwt.encode(claims, key, 'ES256')}, k={b64(shown or point(key))}"

    def encrypt(self, browser: Browser, plain: bytes | None = None, **changes: Any) -> bytes:
        if plain is None:
            plain = json.dumps(DATA | WORDS | {"tag": "story-12"}).encode()
        options = {
            "salt": os.urandom(16),
            "private_key": ec.generate_private_key(ec.SECP256R1()),
            "dh": unb64(browser.keys["p256dh"]),
            "auth_secret": unb64(browser.keys["auth"]),
            "version": "aes128gcm",
        }
        return http_ece.encrypt(plain, **(options | changes))

    def push(
        self, browser: Browser, body: bytes | None = None, *, method="POST", **changes
    ) -> httpx.Response:
        headers = {
            "ttl": "600",
            "urgency": "high",
            "topic": "story-12",
            "content-encoding": "aes128gcm",
            "authorization": self.vapid(browser),
        } | {name.replace("_", "-"): value for name, value in changes.items()}
        content = self.encrypt(browser) if body is None else body
        return self.client.request(method, browser.address, headers=lines(headers), content=content)


def lines(headers: dict[str, Any]) -> list[tuple[str, str]]:
    pairs = []
    for name, value in headers.items():
        pairs += [
            (name, each)
            for each in (value if isinstance(value, list) else [value])
            if each is not None
        ]
    return pairs


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Huawei:
    client: httpx.Client
    settings: dict[str, str]
    token: str = ""

    def grant(self, **changes: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings["HMS_APP_ID"],
            "client_secret": self.settings["HMS_APP_SECRET"],
        } | changes
        return self.client.post(self.settings["HMS_TOKEN_URL"] + "/oauth2/v3/token", data=form)

    def push(
        self, *, authorization=None, app_id=None, validate_only=False, **message
    ) -> httpx.Response:
        if not self.token:
            self.token = self.grant().json()["access_token"]
        notification = WORDS | {"click_action": {"type": 3}, "tag": "story-12"}
        defaults = {
            "data": json.dumps(DATA),
            "notification": WORDS,
            "android": {"urgency": "HIGH", "ttl": "3600s", "notification": notification},
            "token": [HMS_TOKEN],
        }
        bearer = f"Bearer {self.token}" if authorization is None else authorization
        url = f"{self.settings['HMS_URL']}/v1/{app_id or self.settings['HMS_APP_ID']}/messages:send"
        content = {"validate_only": validate_only, "message": defaults | message}
        return self.client.post(url, json=content, headers={"authorization": bearer})


@dataclass
class Expo:
    client: httpx.Client
    settings: dict[str, str]

    def message(self, **changes: Any) -> dict[str, Any]:
        defaults = {"to": EXPO_TOKEN, "data": DATA, "priority": "high", "tag": "story-12"}
        return defaults | WORDS | changes

    def push(self, messages: Any, **changes: str) -> httpx.Response:
        return self._call("send", messages, changes)

    def receipts(self, ids: Any) -> httpx.Response:
        return self._call("getReceipts", {"ids": ids}, {})

    def _call(self, call: str, content: Any, changes: dict[str, str]) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {
            "authorization": f"Bearer {self.settings['EXPO_ACCESS_TOKEN']}",
            "content-type": "application/json",
        } | {name.replace("_", "-"): value for name, value in changes.items()}
        url = f"{self.settings['EXPO_URL']}/--/api/v2/push/{call}"
        return self.client.post(url, content=body, headers=headers)
