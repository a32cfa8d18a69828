"""What becomes of an upload: its sizes, and nothing of it but its pixels."""

import pytest

from service.domain.errors import Invalid
from service.domain.media.pictures import (
    StoredPicture,
    id_in,
    ids_in,
    narrow_address,
    own_path,
    whole_address,
    wide_address,
    widths_of,
    with_whole_addresses,
)
from service.media.picture_sizes import MAX_PIXELS, size_picture
from tests.sample_pictures import (
    in_other_colours,
    opened,
    photograph,
    png_that_claims,
    saved,
    with_text,
)

ID = "0123456789abcdef" * 2
SITE = "https://news.example"


def refusal_of(source):
    with pytest.raises(Invalid) as refused:
        size_picture(source)
    assert refused.value.field == "picture"
    return refused.value.detail


def test_a_picture_comes_in_every_width_up_to_its_own_and_in_both_formats():
    sized = size_picture(photograph(820, 410))
    assert (sized.width, sized.height) == (820, 410)
    ends = {f"{width}.{kind}" for width in (400, 800, 820) for kind in ("jpg", "webp")}
    assert set(sized.files) == ends | {"wide.jpg"}
    for end, content in sized.files.items():
        image = opened(content)
        assert image.format == ("WEBP" if end.endswith("webp") else "JPEG")
        assert image.width == 820 if end == "wide.jpg" else image.width == int(end.split(".")[0])
        assert abs(image.width / image.height - 2) < 0.01


def test_a_large_picture_is_made_smaller_and_a_small_one_never_larger():
    assert widths_of(5000) == (400, 800, 1200, 1600)
    assert widths_of(1600) == (400, 800, 1200, 1600)
    assert widths_of(300) == (300,)
    sized = size_picture(photograph(1700, 850))
    assert (sized.width, sized.height) == (1600, 800)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "AVIF"])
def test_a_picture_is_turned_upright_and_says_no_place(kind):
    sized = size_picture(photograph(300, 150, kind=kind, turned=6))
    assert (sized.width, sized.height) == (150, 300)
    for content in sized.files.values():
        image = opened(content)
        assert not dict(image.getexif())
        assert not {"exif", "xmp", "icc_profile", "comment"} & set(image.info)
        for secret in (b"Anna", b"Exif", b"GPS", b"http"):
            assert secret not in content
    upper = opened(sized.files["150.jpg"]).getpixel((75, 30))
    assert upper[0] > 150 > upper[2], "its red half was on the left and is above now"


def test_the_words_in_a_picture_are_left_behind():
    assert all(b"Secret" not in content for content in size_picture(with_text()).files.values())


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("CMYK", "JPEG"), ("L", "JPEG"), ("1", "PNG"), ("P", "PNG"), ("I;16", "PNG")],
)
def test_any_colours_become_rgb(mode, kind):
    image = opened(photograph(100, 80)).convert("L").point(lambda grey: 255 if grey > 60 else 0)
    image = image.convert("I").point(lambda grey: grey * 256) if mode == "I;16" else image
    for content in size_picture(saved(image.convert(mode), kind)).files.values():
        grey = opened(content)
        assert grey.mode == "RGB"
        assert grey.getpixel((10, 10)) != grey.getpixel((grey.width - 10, 10))


def test_what_is_transparent_is_white_in_a_jpeg():
    image = opened(photograph(100, 80, kind="PNG", mode="RGBA"))
    image.putalpha(0)
    files = size_picture(saved(image, "PNG")).files
    assert opened(files["100.webp"]).mode == "RGBA"
    assert min(opened(files["100.jpg"]).getpixel((50, 40))) > 250


def test_a_profile_that_does_not_fit_is_taken_for_srgb():
    red, _, blue = opened(size_picture(in_other_colours()).files["200.jpg"]).getpixel((40, 40))
    assert red > 150 > blue


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (b"", "empty"),
        (b"not a picture", "no picture"),
        (b"<?xml version='1.0'?><svg onload='x()'/>", "SVG"),
        (b"  <SVG xmlns='x'>", "SVG"),
        (b"GIF89a" + bytes(100), "GIF"),
        (bytes(4) + b"ftypheic" + bytes(100), "HEIC"),
        (b"%PDF-1.7", "no picture"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "no picture"),
        (photograph()[:2000], "cut off"),
        (photograph(kind="PNG")[:200], "cut off"),
        (png_that_claims(6000, 6000), f"{MAX_PIXELS:,} pixels"),
        (png_that_claims(40_000, 40_000), "16,000 pixels a side"),
        (png_that_claims(17_000, 2), "16,000 pixels a side"),
        (png_that_claims(100, 100), "cut off"),
    ],
)
def test_what_is_no_sound_picture_is_refused_with_what_is_wrong(source, word):
    assert word in refusal_of(source)


def test_a_story_keeps_the_path_of_a_picture_and_others_get_its_address():
    picture = StoredPicture(ID, 1200, 800)
    assert picture.path == f"/media/{ID}-1200.jpg"
    assert picture.sources("webp").split(", ")[0] == f"/media/{ID}-400.webp 400w"
    assert own_path(SITE + picture.path, SITE) == picture.path
    assert whole_address(picture.path, SITE) == SITE + picture.path
    assert id_in(picture.path) == ID
    assert ids_in(f'<p>x</p><img src="{picture.path}" alt="">') == {ID}
    body = f'<p>x</p><img src="{picture.path}" alt="" loading="lazy">'
    assert with_whole_addresses(body, SITE) == body.replace("/media", f"{SITE}/media")
    assert narrow_address(SITE + picture.path) == SITE + picture.path
    large = SITE + StoredPicture(ID, 1600, 900).path
    assert narrow_address(large) == SITE + picture.path
    assert wide_address(large) == wide_address(SITE + picture.path)
    assert wide_address(SITE + picture.path) == f"{SITE}/media/{ID}-wide.jpg"


@pytest.mark.parametrize(
    "address",
    [
        "https://other.example/media/x.jpg",
        f"https://other.example/a/{ID}-1200.jpg",
        f"/media/{ID}-1200.png",
        f"/media/{ID.upper()}-1200.jpg",
        f"/media/../{ID}-1200.jpg",
        "",
    ],
)
def test_an_address_of_others_stays_as_it_is(address):
    assert own_path(address, SITE) == address
    assert id_in(address) is None
    assert wide_address(address) == narrow_address(address) == address
    assert (whole_address(address, SITE) or "") == address
