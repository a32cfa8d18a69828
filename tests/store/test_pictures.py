"""Uploads that no story has go after some days; the others stay."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.domain.errors import Unavailable
from service.domain.media.pictures import StoredPicture
from service.media import pictures_elsewhere
from service.media.folder_storage import FolderStorage
from service.media.storage import delete_oldest_unused
from service.media_settings import MediaSettings
from service.store.schema import StaffRow
from service.store.session import transaction
from service.store.stories import autosaves, pictures

NOW = datetime.now(UTC)
LATER = NOW + pictures.UNUSED_FOR + timedelta(hours=1)


@pytest.fixture
def upload(engine):
    def keep(digit):
        picture = StoredPicture(digit * 32, 900, 600)
        with transaction(engine) as session:
            pictures.add_files(session, dict.fromkeys(picture.file_names, b"a picture"))
            pictures.add(session, picture, "key:1")
        return picture

    return keep


def files_left(engine, picture):
    with transaction(engine) as session:
        return [name for name in picture.file_names if pictures.read_file(session, name)]


def test_a_picture_that_no_story_has_goes_after_a_week_with_its_files(engine, upload):
    unused, used = upload("a"), upload("b")
    with transaction(engine) as session:
        pictures.claim(session, [used.id])
    assert not delete_oldest_unused(engine, None, NOW)
    assert delete_oldest_unused(engine, None, LATER)
    assert not delete_oldest_unused(engine, None, LATER)
    with transaction(engine) as session:
        assert pictures.many(session, [unused.id, used.id]) == {used.id: used}
    assert files_left(engine, unused) == []
    assert files_left(engine, used) == used.file_names


def test_a_backup_says_which_pictures_it_does_not_hold_and_a_restoration_which_are_missing(
    engine, upload, tmp_path
):
    settings = MediaSettings(media=str(tmp_path))
    inside, outside = upload("e"), upload("f")
    assert pictures_elsewhere.say_after_backup(engine, settings) == []
    assert pictures_elsewhere.say_after_restore(engine, settings) == []
    with transaction(engine) as session:
        pictures.delete_files(session, outside.file_names)
    (after_backup,) = pictures_elsewhere.say_after_backup(engine, settings)
    assert f"1 pictures. Copy the folder {tmp_path}" in after_backup
    (after_restore,) = pictures_elsewhere.say_after_restore(engine, settings)
    assert f"1 of 1 pictures have no files in {tmp_path}" in after_restore
    FolderStorage(tmp_path).add(dict.fromkeys(outside.file_names, b"a picture"))
    assert "All 1 pictures" in pictures_elsewhere.say_after_restore(engine, settings)[0]
    (no_folder,) = pictures_elsewhere.say_after_restore(engine, MediaSettings())
    assert "NEWSZOP_MEDIA" in no_folder
    assert files_left(engine, inside) == inside.file_names


def test_a_picture_in_text_that_is_being_typed_stays(engine, upload):
    picture = upload("c")
    with transaction(engine) as session:
        staff = StaffRow(email="editor@news.example", password_hash="none", role="editor")
        session.add(staff)
        session.flush()
        autosaves.keep(session, staff.id, 0, f'{{"image_url": "{picture.path}"}}', NOW)
    assert not delete_oldest_unused(engine, None, LATER)


def test_a_picture_that_is_uploaded_again_begins_its_week_again(engine, upload):
    picture = upload("d")
    with transaction(engine) as session:
        session.execute(text("UPDATE picture SET uploaded_at = now() - interval '30 days'"))
        assert pictures.touch(session, picture.id) == picture
        assert pictures.touch(session, "e" * 32) is None
    assert not delete_oldest_unused(engine, None, NOW)


def test_while_files_elsewhere_cannot_be_deleted_their_picture_stays(engine, upload):
    class Elsewhere:
        files, is_away = set(), True

        def delete(self, names):
            if self.is_away:
                raise Unavailable("away")
            self.files -= set(names)

    picture, elsewhere = upload("f"), Elsewhere()
    elsewhere.files = {*picture.file_names, "other"}
    with pytest.raises(Unavailable):
        delete_oldest_unused(engine, elsewhere, LATER)
    with transaction(engine) as session:
        assert picture.id in pictures.many(session, [picture.id])
    elsewhere.is_away = False
    assert delete_oldest_unused(engine, elsewhere, LATER)
    assert elsewhere.files == {"other"}
