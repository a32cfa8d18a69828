"""Pictures that machines upload: what is taken, how it is served, how stories have it."""

import shutil
from types import SimpleNamespace

import pytest

from service.http.body_limit import MAX_PICTURE_BYTES
from service.http.media import picture_bodies
from service.media.folder_storage import FolderStorage
from service.web.media.picture_files import PictureCache
from tests.sample_pictures import opened, photograph

SITE = "https://news.example"
STORY = {"headline": "Grid holds", "body": "<p>All lights on.</p>"}
JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture
def upload(client, as_ingester):
    def post(source, /, expected=201, **headers):
        answer = client.post("/api/media", content=source, headers=as_ingester | JPEG | headers)
        assert answer.status_code == expected, answer.text
        return answer.json()

    return post


def path_of(address):
    return address.removeprefix(SITE)


def test_a_picture_is_uploaded_once_and_served_for_ever(upload, client):
    source = photograph(820, 410)
    picture = upload(source)
    assert upload(source, 200) == picture
    assert picture["url"] == f"{SITE}/media/{picture['id']}-820.jpg"
    assert {(size["width"], size["format"]) for size in picture["sizes"]} == {
        (width, kind) for width in (400, 800, 820) for kind in ("jpg", "webp")
    }
    for size in picture["sizes"]:
        answer = client.get(path_of(size["url"]))
        assert answer.headers["content-type"] == f"image/{size['format'].replace('jpg', 'jpeg')}"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert opened(answer.content).size == (size["width"], size["height"])
        again = client.get(path_of(size["url"]), headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    head = client.head(path_of(picture["url"]))
    assert (head.status_code, head.content) == (200, b"")


def test_a_picture_comes_as_a_form_too(client, as_ingester):
    source = photograph(100, 80)
    form = {"picture": ("holiday.jpg", source, "image/jpeg")}
    answer = client.post("/api/media", files=form, headers=as_ingester)
    assert (answer.status_code, answer.json()["width"]) == (201, 100)
    for files in ({"other": ("a.jpg", source, "image/jpeg")}, {"picture": (None, "words")}):
        refused = client.post("/api/media", files=files, headers=as_ingester)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "picture")
    broken = as_ingester | {"Content-Type": "multipart/form-data"}
    assert client.post("/api/media", content=b"x", headers=broken).status_code == 422


def test_what_is_no_picture_is_refused_with_a_sentence(upload):
    problem = upload(b"<svg onload='x()'/>", 422)
    assert problem["errors"][0]["field"] == "picture"
    assert "SVG" in problem["detail"]
    assert "empty" in upload(b"", 422)["detail"]


def test_uploads_beyond_what_is_sized_at_once_and_a_minute_are_refused(upload, app, monkeypatch):
    app.state.picture_threads = SimpleNamespace(
        statistics=lambda: SimpleNamespace(tasks_waiting=picture_bodies.MOST_WAITING)
    )
    monkeypatch.setattr(picture_bodies, "PER_MINUTE", 1)
    assert "Too many pictures" in upload(photograph(20, 20), 503)["detail"]
    assert "at most 1 a minute" in upload(photograph(20, 20), 429)["detail"]


def test_too_large_a_body_is_refused_before_it_is_read(client, as_ingester):
    size = {"Content-Length": str(MAX_PICTURE_BYTES + 1)}
    refused = client.post("/api/media", content=b"", headers=as_ingester | JPEG | size)
    assert (refused.status_code, refused.json()["type"]) == (413, "/problems/too-large")
    strangers = client.post("/api/media", content=b"", headers=JPEG | size)
    assert strangers.status_code == 401


def test_bytes_that_look_like_many_values_are_a_picture_all_the_same(upload):
    commas = photograph(60, 40) + b"," * 500_000 + b"1" * 2_000
    assert upload(commas)["width"] == 60


def test_files_stand_where_the_setting_says_and_earlier_ones_in_postgres(
    upload, client, app, tmp_path
):
    earlier = upload(photograph(30, 20))
    app.state.pictures_elsewhere = FolderStorage(tmp_path / "media")
    picture = upload(photograph(40, 20))
    stored = {path.name for path in tmp_path.rglob("*.*")}
    assert stored == {f"{picture['id']}-{end}" for end in ("40.jpg", "40.webp", "wide.jpg")}
    for url in (earlier["url"], picture["url"]):
        assert opened(client.get(path_of(url)).content).height == 20
    app.state.picture_cache = PictureCache()
    shutil.rmtree(tmp_path / "media")
    assert client.get(path_of(picture["url"])).status_code == 404
    (tmp_path / "media").touch()
    assert client.get(path_of(picture["url"])).status_code == 503
    assert "storage of pictures" in upload(photograph(50, 20), 503)["detail"]


@pytest.mark.parametrize("name", ["x", "0" * 32 + "-400.jpg", "0" * 32 + "-400.gif", "..%2fx.jpg"])
def test_an_address_without_a_picture_is_not_found(client, name):
    answer = client.get(f"/media/{name}")
    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("cache-control", "")


def test_a_story_has_an_uploaded_picture_by_its_address_or_its_path(upload, client, as_ingester):
    url = upload(photograph(300, 200))["url"]
    for address in (url, path_of(url)):
        story = STORY | {"image_url": address, "image_alt": " A <b>red</b> and a blue half "}
        sent = client.post("/api/stories", json=story, headers=as_ingester).json()
        read = client.get(f"/api/stories/{sent['id']}").json()
        assert (read["image_url"], read["image_alt"]) == (url, "A red and a blue half")
    feed = client.get("/feed.json").json()
    assert [item["image"] for item in feed["items"]] == [url, url]


def test_a_body_shows_uploaded_pictures(upload, client, as_ingester):
    url = upload(photograph(300, 200))["url"]
    body = f'<p>See:</p><p><img src="{path_of(url)}" alt="Red"></p>'
    story = {"headline": "Grid", "body": body}
    sent = client.post("/api/stories", json=story, headers=as_ingester).json()
    read = client.get(f"/api/stories/{sent['id']}").json()["body"]
    assert f'<img src="{url}" alt="Red" loading="lazy">' in read
    assert url in client.get("/feed.xml").text
    missing = story | {"body": body.replace(path_of(url), f"/media/{'0' * 32}-400.jpg")}
    refused = client.post("/api/stories", json=missing, headers=as_ingester)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "body")


def test_a_story_cannot_have_a_picture_that_was_never_uploaded(client, as_ingester):
    story = STORY | {"image_url": f"/media/{'0' * 32}-400.jpg"}
    refused = client.post("/api/stories", json=story, headers=as_ingester)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "image_url"
