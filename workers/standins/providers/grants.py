"""Access tokens, and the token endpoint that gives them for Google's JWT grant.

A token contains its expiry and a keyed hash over it, so that it stays valid after a restart with
the same folder.
"""

import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from workers.standins.providers.exchange import Answer, Request, answer_json

TOKEN_LIFE_S = 3599
MAX_GRANT_S = 3600
CLOCK_SKEW_S = 300
MAX_CACHED = 10_000
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
    """Bearer tokens of one issuer; the check of each header is cached."""

    def __init__(self, secret: bytes, prefix: str) -> None:
        self._secret = secret
        self._prefix = prefix
        self._expiries: dict[str, float] = {}

    def issue(self, life_s: int = TOKEN_LIFE_S) -> str:
        """Return a token that is valid for `life_s` seconds."""
        expiry = int(time.time() + life_s).to_bytes(8)
        unique = time.time_ns().to_bytes(8)
        proof = hmac.digest(self._secret, expiry + unique, "sha256")
        return self._prefix + urlsafe_b64encode(expiry + unique + proof).decode().rstrip("=")

    def is_valid(self, authorization: str | None) -> bool:
        """Say whether the header has a token of ours that has not expired."""
        if not authorization:
            return False
        return self.find_expiry(authorization) > time.time()

    def find_expiry(self, authorization: str) -> float:
        """Return when the header's token expires (epoch seconds); 0 if it is not ours."""
        expiry = self._expiries.get(authorization)
        if expiry is None:
            expiry = self._read_expiry(authorization)
            if len(self._expiries) >= MAX_CACHED:
                self._expiries.clear()
            self._expiries[authorization] = expiry
        return expiry

    def _read_expiry(self, authorization: str) -> float:
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
        self.token_uri = ""

    def answer(self, request: Request) -> Answer:
        """Exchange a signed assertion for an access token."""
        if request.method != "POST":
            return answer_json(405, {"error": "method_not_allowed"})
        form = parse_qs(request.body.decode("latin-1"))
        if form.get("grant_type") != [JWT_GRANT]:
            return _refuse_grant("unsupported_grant_type", "Invalid grant_type")
        assertion = form.get("assertion", [""])[0]
        failure = self._check_assertion(assertion)
        if failure:
            return _refuse_grant(*failure)
        token = self._tokens.issue()
        return answer_json(
            200, {"access_token": token, "expires_in": TOKEN_LIFE_S, "token_type": "Bearer"}
        )

    def _check_assertion(self, assertion: str) -> tuple[str, str] | None:
        """Return the error and its description if the assertion is refused."""
        try:
            claims = jwt.decode(
                assertion,
                self._key,
                algorithms=["RS256"],
                audience=[GOOGLE_TOKEN_URI, self.token_uri],
                leeway=CLOCK_SKEW_S,
                options={"require": ["iss", "aud", "exp", "iat"]},
            )
        except jwt.InvalidSignatureError:
            return "invalid_grant", "Invalid JWT Signature."
        except jwt.InvalidTokenError as error:
            return "invalid_grant", f"Invalid JWT: {error}"
        return self._check_claims(claims)

    def _check_claims(self, claims: dict[str, Any]) -> tuple[str, str] | None:
        if claims["iss"] != self._email:
            return "invalid_grant", "Invalid grant: account not found"
        if not claims.get("exp", 0) - claims["iat"] <= MAX_GRANT_S:
            return "invalid_grant", SHORT_LIVED
        if not SCOPES & set(str(claims.get("scope", "")).split()):
            return "invalid_scope", "Invalid OAuth scope or ID token audience provided."
        return None


def _refuse_grant(error: str, description: str) -> Answer:
    return answer_json(400, {"error": error, "error_description": description})
