"""An uploaded picture: its widths, and the addresses that it is served at, which never change."""

import re
from dataclasses import dataclass
from typing import Final

WIDTHS: Final = (400, 800, 1200, 1600)
"""In pixels. A smaller picture has its own width as the largest: none is enlarged."""
FORMATS: Final = ("webp", "jpg")
MEDIA_TYPES: Final = {"jpg": "image/jpeg", "webp": "image/webp"}
WIDE: Final = "wide"
"""The name of the cut for pushes, twice as wide as high, as Android and Chrome show it."""
WIDE_WIDTH: Final = 1024
PUSH_WIDTH: Final = 1200
"""Of the whole picture in a push: one of `WIDTHS`."""
PREFIX: Final = "/media/"
_NAME = r"([0-9a-f]{32})-([1-9][0-9]{0,3}|wide)\.(webp|jpg)"
_FILE_NAME = re.compile(_NAME, re.ASCII)
_PATH = re.compile(rf"{PREFIX}{_NAME}", re.ASCII)
_PATHS = re.compile(rf'src="{PREFIX}{_NAME}"', re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture that we serve; `width` and `height` are those of its largest size.

    `id` is 32 hexadecimal digits of a hash of what was uploaded.
    """

    id: str
    width: int
    height: int

    @property
    def path(self) -> str:
        """The path of its largest size, which is what a story keeps."""
        return path_of(self.id, self.width)

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths that it is served in, the smallest first."""
        return widths_of(self.width)

    @property
    def file_names(self) -> list[str]:
        """The names of all its files."""
        sizes = [f"{self.id}-{width}.{kind}" for width in self.widths for kind in FORMATS]
        return [*sizes, f"{self.id}-{WIDE}.jpg"]

    def sources(self, kind: str) -> str:
        """Return its sizes in a format as a `srcset`."""
        return ", ".join(f"{path_of(self.id, width, kind)} {width}w" for width in self.widths)


def path_of(picture_id: str, width: int, kind: str = "jpg") -> str:
    """Return the path of a picture in a width and a format."""
    return f"{PREFIX}{picture_id}-{width}.{kind}"


def widths_of(width: int) -> tuple[int, ...]:
    """Return the widths in which a picture of this width is served, the smallest first."""
    largest = min(width, WIDTHS[-1])
    return (*(one for one in WIDTHS if one < largest), largest)


def is_file_name(name: str) -> bool:
    """Whether a file of a picture may be called so."""
    return _FILE_NAME.fullmatch(name) is not None


def media_type_of(name: str) -> str:
    """Return the media type of a file of a picture."""
    return MEDIA_TYPES[name.rpartition(".")[2]]


def is_own_path(address: str) -> bool:
    """Whether an address is the path of a picture that we serve, if it exists."""
    return _PATH.fullmatch(address) is not None


def id_in(path: str) -> str | None:
    """Return the id in the path of a picture of ours; None for any other address."""
    match = _PATH.fullmatch(path)
    return match[1] if match else None


def ids_in(markup: str) -> set[str]:
    """Return the ids of our pictures in the HTML of a story."""
    return {match[1] for match in _PATHS.finditer(markup)}


def own_path(address: str, site: str) -> str:
    """Return the path of a picture of ours that was named by its whole address, else the address.

    `site` is the setting PUBLIC_URL.
    """
    path = address.strip().removeprefix(site)
    return path if is_own_path(path) else address


def whole_address(path: str | None, site: str) -> str | None:
    """Return the whole address of a picture of ours, and any other address as it is."""
    return f"{site}{path}" if path and is_own_path(path) else path


def with_whole_addresses(markup: str, site: str) -> str:
    """Return the HTML of a story for readers elsewhere: our pictures by their whole addresses."""
    if f'src="{PREFIX}' not in markup:
        return markup
    return _PATHS.sub(lambda match: match[0].replace(PREFIX, f"{site}{PREFIX}", 1), markup)


def narrow_address(address: str) -> str:
    """Return the address of a picture of ours in a width for pushes, else the address."""
    head, slash, name = address.rpartition("/")
    if not head.endswith(PREFIX.rstrip("/")) or not is_file_name(name):
        return address
    width = name.partition("-")[2].partition(".")[0]
    if not width.isdigit() or int(width) <= PUSH_WIDTH:
        return address
    return f"{head}{slash}{name.partition('-')[0]}-{PUSH_WIDTH}.jpg"


def wide_address(address: str) -> str:
    """Return the address of the cut for pushes of a picture of ours, else the address."""
    head, slash, name = address.rpartition("/")
    if not head.endswith(PREFIX.rstrip("/")) or not is_file_name(name):
        return address
    return f"{head}{slash}{name.partition('-')[0]}-{WIDE}.jpg"
