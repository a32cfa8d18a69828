"""Applications of one test process share what takes long to build and is the same in all of them.

Each test has an application of its own, and Jinja compiles a page when it is first shown. The page
knows nothing of the application, which stands in its globals. The OpenAPI document knows the site's
name and address, and takes 0.7 s.
"""

from typing import Any

from fastapi import FastAPI
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

_templates: dict[str, bytes] = {}
_documents: dict[tuple[str, str], dict[str, Any]] = {}


class CompiledTemplates(BytecodeCache):
    """Templates that were compiled in this process, by name and source."""

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in _templates:
            bucket.bytecode_from_string(_templates[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        _templates[bucket.key] = bucket.bytecode_to_string()


def share_builds(app: FastAPI) -> FastAPI:
    """Give the application the pages and the document that an earlier one has built; return it."""
    app.state.renderer.env.bytecode_cache = CompiledTemplates()
    build, key = app.openapi, (app.title, app.state.settings.public_url)

    def document() -> dict[str, Any]:
        if key not in _documents:
            _documents[key] = build()
        return _documents[key]

    app.openapi = document
    return app
