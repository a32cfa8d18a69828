"""Uploads that no story has go after some days; the others stay."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.media.pictures import StoredPicture
from service.media.storage import MovedStorage, TableStorage, delete_unused
from service.store.schema import StaffRow
from service.store.session import transaction
from service.store.stories import autosaves, pictures

NOW = datetime.now(UTC)
LATER = NOW + pictures.UNUSED_FOR + timedelta(hours=1)


@pytest.fixture
def storage(engine):
    return TableStorage(engine)


@pytest.fixture
def upload(engine, storage):
    def keep(digit):
        picture = StoredPicture(digit * 32, 900, 600)
        storage.add(dict.fromkeys(picture.file_names, b"a picture"))
        with transaction(engine) as session:
            pictures.add(session, picture, "key:1")
        return picture

    return keep


def files_left(storage, picture):
    return [name for name in picture.file_names if storage.read(name)]


def test_a_picture_that_no_story_has_goes_after_a_week_with_its_files(engine, storage, upload):
    unused, used = upload("a"), upload("b")
    with transaction(engine) as session:
        pictures.claim(session, [used.id])
    assert delete_unused(engine, storage, NOW) == 0
    assert delete_unused(engine, storage, LATER) == 1
    with transaction(engine) as session:
        assert pictures.many(session, [unused.id, used.id]) == {used.id: used}
    assert files_left(storage, unused) == []
    assert files_left(storage, used) == used.file_names


def test_a_picture_in_text_that_is_being_typed_stays(engine, storage, upload):
    picture = upload("c")
    with transaction(engine) as session:
        staff = StaffRow(email="editor@news.example", password_hash="none", role="editor")
        session.add(staff)
        session.flush()
        autosaves.keep(session, staff.id, 0, f'{{"image_url": "{picture.path}"}}', NOW)
    assert delete_unused(engine, storage, LATER) == 0


def test_a_picture_that_is_uploaded_again_begins_its_week_again(engine, storage, upload):
    picture = upload("d")
    with transaction(engine) as session:
        session.execute(text("UPDATE picture SET uploaded_at = now() - interval '30 days'"))
        assert pictures.touch(session, picture.id) == picture
        assert pictures.touch(session, "e" * 32) is None
    assert delete_unused(engine, storage, NOW) == 0


def test_files_of_before_the_setting_changed_are_still_there(storage, upload):
    class Elsewhere(dict):
        add, read = dict.update, dict.get

        def delete(self, names):
            for name in names:
                self.pop(name, None)

    picture, elsewhere = upload("f"), Elsewhere()
    moved = MovedStorage(elsewhere, storage)
    moved.add({"new.jpg": b"new"})
    assert (moved.read("new.jpg"), storage.read("new.jpg")) == (b"new", None)
    assert moved.read(picture.file_names[0]) == b"a picture"
    moved.delete(["new.jpg", *picture.file_names])
    assert files_left(moved, picture) == []
    assert moved.read("new.jpg") is None
