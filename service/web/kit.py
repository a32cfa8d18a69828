"""The web kit: the script and the worker that a publisher's own site loads from here.

The parts under `static/kit/` are modules, which our own pages import. For other sites they are one
file: a classic script that sets `newszop`, and the same as a module.
"""

import base64
import gzip
import hashlib
import re
from collections.abc import Mapping
from functools import cache

from fastapi import Request, Response

from service.domain.errors import NotFound
from service.http.api_document import Router
from service.http.encodings import accepts_gzip
from service.web.rendering import IMMUTABLE, STATIC

KIT_VERSION = "1.0.0"
"""Of the files below. The bytes of a version never change: `tests/web/test_kit.py` knows them."""
PREFIX = "/kit"
FOLDER = STATIC / "kit"
PARTS = (
    "storage.js",
    "account.js",
    "subscription.js",
    "device.js",
    "elements.js",
    "prompt.js",
    "preferences.js",
    "newszop.js",
)
"""In the order of their imports."""
ONE_HOUR = "public, max-age=3600"
_IMPORT = re.compile(r"^import .*\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=class |const |function |async )", re.MULTILINE)
_EXPORT_LIST = re.compile(r"^export \{.*\};\n", re.MULTILINE)
_COMMENT = re.compile(r"^\s*//.*\n", re.MULTILINE)

router = Router(prefix=PREFIX, in_document=False)


@cache
def kit_files() -> Mapping[str, bytes]:
    """Return the files by name, as other sites get them."""
    parts = "\n".join(_part(name) for name in PARTS)
    head = f"/* Newszop {KIT_VERSION} */\n"
    body = f"{head}(() => {{\n{parts}\nglobalThis.newszop = newszop;\n"
    module = f"{head}{parts}\nexport default newszop;\nexport {{ newszop, Refused }};\n"
    worker = head + _COMMENT.sub("", (FOLDER / "newszop-sw.js").read_text("utf-8"))
    texts = {"newszop.js": body + "})();\n", "newszop.mjs": module, "newszop-sw.js": worker}
    return {name: text.encode() for name, text in texts.items()}


@cache
def compressed(name: str) -> bytes:
    """Return a file's bytes, compressed."""
    return gzip.compress(kit_files()[name], 9, mtime=0)


def integrity(name: str) -> str:
    """Return the value of a script element's `integrity` (W3C Subresource Integrity)."""
    return "sha384-" + base64.b64encode(hashlib.sha384(kit_files()[name]).digest()).decode()


def kit_url(name: str) -> str:
    """Return the address of a file that never changes."""
    return f"{PREFIX}/{KIT_VERSION}/{name}"


@router.get("/{name}")
def newest(request: Request, name: str) -> Response:
    """Return a file of the newest version; browsers ask again after an hour."""
    return _answer(request, name, ONE_HOUR)


@router.get("/{version}/{name}")
def pinned(request: Request, version: str, name: str) -> Response:
    """Return a file of one version, which browsers may keep for ever."""
    if version != KIT_VERSION:
        raise NotFound(f"There is no version {version} of the kit here; use {KIT_VERSION}.")
    return _answer(request, name, IMMUTABLE)


def _part(name: str) -> str:
    """Return a part without its imports and exports, for all parts share one scope."""
    text = (FOLDER / name).read_text("utf-8")
    for pattern in (_IMPORT, _EXPORT, _EXPORT_LIST, _COMMENT):
        text = pattern.sub("", text)
    return text


def _answer(request: Request, name: str, cache_control: str) -> Response:
    if name not in kit_files():
        raise NotFound(f"The kit has {', '.join(kit_files())}.")
    headers = {
        "Cache-Control": cache_control,
        "Vary": "Accept-Encoding",
        # a page that isolates itself may load it as well
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    body = kit_files()[name]
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
        body = compressed(name)
    return Response(body, media_type="text/javascript; charset=utf-8", headers=headers)
