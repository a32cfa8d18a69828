"""Applications of one test process share what takes long to build and is the same in all of them.

Each test has an application of its own. FastAPI builds a router's routes when they are first looked
at, 0.1 - 0.4 s for all of ours, and Jinja compiles a page when it is first shown. Neither knows
anything of the application: handlers find it in the request, pages in their globals.
"""

from fastapi import FastAPI
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from starlette.routing import BaseRoute

_routes: dict[int, BaseRoute] = {}
_templates: dict[str, bytes] = {}


class CompiledTemplates(BytecodeCache):
    """Templates that were compiled in this process, by name and source."""

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in _templates:
            bucket.bytecode_from_string(_templates[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        _templates[bucket.key] = bucket.bytecode_to_string()


def share_builds(app: FastAPI) -> FastAPI:
    """Give the application the routes and pages that an earlier one has built; return it."""
    routes = app.router.routes
    for position, route in enumerate(routes):
        router = getattr(route, "original_router", None)
        if router is not None:
            routes[position] = _routes.setdefault(id(router), route)
    app.state.renderer.env.bytecode_cache = CompiledTemplates()
    return app
