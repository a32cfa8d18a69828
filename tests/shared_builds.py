"""Applications of one test process share what takes long to build and is the same in all of them.

Each test has an application of its own, and Jinja compiles a page when it is first shown. The page
knows nothing of the application, which stands in its globals.
"""

from fastapi import FastAPI
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

_templates: dict[str, bytes] = {}


class CompiledTemplates(BytecodeCache):
    """Templates that were compiled in this process, by name and source."""

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in _templates:
            bucket.bytecode_from_string(_templates[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        _templates[bucket.key] = bucket.bytecode_to_string()


def share_builds(app: FastAPI) -> FastAPI:
    """Give the application the pages that an earlier one has compiled; return it."""
    app.state.renderer.env.bytecode_cache = CompiledTemplates()
    return app
