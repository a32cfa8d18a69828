"""Files of pictures in S3-like storage: Amazon's, MinIO, Ceph, Garage, R2."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property

import httpx

from service.domain.errors import Unavailable
from service.domain.media.pictures import media_type_of
from service.media.outage import storage_outage
from service.media.s3_signature import Credentials, escape_path, signed_headers
from service.media_settings import MediaSettings

WRITE_S, READ_S, DELETE_S = 10.0, 3.0, 1.0
"""The sweep deletes, and does nothing else meanwhile."""
_PATIENCE = {"GET": (READ_S, 2), "PUT": (WRITE_S, 2), "DELETE": (DELETE_S, 1)}
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
        return httpx.Client(follow_redirects=False)

    def _send(
        self, method: str, name: str, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a request; what is not a deletion, a second time if the first fails."""
        bucket = self._bucket
        path = "/".join(filter(None, (bucket.name, bucket.prefix, name)))
        url = f"{bucket.endpoint}/{escape_path(path)}"
        seconds, attempts = _PATIENCE[method]
        for attempt in range(1, attempts + 1):
            signed = signed_headers(
                method, url, headers or {}, content, self._credentials, datetime.now(UTC)
            )
            try:
                answer = self._client.request(
                    method, url, content=content, headers=signed, timeout=seconds
                )
            except httpx.HTTPError as error:
                if attempt == attempts:
                    raise self._away(type(error).__name__) from None
                continue
            if answer.status_code < _FAULT_OF_THEIRS or attempt == attempts:
                break
        return answer

    def _require(self, answer: httpx.Response) -> httpx.Response:
        if not answer.is_success:
            raise self._away(f"{answer.status_code} {answer.text[:200]}")
        return answer

    def _away(self, reason: str) -> Unavailable:
        return storage_outage(self._bucket.endpoint, reason)
