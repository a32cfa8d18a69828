"""JSON and base64url as the providers want them: compact, in UTF-8, without padding."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

_STANDARD_DIGITS = str.maketrans("+/", "-_")


def json_bytes(value: object) -> bytes:
    """Return `value` as compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def escape_json(text: str) -> str:
    """Return `text` as it stands between the quotes of a JSON string."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return json.dumps(text)[1:-1]


def base64url(data: bytes) -> str:
    """Return the data in base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Return the data that `text` spells, padded or not; raises ValueError when it spells none.

    Libraries hand out standard base64 too, with `+` and `/`.
    """
    digits = text.rstrip("=").translate(_STANDARD_DIGITS)
    if not digits.isascii() or not digits.replace("-", "").replace("_", "").isalnum():
        raise ValueError("not base64url")
    return urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
