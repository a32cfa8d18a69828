"""From an uploaded picture to the files that are served: decoded, turned upright, sized, encoded.

Nothing of the upload but its pixels gets into a file: no position, no camera, no comment.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from service.domain.errors import Invalid
from service.domain.media.pictures import WIDE, WIDE_WIDTH, WIDTHS, widths_of

FIELD = "picture"
INPUTS = ("JPEG", "PNG", "WEBP", "AVIF")
"""Pillow's names of what is decoded. Nothing is guessed at: SVG is a program, GIF is animation."""
LONGEST_SIDE = 16_000
"""WebP has at most 16,383 pixels a side."""
MAX_PIXELS = 24_000_000
MAX_JPEG_PIXELS = 64_000_000
"""A JPEG is decoded at half or a quarter of its size, which a large one from a phone needs."""
WEBP_OPTIONS = {"quality": 80, "method": 3}
JPEG_OPTIONS = {"quality": 82, "progressive": True, "optimize": True}
Image.MAX_IMAGE_PIXELS = None
"""Pillow's own bound would warn in one thread and raise in another; ours is checked before any
pixel is decoded."""
_SRGB = ImageCms.createProfile("sRGB")
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L")


@dataclass(frozen=True, slots=True)
class SizedPicture:
    """A picture's largest width and height, and its files by the end of their names: `800.webp`."""

    width: int
    height: int
    files: dict[str, bytes]


def size_picture(source: bytes) -> SizedPicture:
    """Return a picture in all sizes; raises `Invalid` with what is wrong with it.

    Costs up to two seconds of a processor and 200 MB: it belongs into a thread of its own.
    """
    if not source:
        raise Invalid(FIELD, "The picture is empty.")
    try:
        picture = _decode(source)
        return SizedPicture(picture.width, picture.height, dict(_encode_sizes(picture)))
    except Invalid:
        raise
    except (OSError, ValueError, SyntaxError, MemoryError, EOFError, ArithmeticError) as error:
        raise Invalid(FIELD, "The picture is damaged or cut off.") from error


def _decode(source: bytes) -> Image.Image:
    """Return the picture in its largest size, upright, in sRGB, as RGB or RGBA."""
    try:
        image: Image.Image = Image.open(io.BytesIO(source), formats=INPUTS)
    except UnidentifiedImageError:
        raise Invalid(FIELD, _describe_refused(source)) from None
    with image:
        _check_size(image)
        if image.format in ("JPEG", "MPO"):
            image.draft("RGB", (WIDTHS[-1], WIDTHS[-1]))
        image.load()
        picture = _mixable(ImageOps.exif_transpose(image))
        largest = _resize(picture, widths_of(picture.width)[-1])
        return _in_srgb(largest, image.info.get("icc_profile"))


def _describe_refused(source: bytes) -> str:
    start = source[:1000].lstrip().lower()
    if b"<svg" in start:
        return "SVG is not taken, because it can hold scripts: upload a JPEG, PNG, WebP or AVIF."
    if start.startswith((b"gif8", b"bm", b"ii*", b"mm\0*")):
        return "GIF, BMP and TIFF are not taken: upload a JPEG, PNG, WebP or AVIF."
    if source[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"):
        return "HEIC is not taken: let the phone send it as JPEG, or convert it."
    return "This is no picture that is taken: upload a JPEG, PNG, WebP or AVIF."


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    max_pixels = MAX_JPEG_PIXELS if image.format in ("JPEG", "MPO") else MAX_PIXELS
    if max(width, height) > LONGEST_SIDE:
        detail = f"At most {LONGEST_SIDE:,} pixels a side; the picture is {width:,} x {height:,}."
        raise Invalid(FIELD, detail)
    if width * height > max_pixels:
        detail = f"At most {max_pixels:,} pixels; the picture is {width:,} x {height:,}."
        raise Invalid(FIELD, detail)


def _mixable(image: Image.Image) -> Image.Image:
    """Return the picture in colours that can be mixed: without a palette, of 8 bits."""
    if image.mode in _DEEP_MODES:  # 16 bits of grey
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode in ("LA", "PA") or "transparency" in image.info:
        return image.convert("RGBA")
    return image if image.mode in ("RGB", "RGBA", "CMYK", "L") else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the picture in sRGB; a profile that cannot be read is taken for sRGB."""
    srgb = _apply_profile(image, profile) if profile else None
    return srgb or image.convert("RGBA" if image.mode == "RGBA" else "RGB")


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    opaque = image.convert("RGB") if image.mode == "RGBA" else image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        colours = ImageCms.profileToProfile(opaque, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    if colours is not None and image.mode == "RGBA":
        colours.putalpha(image.getchannel("A"))
    return colours


def _height(image: Image.Image, width: int) -> int:
    return max(1, round(image.height * width / image.width))


def _encode_sizes(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    """Encode every width, each from the one above it, and the cut for pushes."""
    yield f"{WIDE}.jpg", _encode(_cut_wide(_opaque(image)), "JPEG", JPEG_OPTIONS)
    smaller = image
    for width in reversed(widths_of(image.width)):
        smaller = _resize(smaller, width)
        yield f"{width}.webp", _encode(smaller, "WEBP", WEBP_OPTIONS)
        yield f"{width}.jpg", _encode(_opaque(smaller), "JPEG", JPEG_OPTIONS)


def _resize(image: Image.Image, width: int) -> Image.Image:
    size = (width, _height(image, width))
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _cut_wide(image: Image.Image) -> Image.Image:
    """Cut it twice as wide as high; of a high picture the upper part, where faces are."""
    width = min(WIDE_WIDTH, image.width)
    size = (width, max(1, width // 2))
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS, centering=(0.5, 0.33))


def _opaque(image: Image.Image) -> Image.Image:
    """Return the picture on white where it is transparent."""
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _encode(image: Image.Image, kind: str, options: dict[str, int | bool]) -> bytes:
    image.info.clear()  # encoders write comments and XMP that they find there
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
