"""The audit trail: who did what to what, with the names of things and the way to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request, Response
from sqlmodel import Session

from service.domain.topic import STORY_PREFIX
from service.http.api_document import Router
from service.http.dependencies import Cursor, WorkDep
from service.store.alerts import similar_alerts
from service.store.staff import audit
from service.store.staff.audit import Entry
from service.store.stories import sources, stories
from service.web import lookups
from service.web.formatting import provider_name
from service.web.rendering import query_string, render
from service.web.visitors import Admin

router = Router(prefix="/control", in_document=False)
DEEDS_PER_PAGE = 60
KINDS = {
    "alert": ("Alert", "/desk/alerts/{id}"),
    "story": ("Story", "/desk/stories/{id}"),
    "source": ("Source", "/desk/sources/{id}"),
    "staff": ("Staff", "/control/people"),
    "key": ("API key", "/control/people"),
    "topic": ("Topic", "/topics/{id}"),
    "provider": ("Provider", "/control"),
    "app": ("App", "/control/apps/{id}"),
}
"""What a person calls a kind of thing, and the page on which it stands."""
VERBS = {
    "tie devices": "turn test pushes on",
    "untie devices": "turn test pushes off",
    "ask for codes": "turn one-time codes on",
    "ask for no codes": "turn one-time codes off",
}
"""What a person calls an action, where that is not what is on record."""


@dataclass(frozen=True, slots=True)
class Target:
    """A thing that something was done to: its kind, its name, and its page where it has one."""

    kind: str
    name: str
    address: str | None


@router.get("/audit")
def show_trail(
    request: Request,
    work: WorkDep,
    _: Admin,
    target: Annotated[str, Query(alias="what", max_length=100)] = "",
    cursor: Cursor = None,
) -> Response:
    """Show who did what to what."""
    page = audit.page(work.session, cursor, DEEDS_PER_PAGE, what=target or None)
    targets = name_targets(work.session, [entry.what for entry in page.items] + [target])
    return render(
        request,
        "audit.html",
        deeds=[
            (entry, VERBS.get(entry.verb, entry.verb), targets[entry.what], _list_details(entry))
            for entry in page.items
        ],
        target=targets[target] if target else None,
        next=query_string(what=target, cursor=page.next) if page.next else "",
    )


def name_targets(session: Session, whats: Sequence[str]) -> dict[str, Target]:
    """Return what the audit trail's objects are called, as far as they are still there."""
    ids: dict[str, list[str]] = {}
    for what in whats:
        kind, _, key = what.partition(":")
        ids.setdefault(kind, []).append(key)
    names = {
        "alert": similar_alerts.alert_titles(session, _numbers(ids.get("alert", ()))),
        "story": {
            key: story.text.headline
            for key, story in stories.many(session, set(_numbers(ids.get("story", ())))).items()
        },
        "source": {
            key: source.name
            for key in dict.fromkeys(_numbers(ids.get("source", ())))
            if (source := sources.get(session, key)) is not None
        },
    }
    people = audit.caller_names(session, {w for w in whats if w.startswith(("staff:", "key:"))})
    labels = lookups.topic_labels(session, ids.get("topic", ()))
    return {what: _target(what, names, people, labels) for what in whats}


def _target(
    what: str,
    names: dict[str, dict[int, str]],
    people: dict[str, str],
    labels: dict[str, str],
) -> Target:
    kind, _, key = what.partition(":")
    if kind not in KINDS:
        return Target("", what, None)
    label, address = KINDS[kind]
    if kind in names:
        name = names[kind].get(int(key)) if _is_number(key) else None
        link = address.format(id=key) if name is not None else None
        return Target(label, name or "no longer there", link)
    if kind == "topic":
        link = None if key.startswith(STORY_PREFIX) else address.format(id=key)
        return Target(label, labels.get(key, key), link)
    if kind in ("provider", "app"):
        return Target(label, provider_name(key), address.format(id=key))
    return Target(label, people.get(what, key), address)


def _list_details(entry: Entry) -> list[tuple[str, str]]:
    """Return what else is on record of an action, in words; who did it stands beside it."""
    return [
        (name.replace("_", " "), _write(value))
        for name, value in entry.detail.items()
        if name != "by" and value not in (None, "", [], {})
    ]


def _write(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_write, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_write(part)}" for name, part in value.items())
    return str(value)


def _numbers(keys: Iterable[str]) -> list[int]:
    return [int(key) for key in keys if _is_number(key)]


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 20  # noqa: PLR2004 - digits of 2**63
