"""Pictures as cameras, phones and attackers make them."""

import io
import struct
import zlib

from PIL import Image, ImageCms, PngImagePlugin

GPS = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 17.0)}


def photograph(width=640, height=480, *, kind="JPEG", mode="RGB", turned=0, **options):
    """Return a picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (width, height), (210, 30, 30))
    image.paste((20, 40, 200), (width // 2, 0, width, height))
    image = image.convert(mode)
    if turned:
        exif = image.getexif()
        exif[0x0112] = turned
        exif[0x010F] = "Camera of Anna Beispiel"
        exif[0x8825] = GPS
        options["exif"] = exif
    return saved(image, kind, **options)


def saved(image, kind, **options):
    """Return a picture as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_text():
    """Return a PNG that says in words where it is from."""
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "taken at Secret Street 5")
    words.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>Secret Street 5</x:xmpmeta>")
    return photograph(200, 100, kind="PNG", pnginfo=words)


def in_other_colours():
    """Return a JPEG in which a profile of its own says what the numbers mean."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    return photograph(200, 100, icc_profile=profile.tobytes())


def png_that_claims(width, height):
    """Return a PNG of a few bytes whose head claims any size."""

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def opened(content):
    """Return a file's picture, decoded."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image
