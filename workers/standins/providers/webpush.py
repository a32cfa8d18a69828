"""A Web Push service and its browsers: RFC 8030, RFC 8291 (decryption) and RFC 8292 (VAPID).

Error bodies have the form and the numbers of Mozilla's autopush.
"""

import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.standins.misbehaviour.faults import FaultKind
from workers.standins.misbehaviour.settings import MisbehaviourSettings
from workers.standins.providers import subscriptions
from workers.standins.providers.exchange import Answer, Refusal, Request, answer_json, read_json
from workers.standins.providers.standin import STATUSES, Fields, Standin, text_or_empty
from workers.standins.providers.subscriptions import UNBOUND, Subscription
from workers.standins.received_pushes import Push, ReceivedPushes

MAX_BYTES = 4096
MAX_TTL_S = 30 * 86_400
MAX_VAPID_S = 86_400
CLOCK_SKEW_S = 60
MAX_CACHED = 10_000
URGENCIES = {"very-low", "low", "normal", "high"}
TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
VAPID = re.compile(r"vapid\s+(.*)", re.IGNORECASE | re.DOTALL)
HEADER_BYTES, POINT_BYTES, TAG_BYTES, MIN_RECORD = 86, 65, 16, 18
ERRNO = {400: 110, 401: 109, 403: 109, 404: 102, 410: 106, 413: 104, 429: 201, 500: 999, 503: 201}


class WebPush(Standin):
    """One push service and all browsers that are subscribed there."""

    name = "webpush"
    success_status = 201

    def __init__(
        self, pushes: ReceivedPushes, misbehaviour: MisbehaviourSettings, seed: bytes
    ) -> None:
        super().__init__(pushes, misbehaviour)
        self.seed = seed
        self.origin = ""
        self._vapid = VapidTokens()
        self._fingerprints: dict[bytes, bytes] = {}

    def early_answer(self, request: Request) -> Answer:  # noqa: ARG002  # the same for all
        """Return the push service's acceptance, which has no body."""
        return Answer(self.success_status, [("location", f"{self.origin}/m/early"), ("ttl", "0")])

    def subscribe(self, server_key: bytes | None = None) -> dict[str, Any]:
        """Make a new subscription, in the form in which a browser gives it."""
        subscription = subscriptions.subscribe(self.seed, server_key)
        p256dh = subscriptions.encode(subscription.public_point)
        keys = {"p256dh": p256dh, "auth": subscriptions.encode(subscription.auth)}
        return {"address": self.origin + subscription.path, "keys": keys}

    def judge(self, request: Request) -> Answer:
        """Check the endpoint, the headers and the signature, then decrypt as the browser would."""
        if request.method != "POST":
            return _refusal(405, "Only POST is known here.")
        if len(request.body) > MAX_BYTES:
            return _refusal(413, "The payload is over 4096 bytes.")
        subscription = subscriptions.find_subscription(self.seed, request.path)
        if subscription is None:
            return _refusal(404, "No such subscription.")
        ttl = _check_headers(request)
        server_key = self._vapid.read_server_key(request.headers.get("authorization"), self.origin)
        self._check_binding(subscription, server_key)
        payload = decrypt(request.body, subscription, server_key) if request.body else b"{}"
        push = Push(
            self.name,
            self.origin + request.path,
            _alert_id(payload),
            request.headers.get("topic", ""),
            payload,
            time.time(),
        )
        location = f"{self.origin}/m/{secrets.token_urlsafe(16)}"
        return self.accept(push, Answer(201, [("location", location), ("ttl", str(ttl))]))

    def _check_binding(self, subscription: Subscription, server_key: bytes) -> None:
        """Bind a subscription to one key: the one it was made with, else the first that pushes."""
        fingerprint = subscriptions.fingerprint(server_key)
        bound_fingerprint = subscription.bound_to
        if bound_fingerprint == UNBOUND:
            bound_fingerprint = self._fingerprints.setdefault(subscription.number, fingerprint)
        if bound_fingerprint != fingerprint:
            raise Refusal(_refusal(403, "The VAPID key is not the one of the subscription."))

    def fault_answer(self, kind: FaultKind, address: str) -> Answer:  # noqa: ARG002  # alike for all devices
        """Return the push service's answer; a refused push is a redirect without a location."""
        if kind in (FaultKind.GONE, FaultKind.GONE_LATER):
            return _refusal(410, "The subscription has ended.", 106)
        if kind is FaultKind.REFUSED:
            return _refusal(301, "The subscription is served elsewhere.")
        return _refusal(STATUSES[kind], "The service is in trouble.")

    def default_body(self, status: int) -> bytes:
        """Return the error that goes with the status."""
        return _refusal(status, "Scripted.").body

    def read_payload(self, payload: bytes) -> tuple[Fields, Fields]:
        """Return the text and the data of a decrypted payload: they are the same object."""
        try:
            content = read_json(payload)
        except ValueError:
            return {"body": payload.decode(errors="replace")}, {}
        return (content, content) if isinstance(content, dict) else ({}, {})


def _refusal(status: int, message: str, errno: int | None = None) -> Answer:
    number = errno or ERRNO.get(status, 999)
    content = {"code": status, "errno": number, "error": message, "message": message}
    return answer_json(status, content)


def _check_headers(request: Request) -> int:
    """Return the TTL, or raise the refusal of a header."""
    ttl = request.headers.get("ttl", "")
    if not (ttl.isascii() and ttl.isdecimal() and int(ttl) <= MAX_TTL_S):
        raise Refusal(_refusal(400, "TTL must be 0 to 2592000.", 112 if ttl else 111))
    if request.headers.get("urgency", "normal") not in URGENCIES:
        raise Refusal(_refusal(400, "Urgency must be very-low, low, normal or high."))
    if (topic := request.headers.get("topic")) is not None and not TOPIC.fullmatch(topic):
        raise Refusal(_refusal(400, "Topic must be up to 32 letters of base64url.", 113))
    if request.body and request.headers.get("content-encoding") != "aes128gcm":
        raise Refusal(_refusal(400, "Content-Encoding must be aes128gcm."))
    return int(ttl)


def _alert_id(payload: bytes) -> str:
    try:
        content = read_json(payload)
    except ValueError:
        return ""
    return text_or_empty(content.get("alert_id")) if isinstance(content, dict) else ""


def decrypt(body: bytes, subscription: Subscription, server_key: bytes = b"") -> bytes:
    """Decrypt a message of one aes128gcm record, or raise the refusal."""
    if len(body) < HEADER_BYTES + MIN_RECORD - 1 or body[20] != POINT_BYTES:
        raise Refusal(_refusal(400, "The aes128gcm header is not complete."))
    record_size = int.from_bytes(body[16:20])
    record = body[HEADER_BYTES:]
    if record_size < MIN_RECORD or len(record) >= record_size:
        raise Refusal(_refusal(400, "There must be one record, shorter than the record size."))
    sender_point = body[21:HEADER_BYTES]
    if sender_point == server_key:
        raise Refusal(_refusal(400, "The VAPID key must not be the ECDH key."))
    try:
        plain = _open(body[:16], sender_point, record, subscription)
    except (ValueError, InvalidTag):
        raise Refusal(_refusal(400, "The payload does not decrypt for this device.")) from None
    text = plain.rstrip(b"\0")
    if text[-1:] != b"\x02":
        raise Refusal(_refusal(400, "The last record's padding must begin with 2."))
    return text[:-1]


def _open(salt: bytes, sender_point: bytes, record: bytes, subscription: Subscription) -> bytes:
    """Derive key and nonce as RFC 8291 section 3.4 says, and open the record."""
    sender = ec.EllipticCurvePublicKey.from_encoded_point(subscriptions.CURVE, sender_point)
    shared = subscription.private_key.exchange(ec.ECDH(), sender)
    info = b"WebPush: info\0" + subscription.public_point + sender_point + b"\1"
    material = _hmac(_hmac(subscription.auth, shared), info)
    pseudo_random = _hmac(salt, material)
    key = _hmac(pseudo_random, b"Content-Encoding: aes128gcm\0\1")[:16]
    nonce = _hmac(pseudo_random, b"Content-Encoding: nonce\0\1")[:12]
    return AESGCM(key).decrypt(nonce, record, None)


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


@dataclass(frozen=True, slots=True)
class VerifiedHeader:
    """What a valid VAPID header says: the sender's public key, and when it expires."""

    server_key: bytes
    expiry: float


class VapidTokens:
    """RFC 8292: each header is verified once and cached until it expires."""

    def __init__(self) -> None:
        self._headers: dict[str, VerifiedHeader] = {}

    def read_server_key(self, authorization: str | None, origin: str) -> bytes:
        """Return the application server's public key, or raise the refusal."""
        if not authorization:
            raise Refusal(_refusal(401, "A VAPID Authorization header is needed."))
        header = self._headers.get(authorization)
        if header is None:
            header = _verify(authorization, origin)
            if len(self._headers) >= MAX_CACHED:
                self._headers.clear()
            self._headers[authorization] = header
        if header.expiry < time.time() - CLOCK_SKEW_S:
            raise Refusal(_refusal(403, "The VAPID token has expired."))
        return header.server_key


def _verify(authorization: str, origin: str) -> VerifiedHeader:
    match = VAPID.fullmatch(authorization.strip())
    if not match:
        raise Refusal(_refusal(401, "The authentication scheme must be vapid."))
    pairs = (part.strip().partition("=") for part in match[1].split(","))
    fields = {name: value for name, _, value in pairs}
    try:
        point = subscriptions.decode(fields.get("k", ""))
        key = ec.EllipticCurvePublicKey.from_encoded_point(subscriptions.CURVE, point)
        claims = jwt.decode(
            fields.get("t", ""),
            key,
            algorithms=["ES256"],
            audience=origin,
            leeway=CLOCK_SKEW_S,
            options={"require": ["aud", "exp"], "verify_iat": False},
        )
    except (jwt.InvalidTokenError, ValueError):
        raise Refusal(_refusal(403, "The VAPID token or its key is not valid.")) from None
    if claims["exp"] > time.time() + MAX_VAPID_S + CLOCK_SKEW_S:
        raise Refusal(_refusal(403, "The VAPID token lives longer than a day."))
    if not _is_contact(claims.get("sub")):
        raise Refusal(_refusal(403, "The VAPID token needs a real mailto: or https: contact."))
    return VerifiedHeader(point, float(claims["exp"]))


def _is_contact(subject: Any) -> bool:
    """Say whether a push service could reach the sender there; `localhost` is refused."""
    if not isinstance(subject, str):
        return False
    if subject.startswith("mailto:"):
        host = subject.rpartition("@")[2] if "@" in subject else ""
    elif subject.startswith("https://"):
        host = urlsplit(subject).hostname or ""
    else:
        return False
    return bool(host) and host.rpartition(".")[2] != "localhost"
