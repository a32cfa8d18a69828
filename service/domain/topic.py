"""Topics are a tree of paths: who follows `sport` follows `sport/tennis`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from service.domain.errors import Invalid

MAX_PATH = 200
STORY_PREFIX = "story/"
_STEP = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Topic:
    """A named interest. `parent` is a path; `followers` counts the readers who follow it itself.

    `language` is that of the label where it is another than the newsroom's own.
    """

    id: int
    path: str
    label: str
    parent: str | None = None
    followers: int = 0
    language: str = ""


def parse_path(path: str, field: str = "topics") -> str:
    """Return the normal form of an ordinary topic's path, or raise `Invalid`."""
    steps = path.strip().strip("/").lower().split("/")
    if len(path) > MAX_PATH or not all(_STEP.fullmatch(step) for step in steps):
        raise Invalid(
            field,
            f"{path[:80]!r} is not a topic path: use lower-case words of a-z, 0-9 and hyphens, "
            f"joined by slashes, at most {MAX_PATH} characters.",
        )
    if steps[0] == "story":
        raise Invalid(field, "Topics under story/ are reserved: each story is its own topic.")
    return "/".join(steps)


def parent_of(path: str) -> str | None:
    """Return the path above, None at the top."""
    above, _, _ = path.rpartition("/")
    return above or None


def lineage(path: str) -> tuple[str, ...]:
    """Return the path and all its ancestors, the nearest first."""
    steps = path.split("/")
    return tuple("/".join(steps[:n]) for n in range(len(steps), 0, -1))


def with_ancestors(paths: Iterable[str]) -> tuple[str, ...]:
    """Return all the paths with all their ancestors, each once, sorted."""
    return tuple(sorted({above for path in paths for above in lineage(path)}))


def is_above(ancestor: str, path: str) -> bool:
    """Whether `ancestor` stands properly above `path`."""
    return path.startswith(ancestor + "/")


def story_topic(story_id: int) -> str:
    """Return the path by which one story is followed."""
    return f"{STORY_PREFIX}{story_id}"


def label_from(path: str) -> str:
    """Return a readable label for a topic nobody has named yet."""
    return path.rpartition("/")[2].replace("-", " ").capitalize()
