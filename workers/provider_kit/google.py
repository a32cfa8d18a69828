"""What Google's APIs share: the service account that calls them, and the form of their errors."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import jwt

from workers.provider_kit.answers import as_error_code, parse_object
from workers.provider_kit.setting_types import KeyText, strip_text
from workers.provider_kit.signing import key_file_validator

AUDIENCE = "https://oauth2.googleapis.com/token"
"""Google's own library signs for this audience, whatever the token server's address is."""
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_LIFE = timedelta(hours=1)
SKEW = timedelta(seconds=30)
"""How far our clock may be ahead of Google's."""


class ServiceAccount(NamedTuple):
    """The fields of the account's JSON that are used here."""

    project_id: str
    client_email: str
    private_key: str
    private_key_id: str
    token_uri: str

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read the JSON; raises ValueError that says what is wrong with it."""
        fields = parse_object(content)
        missing = [name for name in cls._fields if not isinstance(fields.get(name), str)]
        if missing:
            raise ValueError(f"is not a service account's JSON: it lacks {', '.join(missing)}")
        account = cls(*(fields[name] for name in cls._fields))
        if not re.fullmatch(r"https?://[!-~]+", account.token_uri):
            raise ValueError("holds a service account whose token_uri is not a URL")
        if not re.fullmatch(r"[A-Za-z0-9.:_-]+", account.project_id):
            raise ValueError("holds a service account whose project_id is not a project's id")
        try:
            account.sign_grant("", datetime.fromtimestamp(0, UTC))
        except (ValueError, TypeError, jwt.PyJWTError):
            raise ValueError(
                "holds a service account whose private_key is not an RSA key"
            ) from None
        return account

    def sign_grant(self, scope: str, now: datetime) -> dict[str, str]:
        """Return the form fields that are exchanged for an access token (RFC 7523)."""
        start = now - SKEW
        claims = {
            "iss": self.client_email,
            "scope": scope,
            "aud": AUDIENCE,
            "iat": int(start.timestamp()),
            "exp": int((start + ASSERTION_LIFE).timestamp()),
        }
        headers = {"kid": self.private_key_id}
        return {
            "grant_type": GRANT,
            "assertion": jwt.encode(claims, self.private_key, "RS256", headers),
        }


class GoogleError(NamedTuple):
    """An error in the form of `google.rpc.Status`: https://cloud.google.com/apis/design/errors.

    `code` is the service's own code if `is_service_code`, else the general status. `fields` are
    the request's fields that are wrong. `is_device_quota` says that the quota exceeded is that of
    a device or topic, not of the project.
    """

    code: str = ""
    is_service_code: bool = False
    text: str = ""
    fields: Sequence[str] = ()
    is_device_quota: bool = False

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the body; a body in any other form gives an error without a code."""
        error = parse_object(body).get("error")
        if not isinstance(error, dict):
            return cls()
        details = _objects_in(error.get("details"))
        service_codes = [code for d in details if (code := as_error_code(d.get("errorCode")))]
        fields = [v for d in details for v in _objects_in(d.get("fieldViolations"))]
        quotas = [v for d in details for v in _objects_in(d.get("violations"))]
        return cls(
            code=service_codes[0] if service_codes else as_error_code(error.get("status")),
            is_service_code=bool(service_codes),
            text=str(error.get("message", "")),
            fields=[str(violation.get("field", "")) for violation in fields],
            is_device_quota=any(re.search("device|topic", str(quota)) for quota in quotas),
        )


def _objects_in(value: object) -> list[Mapping[str, Any]]:
    """Return the JSON objects in `value` if it is a list, else none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


ServiceAccountPath = Annotated[Path | KeyText, strip_text, key_file_validator(ServiceAccount.parse)]
"""A setting that names the file of a service account, or holds its text."""
