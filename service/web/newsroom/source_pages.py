"""Where stories come from: every source with how it is doing, new feeds, and new webhooks."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import File, Form, Path, Request, Response, UploadFile

from service.actions import sources as source_actions
from service.actions.feeds import feed_addition
from service.actions.feeds.feed_polling import Polling, poll_feed
from service.actions.hook_deliveries import SIGNATURES
from service.actions.sources import SourceChange
from service.domain.errors import Refusal, require
from service.domain.sources.alert_rule import AlertMode
from service.formats.feeds.opml import parse_opml
from service.http.api_document import Router
from service.http.dependencies import Cursor, Id, SettingsDep, WorkDep
from service.store.session import transaction
from service.store.stories import feeds, received_stories, sources, suggested_alerts
from service.store.stories.feeds import StoredFeed
from service.store.stories.sources import Source, SourceDelivery
from service.unit_of_work import UnitOfWork
from service.web.newsroom.page_fetcher import page_fetcher
from service.web.rendering import query_string, redirect, render
from service.web.visitors import Editor, EditorActing

router = Router(prefix="/desk/sources", in_document=False)
SourceId = Annotated[Id, Path()]
PER_PAGE = 50
FIRST_MAP = {"fields": {"uri": "id", "headline": "title", "body": "body"}}
"""Of a custom source, until somebody tries and saves another."""
_Line = Annotated[str, Form(max_length=2048)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLine:
    """A source as the list shows it."""

    source: Source
    feed: StoredFeed | None
    last: SourceDelivery | None
    story_count: int

    @property
    def state(self) -> tuple[str, str]:
        """The source's state in a word, and its tone."""
        if self.source.paused:
            return "Paused", "wait"
        if self.error:
            return "Failing", "bad"
        if self.last is None and (self.feed is None or self.feed.polled_at is None):
            return "Waiting", "wait"
        return "Works", "good"

    @property
    def error(self) -> str:
        """What was wrong last: with the feed, or else with the last delivery."""
        if self.feed is not None and self.feed.error:
            return self.feed.error
        return self.last.error if self.last is not None else ""


@router.get("")
def show(request: Request, work: WorkDep, _: Editor, cursor: Cursor = None) -> Response:
    """List the sources."""
    return _show(request, work, cursor)


def _show(
    request: Request,
    work: UnitOfWork,
    cursor: str | None = None,
    *,
    fault: str = "",
    address: str = "",
) -> Response:
    page = sources.page(work.session, cursor, PER_PAGE)
    return render(
        request,
        "sources.html",
        status=422 if fault else 200,
        lines=source_lines(work, page.items),
        kinds=tuple(SIGNATURES),
        fault=fault,
        address=address,
        next=query_string(cursor=page.next),
    )


def source_lines(work: UnitOfWork, items: list[Source]) -> list[SourceLine]:
    """Return the sources with what is known of each."""
    ids = [source.id for source in items]
    polled = feeds.of_sources(work.session, ids)
    last = sources.last_deliveries(work.session, ids)
    counts = received_stories.count_stories(work.session, (f"source:{one}" for one in ids))
    return [
        SourceLine(
            source=source,
            feed=polled.get(source.id),
            last=last.get(source.id),
            story_count=counts.get(f"source:{source.id}", 0),
        )
        for source in items
    ]


@router.post("/feeds")
def add_feed(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: EditorActing,
    address: _Line,
    publish: Annotated[str, Form(max_length=10)] = "",
    alert: Annotated[AlertMode, Form()] = AlertMode.SUGGEST,
    topics: _Line = "",
) -> Response:
    """Add the feed at an address, or the one that the page there announces, and read it at once."""
    values = {"publish": publish == "yes", "alert": alert, "topics": split_words(topics)}
    try:
        answering_feed = feed_addition.find_feed(page_fetcher(settings), address.strip())
        with work.session.begin_nested():
            source = feed_addition.add_feed(
                work, answering_feed, SourceChange(values=values), settings, caller
            )
    except Refusal as refusal:
        return _show(request, work, fault=f"Not added: {refusal.detail}", address=address)
    line = source_lines(work, [source])[0]
    is_suggested = any(one.source_id == source.id for one in suggested_alerts.waiting(work.session))
    flash = f"{source.name} is added: {line.story_count} stories came in."
    if is_suggested:
        return redirect(request, "/desk", f"{flash} Its newest stands ready below as an alert.")
    return redirect(request, f"/desk/sources/{source.id}", flash)


@router.post("/webhooks")
def add_webhook(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: EditorActing,
    kind: Annotated[str, Form(pattern="^(superdesk|ghost|wordpress|custom)$")],
    name: Annotated[str, Form(max_length=63)],
    secret: Annotated[str, Form(max_length=200)],
) -> Response:
    """Add a system that posts its stories to an address of its own."""
    try:
        with work.session.begin_nested():
            values = {"field_map": FIRST_MAP} if kind == "custom" else {}
            change = SourceChange(secret=source_actions.check_secret(secret), values=values)
            source = source_actions.add_source(
                work, kind, source_actions.check_name(name), change, settings.seal_keys, caller
            )
    except Refusal as refusal:
        return _show(request, work, fault=f"Not added: {refusal.detail}")
    flash = f"{source.name} is added. Let it post to the address below."
    return redirect(request, f"/desk/sources/{source.id}", flash)


@router.post("/opml")
def import_opml(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: EditorActing,
    opml: Annotated[UploadFile, File()],
) -> Response:
    """Add the feeds of a list that another reader exported; they make drafts and no alerts."""
    try:
        with work.session.begin_nested():
            feed_list = parse_opml(opml.file.read())
            change = SourceChange(values={"publish": False, "alert": AlertMode.NEVER})
            number = feed_addition.add_listed_feeds(work, feed_list, change, settings, caller)
    except Refusal as refusal:
        return _show(request, work, fault=f"Nothing was imported: {refusal.detail}")
    known = len(feed_list) - number
    flash = f"{number} feeds are added, as drafts without alerts. {known} were here already."
    return redirect(request, "/desk/sources", flash)


@router.post("/{source_id}/poll")
def poll_now(
    request: Request, work: WorkDep, settings: SettingsDep, _: EditorActing, source_id: SourceId
) -> Response:
    """Ask for a feed now, whenever it would be due."""
    state = request.app.state
    with transaction(state.engine) as session:
        feed = require(feeds.claim(session, source_id), "feed")
    fetcher = page_fetcher(settings)
    polling = Polling(settings=settings, engine=state.engine, broker=state.broker, fetcher=fetcher)
    result = poll_feed(polling, feed)
    with transaction(state.engine) as session:
        feeds.save_results(session, [result])
    last = sources.last_deliveries(work.session, [source_id]).get(source_id)
    came = f" Last news: {last.outcome}." if last is not None and last.outcome else ""
    flash = f"It does not work: {result.error}" if result.error else f"The feed works.{came}"
    return redirect(request, f"/desk/sources/{source_id}", flash)


@router.post("/{source_id}/pause")
def pause(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: EditorActing,
    source_id: SourceId,
    paused: Annotated[str, Form(pattern="^(yes|no)$")],
) -> Response:
    """Pause a source, or let it go on."""
    change = SourceChange(values={"paused": paused == "yes"})
    source = source_actions.change_source(work, source_id, change, settings.seal_keys, caller)
    flash = f"{source.name} is paused." if source.paused else f"{source.name} goes on."
    return redirect(request, f"/desk/sources/{source_id}", flash)


def split_words(text: str) -> list[str]:
    """Return what commas part."""
    return [part.strip() for part in text.split(",") if part.strip()]
