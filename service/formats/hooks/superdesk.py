"""What Superdesk pushes over HTTP: ninjs 1.x with `guid` for `uri`, one item a delivery."""

from collections.abc import Mapping

from service.formats.incoming import IncomingStory, single
from service.formats.ninjs import parse_ninjs


def parse_superdesk(document: bytes, *, aliases: Mapping[str, str] | None = None) -> IncomingStory:
    """Read one delivery; raises `MalformedDocument` naming the JSON path."""
    return single(parse_ninjs(document, aliases=aliases))
