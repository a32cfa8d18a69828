"""What Google's interfaces share: the service account that calls them, and how they tell errors."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

import jwt

from workers.provider_kit.answers import as_word, parse_object

AUDIENCE = "https://oauth2.googleapis.com/token"
"""Google's own library signs for this audience wherever the token is asked for."""
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE = timedelta(hours=1)
SKEW = timedelta(seconds=30)


class ServiceAccount(NamedTuple):
    """What the JSON says that matters to us."""

    project_id: str
    client_email: str
    private_key: str
    private_key_id: str
    token_uri: str

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read the JSON; raises ValueError with what is wrong with it."""
        told = parse_object(content)
        missing = [name for name in cls._fields if not isinstance(told.get(name), str)]
        if missing:
            raise ValueError(f"is no service account's JSON: it lacks {', '.join(missing)}")
        account = cls(*(told[name] for name in cls._fields))
        if not account.token_uri.startswith(("https://", "http://")):
            raise ValueError("holds a service account whose token_uri is no address")
        try:
            account.grant("", datetime.fromtimestamp(0, UTC))
        except (ValueError, TypeError, jwt.PyJWTError):
            raise ValueError("holds a service account whose private_key is no RSA key") from None
        return account

    def grant(self, scope: str, now: datetime) -> dict[str, str]:
        """Return the form that is exchanged for an access token; clocks may differ a little."""
        begin = now - SKEW
        claims = {
            "iss": self.client_email,
            "scope": scope,
            "aud": AUDIENCE,
            "iat": int(begin.timestamp()),
            "exp": int((begin + LIFE).timestamp()),
        }
        headers = {"kid": self.private_key_id}
        return {
            "grant_type": GRANT,
            "assertion": jwt.encode(claims, self.private_key, "RS256", headers),
        }


class GoogleError(NamedTuple):
    """An error as the body tells it: the service's own code, else the general status.

    `own` says that the code is the service's; `fields` are those of the request that are wrong;
    `narrow` that a quota is of a device or topic and not of the project.
    """

    code: str = ""
    own: bool = False
    text: str = ""
    fields: Sequence[str] = ()
    narrow: bool = False

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the body; one that is no error in Google's form gives an error without a code."""
        error = parse_object(body).get("error")
        if not isinstance(error, dict):
            return cls()
        given = error.get("details")
        details = [d for d in given if isinstance(d, dict)] if isinstance(given, list) else []
        own = [code for d in details if (code := as_word(d.get("errorCode")))]
        return cls(
            code=own[0] if own else as_word(error.get("status")),
            own=bool(own),
            text=str(error.get("message", "")),
            fields=[str(v.get("field", "")) for v in _listed(details, "fieldViolations")],
            narrow=any(re.search("device|topic", str(v)) for v in _listed(details, "violations")),
        )


def _listed(details: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """Return the objects in the lists called `name` of all details."""
    lists = [found for d in details if isinstance(found := d.get(name), list)]
    return [item for found in lists for item in found if isinstance(item, dict)]
