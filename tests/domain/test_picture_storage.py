"""Where the files of pictures are stored: a folder, and S3-like storage that checks signatures."""

import hashlib
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from pydantic import ValidationError

from service.domain.errors import Unavailable
from service.media.folder_storage import FolderStorage
from service.media.s3_signature import Credentials, signed_headers
from service.media.s3_storage import S3Storage
from service.media_settings import MediaSettings
from workers.upkeep.doctor_storage import examine_storage

NAME, OTHER = "ab" * 16 + "-400.webp", "cd" * 16 + "-800.jpg"
KEY = {"media_key_id": "an id", "media_secret_key": "a secret"}


class Bucket(BaseHTTPRequestHandler):
    """Keeps objects of those who sign; answers as S3 does."""

    objects: dict[str, tuple[bytes, str]]
    faults: list[int]

    def answer(self):
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.faults:
            return self.finish_with(self.faults.pop())
        digest = hashlib.sha256(content).hexdigest()
        if not self.is_signed(content) or self.headers["x-amz-content-sha256"] != digest:
            return self.finish_with(403)
        if self.command == "PUT":
            self.objects[self.path] = (content, self.headers["content-type"])
            return self.finish_with(200)
        if self.command == "DELETE":
            self.objects.pop(self.path, None)
            return self.finish_with(204)
        found, _ = self.objects.get(self.path, (None, ""))
        return self.finish_with(404 if found is None else 200, found or b"")

    do_GET = do_PUT = do_DELETE = answer  # noqa: N815 - names of http.server

    def is_signed(self, content):
        now = datetime.strptime(self.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        names = self.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        headers = {name: self.headers[name] for name in names}
        url = f"http://{self.headers['host']}{self.path}"
        key = Credentials("an id", "a secret", "eu-1")
        expected = signed_headers(self.command, url, headers, content, key, now)
        return expected["authorization"] == self.headers["authorization"]

    def finish_with(self, status, content=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def bucket():
    handler = type("OneBucket", (Bucket,), {"objects": {}, "faults": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    handler.url = f"s3://news/a b?region=eu-1&endpoint=http://127.0.0.1:{server.server_port}"
    yield handler
    server.shutdown()
    server.server_close()


def check(storage):
    assert storage.read(NAME) is None
    storage.add({NAME: b"one", OTHER: b"two"})
    storage.add({NAME: b"one"})
    assert (storage.read(NAME), storage.read(OTHER)) == (b"one", b"two")
    storage.delete([NAME, NAME])
    assert (storage.read(NAME), storage.read(OTHER)) == (None, b"two")


def test_a_folder_keeps_files_and_nothing_else(tmp_path):
    folder = tmp_path / "media" / "pictures"
    check(FolderStorage(folder))
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert [str(path) for path in files] == [f"cd/{OTHER}"]
    assert (folder / files[0]).stat().st_mode & 0o777 == 0o644


def test_a_bucket_keeps_files_by_signed_requests(bucket):
    check(S3Storage(MediaSettings(media=bucket.url, **KEY)))
    assert bucket.objects == {f"/news/a%20b/{OTHER}": (b"two", "image/jpeg")}


def test_a_fault_of_the_bucket_is_tried_again_once_and_a_refusal_is_an_outage(bucket):
    storage = S3Storage(MediaSettings(media=bucket.url, **KEY))
    bucket.faults.append(503)
    storage.add({NAME: b"one"})
    bucket.faults.extend([500, 500])
    with pytest.raises(Unavailable):
        storage.read(NAME)
    stranger = S3Storage(MediaSettings(media=bucket.url, **(KEY | {"media_secret_key": "other"})))
    with pytest.raises(Unavailable):
        stranger.add({NAME: b"one"})


def test_the_doctor_tries_the_storage_and_says_what_to_do(bucket, tmp_path):
    [well] = examine_storage(MediaSettings(media=bucket.url, **KEY))
    assert (well.is_well, bucket.objects) == (True, {})
    [refused] = examine_storage(
        MediaSettings(media=bucket.url, media_key_id="an id", media_secret_key="another")
    )
    assert not refused.is_well
    assert "403" in refused.sentence
    assert "check NEWSZOP_MEDIA, the key" in refused.sentence
    (tmp_path / "file").touch()
    [broken] = examine_storage(MediaSettings(media=str(tmp_path / "file" / "media")))
    assert "Not a directory" in broken.sentence
    assert list(examine_storage(MediaSettings())) == []


def test_a_bucket_that_is_away_is_an_outage():
    away = MediaSettings(media="s3://news?endpoint=http://127.0.0.1:9", **KEY)
    with pytest.raises(Unavailable):
        S3Storage(away).read(NAME)


def test_a_folder_that_cannot_be_written_is_an_outage(tmp_path):
    (tmp_path / "file").touch()
    broken = FolderStorage(tmp_path / "file")
    for call in (lambda: broken.add({NAME: b"one"}), lambda: broken.read(NAME)):
        with pytest.raises(Unavailable):
            call()


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"media": "pictures"}, "absolute path"),
        ({"media": "s3://news?endpoint=minio"}, "endpoint="),
        ({"media": "s3://news"}, "NEWSZOP_MEDIA_KEY_ID"),
        ({"media": "s3://news", "media_key_id": "x"}, "NEWSZOP_MEDIA_SECRET_KEY"),
    ],
)
def test_a_setting_that_names_no_storage_is_refused_with_what_is_wrong(given, word):
    with pytest.raises(ValidationError, match=word):
        MediaSettings(**given)


def test_postgres_is_the_storage_unless_another_is_named():
    assert MediaSettings().media == MediaSettings(media="").media == "postgres"
