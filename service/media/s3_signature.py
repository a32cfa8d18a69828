"""The signature of a request to S3-like storage: AWS Signature Version 4, without I/O.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key and the region that it signs for."""

    key_id: str
    secret: str
    region: str


def escape_path(path: str) -> str:
    """Return an object's path as it is requested and signed."""
    return quote(path, safe="/-_.~")


def signed_headers(
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes,
    credentials: Credentials,
    now: datetime,
) -> dict[str, str]:
    """Return the headers, signed, of a request without a query; the path is escaped already."""
    parts = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(content).hexdigest()
    every = {name.lower(): value.strip() for name, value in headers.items()}
    every |= {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(sorted(every))
    lines = "".join(f"{name}:{every[name]}\n" for name in sorted(every))
    canonical = "\n".join((method, parts.path or "/", "", lines, names, digest))
    scope = f"{stamp[:8]}/{credentials.region}/s3/aws4_request"
    request_digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{request_digest}"
    signature = _hmac(_signing_key(credentials, stamp[:8]), text).hex()
    authorization = (
        f"{ALGORITHM} Credential={credentials.key_id}/{scope},"
        f"SignedHeaders={names},Signature={signature}"
    )
    return every | {"authorization": authorization}


def _signing_key(credentials: Credentials, day: str) -> bytes:
    key = f"AWS4{credentials.secret}".encode()
    for part in (day, credentials.region, "s3", "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
