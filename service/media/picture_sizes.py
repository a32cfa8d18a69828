"""From an uploaded picture to the files that are served: decoded, turned upright, sized, encoded.

Nothing of the upload but its pixels gets into a file: no position, no camera, no comment.
"""

import io
import warnings
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow finds large or odd, our bounds decide
        try:
            picture = _decode(source)
        except Invalid:
            raise
        except (OSError, ValueError, SyntaxError, MemoryError, EOFError, ArithmeticError) as error:
            raise Invalid(FIELD, "The picture is damaged or cut off.") from error
        return SizedPicture(*_largest_size(picture), dict(_encode_sizes(picture)))


def _decode(source: bytes) -> Image.Image:
    """Return the picture upright, in sRGB, as RGB or RGBA."""
    try:
        image: Image.Image = Image.open(io.BytesIO(source), formats=INPUTS)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise Invalid(FIELD, _describe_refused(source, error)) from None
    with image:
        _check_size(image)
        if image.format in ("JPEG", "MPO"):
            image.draft("RGB", (WIDTHS[-1], WIDTHS[-1]))
        image.load()
        upright = ImageOps.exif_transpose(image)
        return _in_srgb(upright, image.info.get("icc_profile"))


def _describe_refused(source: bytes, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"The picture has more than {MAX_PIXELS:,} pixels."
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
    most = MAX_JPEG_PIXELS if image.format in ("JPEG", "MPO") else MAX_PIXELS
    if max(width, height) > LONGEST_SIDE:
        detail = f"At most {LONGEST_SIDE:,} pixels a side; the picture is {width:,} x {height:,}."
        raise Invalid(FIELD, detail)
    if width * height > most:
        detail = f"At most {most:,} pixels; the picture is {width:,} x {height:,}."
        raise Invalid(FIELD, detail)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the picture in sRGB; a profile that cannot be read is taken for sRGB."""
    if image.mode in _DEEP_MODES:  # 16 bits of grey
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    is_transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    target = "RGBA" if is_transparent else "RGB"
    srgb = _apply_profile(image, profile, target) if profile else None
    return srgb or image.convert(target)


def _apply_profile(image: Image.Image, profile: bytes, target: str) -> Image.Image | None:
    if image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        image = image.convert(target)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode == "RGBA":
            colours = ImageCms.profileToProfile(
                image.convert("RGB"), source, _SRGB, outputMode="RGB"
            )
            if colours is not None:
                colours.putalpha(image.getchannel("A"))
            return colours
        return ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _largest_size(image: Image.Image) -> tuple[int, int]:
    width = widths_of(image.width)[-1]
    return width, _height(image, width)


def _height(image: Image.Image, width: int) -> int:
    return max(1, round(image.height * width / image.width))


def _encode_sizes(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    """Encode every width, each from the one above it, and the cut for pushes."""
    widths = widths_of(image.width)
    largest = _resize(image, widths[-1])
    yield f"{WIDE}.jpg", _encode(_cut_wide(_opaque(largest)), "JPEG", JPEG_OPTIONS)
    smaller = largest
    for width in reversed(widths):
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
