"""One source: what it may do, its secret, its field map, and what it sent lately."""

import json
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import Form, Path, Request, Response
from pydantic import BaseModel

from service.actions import sources as source_actions
from service.actions.hook_deliveries import replay_delivery, source_field_map
from service.actions.sources import SourceChange
from service.domain.errors import Invalid, Refusal, require
from service.domain.sources.alert_rule import AlertMode, make_alert_rule
from service.domain.subscription import Urgency
from service.formats.hooks.field_map import parse_mapped
from service.formats.incoming import IncomingStory, Stories
from service.http.api_document import Router
from service.http.dependencies import Cursor, Id, SettingsDep, WorkDep
from service.store.stories import sources
from service.unit_of_work import UnitOfWork
from service.web.newsroom.source_pages import source_lines, split_words
from service.web.rendering import query_string, redirect, render
from service.web.visitors import Editor, EditorActing

router = Router(prefix="/desk/sources/{source_id}", in_document=False)
SourceId = Annotated[Id, Path()]
DELIVERIES = 20
OLD_SECRET_HOURS = 24


class RuleFields(BaseModel):
    """What a source may do, as the browser sends it."""

    topics: Annotated[str, Form(max_length=2000)] = ""
    language: Annotated[str, Form(max_length=40)] = "en"
    publish: Annotated[str, Form(max_length=10)] = ""
    categories: Annotated[str, Form(max_length=20_000)] = ""
    alert: AlertMode = AlertMode.NEVER
    urgency: Urgency = Urgency.NORMAL
    most_a_day: int = 5
    minutes_apart: int = 30
    from_hour: int = 0
    until_hour: int = 0
    timezone: Annotated[str, Form(max_length=64)] = "UTC"

    def change(self) -> SourceChange:
        """Return what is new of the source; raises `Invalid`."""
        names = {"urgency", "most_a_day", "minutes_apart", "from_hour", "until_hour", "timezone"}
        values = {
            "topics": split_words(self.topics),
            "language": self.language,
            "publish": self.publish == "yes",
            "categories": read_categories(self.categories),
            "alert": self.alert,
            "alert_rule": self.model_dump(include=names),
        }
        return SourceChange(values=values)


def read_categories(text: str) -> dict[str, str]:
    """Return the map that is written a line each: the sender's word, an equals sign, a topic."""
    lines = [line for line in text.splitlines() if line.strip()]
    pairs = [line.rpartition("=") for line in lines]
    wrong = next(
        (
            line
            for line, (word, _, path) in zip(lines, pairs, strict=True)
            if not word.strip() or not path.strip()
        ),
        None,
    )
    if wrong is not None:
        raise Invalid("categories", f"Write each as in `Sports = sport`: {wrong[:60]}")
    return {word.strip(): path.strip() for word, _, path in pairs}


@router.get("")
def show(
    request: Request, work: WorkDep, _: Editor, source_id: SourceId, cursor: Cursor = None
) -> Response:
    """Show a source with its settings and its import log."""
    return _show(request, work, source_id, cursor)


def _show(
    request: Request,
    work: UnitOfWork,
    source_id: int,
    cursor: str | None = None,
    *,
    fault: str = "",
    field_map: str = "",
    example: str = "",
    trial: Stories = (),
) -> Response:
    source = require(sources.get(work.session, source_id), "source")
    log = sources.deliveries(work.session, source_id, cursor, DELIVERIES)
    current_map = json.dumps(source.field_map, indent=1, ensure_ascii=False)
    return render(
        request,
        "source.html",
        status=422 if fault else 200,
        line=source_lines(work, [source])[0],
        source=source,
        rule=make_alert_rule(source.alert_rule),
        modes=tuple(AlertMode),
        categories="\n".join(f"{word} = {path}" for word, path in source.categories.items()),
        log=log.items,
        next=query_string(cursor=log.next),
        fault=fault,
        field_map=field_map or current_map,
        example=example,
        trial=[story for story in trial if isinstance(story, IncomingStory)],
    )


@router.post("")
def save(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: EditorActing,
    source_id: SourceId,
    fields: Annotated[RuleFields, Form()],
) -> Response:
    """Save what the source may do."""
    try:
        with work.session.begin_nested():
            change = fields.change()
            source_actions.change_source(work, source_id, change, settings.seal_keys, caller)
    except Refusal as refusal:
        return _show(request, work, source_id, fault=f"Not saved: {refusal.detail}")
    return redirect(request, f"/desk/sources/{source_id}", "Saved.")


@router.post("/secret")
def set_secret(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: EditorActing,
    source_id: SourceId,
    secret: Annotated[str, Form(max_length=200)],
) -> Response:
    """Give the source a new secret; the one before signs for a day too."""
    try:
        change = source_actions.rotate_secret(secret, work.now, OLD_SECRET_HOURS)
        source_actions.change_source(work, source_id, change, settings.seal_keys, caller)
    except Refusal as refusal:
        return _show(request, work, source_id, fault=f"Not saved: {refusal.detail}")
    flash = "The new secret signs from now on, and the one before for a day too."
    return redirect(request, f"/desk/sources/{source_id}", flash)


@router.post("/map")
def try_map(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: EditorActing,
    source_id: SourceId,
    field_map: Annotated[str, Form(max_length=20_000)],
    example: Annotated[str, Form(max_length=200_000)] = "",
    do: Annotated[str, Form(pattern="^(try|save)$")] = "try",
) -> Response:
    """Try a custom source's field map with a pasted example, or save it."""
    show_again = partial(_show, request, work, source_id, field_map=field_map, example=example)
    try:
        values = _read_map(field_map)
        if do == "try":
            source = require(sources.get(work.session, source_id), "source")
            field_rules = source_field_map(replace(source, field_map=values))
            return show_again(trial=parse_mapped(example.encode(), field_rules))
        change = SourceChange(values={"field_map": values})
        with work.session.begin_nested():
            source_actions.change_source(work, source_id, change, settings.seal_keys, caller)
    except Refusal as refusal:
        return show_again(fault=refusal.detail)
    return redirect(request, f"/desk/sources/{source_id}", "The field map is saved.")


def _read_map(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    members = value if isinstance(value, dict) else {}
    maps = [members.get("fields"), members.get("statuses", {})]
    is_map = isinstance(members.get("stories", ""), str) and all(map(_is_text_map, maps))
    if not is_map:
        raise Invalid("field_map", "The map is JSON: an object with `fields`, all in quotes.")
    return {name: members[name] for name in ("fields", "stories", "statuses") if name in members}


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


@router.post("/deliveries/{delivery_id}/replay")
def replay(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: EditorActing,
    source_id: SourceId,
    delivery_id: Annotated[Id, Path()],
) -> Response:
    """Take in a kept delivery once more."""
    result = replay_delivery(work, source_id, delivery_id, caller, settings)
    flash = f"Refused again: {result.refusal.detail}" if result.refusal else "Taken in again."
    return redirect(request, f"/desk/sources/{source_id}", flash[:280])


@router.post("/remove")
def remove(request: Request, work: WorkDep, caller: EditorActing, source_id: SourceId) -> Response:
    """Remove a source; its stories stay."""
    source_actions.remove_source(work, source_id, caller)
    return redirect(request, "/desk/sources", "The source is removed. Its stories stay.")
