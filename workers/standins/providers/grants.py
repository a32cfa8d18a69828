"""Access tokens and how they are earned: Google's JWT grant and Huawei's client credentials.

A token carries its own proof (its end and a keyed hash over it), so that a restart on the same
folder forgets none.
"""

import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from workers.standins.providers.exchange import Answer, Request, answer_json

TOKEN_LIFE = 3599
LONGEST_GRANT = 3600
CLOCK_SKEW = 300
MOST_CACHED = 10_000
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"
SHORT_LIVED = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)
SCOPES = {
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
}


class AccessTokens:
    """Bearer tokens of one issuer; each header is checked once and remembered."""

    def __init__(self, secret: bytes, prefix: str) -> None:
        self._secret = secret
        self._prefix = prefix
        self._ends: dict[str, float] = {}

    def issue(self, life: int = TOKEN_LIFE) -> str:
        """Return a token good for `life` seconds."""
        end = int(time.time() + life).to_bytes(8)
        unique = time.time_ns().to_bytes(8)
        proof = hmac.digest(self._secret, end + unique, "sha256")
        return self._prefix + urlsafe_b64encode(end + unique + proof).decode().rstrip("=")

    def good(self, authorization: str | None) -> bool:
        """Say whether the header carries a token of ours that has not ended."""
        if not authorization:
            return False
        return self.end(authorization) > time.time()

    def end(self, authorization: str) -> float:
        """Return when the header's token ends; 0 if it was never ours."""
        end = self._ends.get(authorization)
        if end is None:
            end = self._read(authorization)
            if len(self._ends) >= MOST_CACHED:
                self._ends.clear()
            self._ends[authorization] = end
        return end

    def _read(self, authorization: str) -> float:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.startswith(self._prefix):
            return 0.0
        try:
            raw = urlsafe_b64decode(token.removeprefix(self._prefix) + "==")
        except ValueError:
            return 0.0
        proof = hmac.digest(self._secret, raw[:16], "sha256")
        return float(int.from_bytes(raw[:8])) if hmac.compare_digest(proof, raw[16:]) else 0.0


class JwtGrants:
    """Google's token endpoint for one service account."""

    def __init__(self, key: rsa.RSAPublicKey, email: str, tokens: AccessTokens) -> None:
        self._key = key
        self._email = email
        self._tokens = tokens
        self.own_uri = ""

    def answer(self, request: Request) -> Answer:
        """Trade a signed assertion for an access token."""
        if request.method != "POST":
            return answer_json(405, {"error": "method_not_allowed"})
        form = parse_qs(request.body.decode("latin-1"))
        if form.get("grant_type") != [JWT_GRANT]:
            return _denied("unsupported_grant_type", "Invalid grant_type")
        assertion = form.get("assertion", [""])[0]
        trouble = self._trouble(assertion)
        if trouble:
            return _denied(*trouble)
        token = self._tokens.issue()
        return answer_json(
            200, {"access_token": token, "expires_in": TOKEN_LIFE, "token_type": "Bearer"}
        )

    def _trouble(self, assertion: str) -> tuple[str, str] | None:
        """Return the error and its description when the assertion will not do."""
        try:
            claims = jwt.decode(
                assertion,
                self._key,
                algorithms=["RS256"],
                audience=[GOOGLE_TOKEN_URI, self.own_uri],
                leeway=CLOCK_SKEW,
                options={"require": ["iss", "aud", "exp", "iat"]},
            )
        except jwt.InvalidSignatureError:
            return "invalid_grant", "Invalid JWT Signature."
        except jwt.InvalidTokenError as error:
            return "invalid_grant", f"Invalid JWT: {error}"
        return self._trouble_with(claims)

    def _trouble_with(self, claims: dict[str, Any]) -> tuple[str, str] | None:
        if claims["iss"] != self._email:
            return "invalid_grant", "Invalid grant: account not found"
        if not claims.get("exp", 0) - claims["iat"] <= LONGEST_GRANT:
            return "invalid_grant", SHORT_LIVED
        if not SCOPES & set(str(claims.get("scope", "")).split()):
            return "invalid_scope", "Invalid OAuth scope or ID token audience provided."
        return None


def _denied(error: str, description: str) -> Answer:
    return answer_json(400, {"error": error, "error_description": description})
