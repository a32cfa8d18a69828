"""The headers that every answer has: how long it may be kept, and what it may do.

An answer to a request with a cookie or a token is kept by nobody, unless its writer says how it may
be kept. Pages forbid inline scripts; the pages of the documentation, which hold no text of anybody,
allow the inline scripts that they have, by their hash.
"""

import base64
import hashlib
import re
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Of JSON and XML, which a browser shows and never runs."""
HSTS = "max-age=31536000"
"""A year (RFC 6797); other hosts below the name are not ours to decide about."""
DOCUMENTATION = ("/docs", "/docs/oauth2-redirect")
_DATA = re.compile("[/+](?:json|xml)")
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class AnswerHeaders:
    """Adds what an answer's writer left out."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self.app = app
        self.is_https = is_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                complete(
                    MutableHeaders(scope=message),
                    is_https=self.is_https,
                    has_credentials=_has_credentials(scope),
                )
                start = message if scope["path"] in DOCUMENTATION else None
                if start is not None:  # waits for the body that its policy is about
                    return
            elif start is not None:
                headers = MutableHeaders(scope=start)
                headers["Content-Security-Policy"] = _allow_scripts(message.get("body", b""))
                await send(start)
                start = None
            await send(message)

        await self.app(scope, receive, send_with_headers)


def complete(headers: MutableHeaders, *, is_https: bool, has_credentials: bool) -> None:
    """Add what every answer has; `has_credentials`: its request has a cookie or a token."""
    headers.setdefault("X-Content-Type-Options", "nosniff")
    if is_https:
        headers["Strict-Transport-Security"] = HSTS
    if headers.get("content-type", "").startswith("text/html"):
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
    elif _DATA.search(headers.get("content-type", "")):
        headers.setdefault("Content-Security-Policy", DATA_POLICY)
    if has_credentials:
        headers.setdefault("Cache-Control", "private, no-store")


def _has_credentials(scope: Scope) -> bool:
    return any(name in (b"authorization", b"cookie") for name, _ in scope["headers"])


def _allow_scripts(html: bytes) -> str:
    """Return the policy of a page whose inline scripts are ours."""
    digests = (hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(html))
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return POLICY.replace("script-src 'self'", f"script-src 'self' {hashes}".rstrip())
