"""Files of pictures in S3-like storage: Amazon's, MinIO, Ceph, Garage, R2."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property

import httpx
import structlog

from service.domain.errors import Unavailable
from service.domain.media.pictures import media_type_of
from service.media.s3_signature import Credentials, escape_path, signed_headers
from service.media_settings import MediaSettings

log = structlog.get_logger()

TIMEOUT_S = 10.0
ATTEMPTS = 2
RETRY_AFTER_S = 5
_MISSING = 404
_FAULT_OF_THEIRS = 500


class S3Storage:
    """One bucket, by path (`endpoint/bucket/prefix/name`), which all of them take."""

    def __init__(self, settings: MediaSettings) -> None:
        self._bucket = settings.media_bucket
        self._credentials = Credentials(
            settings.media_key_id, settings.media_secret_key, self._bucket.region
        )

    def add(self, files: Mapping[str, bytes]) -> None:
        """Upload the files."""
        for name, content in files.items():
            headers = {"content-type": media_type_of(name)}
            self._require(self._send("PUT", name, content, headers))

    def read(self, name: str) -> bytes | None:
        """Return a file's content."""
        answer = self._send("GET", name)
        if answer.status_code == _MISSING:
            return None
        return self._require(answer).content

    def delete(self, names: Iterable[str]) -> None:
        """Delete files."""
        for name in names:
            answer = self._send("DELETE", name)
            if answer.status_code != _MISSING:
                self._require(answer)

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)

    def _send(
        self, method: str, name: str, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a request, a second time when the first did not get through."""
        bucket = self._bucket
        path = "/".join(filter(None, (bucket.name, bucket.prefix, name)))
        url = f"{bucket.endpoint}/{escape_path(path)}"
        for attempt in range(1, ATTEMPTS + 1):
            signed = signed_headers(
                method, url, headers or {}, content, self._credentials, datetime.now(UTC)
            )
            try:
                answer = self._client.request(method, url, content=content, headers=signed)
            except httpx.HTTPError as error:
                if attempt == ATTEMPTS:
                    raise self._away(type(error).__name__) from None
                continue
            if answer.status_code < _FAULT_OF_THEIRS or attempt == ATTEMPTS:
                break
        return answer

    def _require(self, answer: httpx.Response) -> httpx.Response:
        if not answer.is_success:
            raise self._away(f"{answer.status_code} {answer.text[:200]}")
        return answer

    def _away(self, reason: str) -> Unavailable:
        log.warning("picture storage failed", endpoint=self._bucket.endpoint, reason=reason)
        return Unavailable("The storage of pictures does not answer: try again.", RETRY_AFTER_S)
