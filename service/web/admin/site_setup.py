"""What a publisher's developer copies into a site, so that a web app's readers get alerts there."""

import json
from dataclasses import dataclass

from service.domain.network import origin_of
from service.settings import Settings
from service.web import kit

SCRIPT, WORKER = "newszop.js", "newszop-sw.js"


@dataclass(frozen=True, slots=True)
class SiteSetup:
    """The parts of a set-up as text; `server` is the origin that a page's policy has to allow."""

    server: str
    page: str
    worker_file: str
    worker: str


def site_setup(settings: Settings, app: str) -> SiteSetup:
    """Return the set-up of a web app: the script is pinned to the version whose hash it names."""
    server = origin_of(settings.public_url)
    options = f"{{ server: {json.dumps(server)}, app: {json.dumps(app)} }}"
    page = (
        f'<script src="{server}{kit.kit_url(SCRIPT)}"\n'
        f'  integrity="{kit.integrity(SCRIPT)}"\n'
        '  crossorigin="anonymous"></script>\n'
        "<script>\n"
        f"  newszop.init({options})\n"
        "    .then(() => newszop.prompt());\n"
        "</script>"
    )
    worker = f'importScripts("{server}{kit.PREFIX}/{WORKER}");'
    return SiteSetup(server, page, f"/{WORKER}", worker)
