"""How pages show a story's picture."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from service.domain.media.pictures import StoredPicture
from service.store.session import transaction
from service.store.stories import pictures
from tests.web.conftest import SITE, Visitor

Ingest = Callable[..., dict[str, Any]]
ID = "ab" * 16
PICTURE = StoredPicture(ID, 1200, 700)


def upload(engine: Engine) -> str:
    with transaction(engine) as session:
        pictures.add_files(session, dict.fromkeys(PICTURE.file_names, b"a picture"))
        pictures.add(session, PICTURE, "key:1")
    return PICTURE.path


def test_a_picture_of_ours_comes_in_the_width_that_fits_and_keeps_its_room(
    visitor: Visitor, ingest: Ingest, engine: Engine
) -> None:
    story = ingest("Rain", image_url=upload(engine), image_alt='Rain on "Main" Street')
    page = visitor.get(story["url"].removeprefix(SITE)).text
    assert f'<source type="image/webp" srcset="/media/{ID}-400.webp 400w, ' in page
    assert 'alt="Rain on &#34;Main&#34; Street" width="1200" height="700"' in page
    assert f'<meta property="og:image" content="{SITE}/media/{ID}-1200.jpg">' in page
    assert f'"image":["{SITE}/media/{ID}-1200.jpg"]' in page
    front = visitor.get("/").text
    assert f"/media/{ID}-800.webp 800w" in front


def test_an_outside_picture_is_shown_as_it_is(visitor: Visitor, ingest: Ingest) -> None:
    given: dict[str, Any] = {"image_url": "https://pictures.example/a.jpg", "image_alt": "A"}
    page = visitor.get(ingest("Rain", **given)["url"].removeprefix(SITE)).text
    assert '<img src="https://pictures.example/a.jpg" alt="A"' in page
    assert "srcset" not in page


def test_only_editors_upload_with_their_sessions_token(visitor: Visitor, editor: Visitor) -> None:
    headers = {"Content-Type": "image/jpeg", "Accept": "application/json"}
    assert visitor.post("/desk/pictures", content=b"x", headers=headers).status_code == 401
    assert editor.post("/desk/pictures", content=b"x", headers=headers).status_code == 403
    token = {"X-CSRF-Token": editor.token()}
    refused = editor.post("/desk/pictures", content=b"x", headers=headers | token)
    assert (refused.status_code, "no picture" in refused.json()["detail"]) == (422, True)
