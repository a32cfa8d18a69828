"""Uploads that no story has go after some days; the others stay."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.pictures import StoredPicture
from service.media.storage import TableStorage, delete_unused
from service.store.schema import StaffRow
from service.store.stories import autosaves, pictures

LATER = datetime.now(UTC) + pictures.UNUSED_FOR + timedelta(hours=1)


@pytest.fixture
def upload(session):
    def keep(digit):
        picture = StoredPicture(digit * 32, 900, 600)
        TableStorage().add(session, dict.fromkeys(picture.file_names, b"a picture"))
        pictures.add(session, picture, "key:1")
        return picture

    return keep


def files_left(session, picture):
    storage = TableStorage()
    return [name for name in picture.file_names if storage.read(session, name)]


def test_a_picture_that_no_story_has_goes_after_a_week_with_its_files(session, upload):
    unused, used = upload("a"), upload("b")
    pictures.claim(session, [used.id])
    assert delete_unused(session, TableStorage(), datetime.now(UTC)) == 0
    assert delete_unused(session, TableStorage(), LATER) == 1
    assert pictures.many(session, [unused.id, used.id]) == {used.id: used}
    assert files_left(session, unused) == []
    assert files_left(session, used) == used.file_names


def test_a_picture_in_text_that_is_being_typed_stays(session, upload):
    picture = upload("c")
    staff = StaffRow(email="editor@news.example", password_hash="none", role="editor")
    session.add(staff)
    session.flush()
    autosaves.keep(session, staff.id, 0, f'{{"image_url": "{picture.path}"}}', LATER)
    assert delete_unused(session, TableStorage(), LATER) == 0


def test_a_picture_that_is_uploaded_again_begins_its_week_again(session, upload):
    picture = upload("d")
    session.execute(text("UPDATE picture SET uploaded_at = uploaded_at - interval '30 days'"))
    assert pictures.touch(session, picture.id) == picture
    assert delete_unused(session, TableStorage(), datetime.now(UTC)) == 0
    assert pictures.touch(session, "e" * 32) is None
