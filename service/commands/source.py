"""Where stories come from, feeds and systems that post; and what topics they may have."""

from pathlib import Path
from typing import Annotated

import typer

from service.actions import sources as source_actions
from service.actions.feeds import feed_addition
from service.actions.feeds.feed_polling import Polling, poll_feed
from service.actions.sources import SourceChange
from service.actions.topics.media_topic_import import import_media_topics
from service.commands import store_access
from service.commands.output import Failed, print_table, say
from service.commands.settings import read_settings
from service.domain.errors import require
from service.domain.people import Caller, Scope
from service.domain.sources.alert_rule import AlertMode
from service.fetching.allowed_hosts import AllowedHosts
from service.fetching.fetch import Fetcher
from service.outbox import CeleryBroker
from service.store.session import transaction
from service.store.stories import feeds, received_stories, sources
from service.unit_of_work import unit_of_work

app = typer.Typer(help="Where stories come from.", no_args_is_help=True)
topics_app = typer.Typer(help="What readers can follow.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="As listed.")]
CALLER = Caller(name=store_access.WHO, label=store_access.WHO, scopes=frozenset(Scope))
MOST_LISTED = 1000


@app.command()
def add(
    address: Annotated[str, typer.Argument(help="Of a feed, or of a page that has one.")],
    topic: Annotated[list[str] | None, typer.Option(help="Of all its stories.")] = None,
    alert: Annotated[AlertMode, typer.Option(help="What new stories lead to.")] = AlertMode.SUGGEST,
    *,
    drafts: Annotated[bool, typer.Option("--drafts", help="Publish nothing by itself.")] = False,
) -> None:
    """Add a feed and take in what it has."""
    settings = read_settings()
    fetcher = Fetcher(AllowedHosts.named(settings.fetch_allowed_hosts))
    change = SourceChange(values={"topics": topic or [], "alert": alert, "publish": not drafts})
    with store_access.store() as engine:
        answering_feed = feed_addition.find_feed(fetcher, address)
        with unit_of_work(engine, CeleryBroker(settings.broker)) as work:
            source = feed_addition.add_feed(work, answering_feed, change, settings, CALLER)
            counts = received_stories.count_stories(work.session, [f"source:{source.id}"])
    say(f"{source.name} is added: {sum(counts.values())} stories came in.")


@app.command("list")
def list_() -> None:
    """List the sources with how they are doing."""
    with store_access.one_transaction() as session:
        items = sources.page(session, None, MOST_LISTED).items
        polled = feeds.of_sources(session, [source.id for source in items])
        last = sources.last_deliveries(session, [source.id for source in items])
    rows = []
    for source in items:
        feed, delivery = polled.get(source.id), last.get(source.id)
        error = (feed.error if feed else "") or (delivery.error if delivery else "")
        state = "paused" if source.paused else "failing" if error else "works"
        news = f"{delivery.received_at:%Y-%m-%d %H:%M}" if delivery else "never"
        rows.append((source.name, source.kind, state, source.alert, news, error[:80]))
    print_table(("Name", "Kind", "State", "Alerts", "Last news", "Last fault"), rows)


@app.command("try")
def try_(name: Name) -> None:
    """Ask for a feed now and say what came of it."""
    settings = read_settings()
    with store_access.store() as engine:
        with transaction(engine) as session:
            source = require(sources.by_name(session, name), "source")
            feed = require(feeds.claim(session, source.id), "feed")
        fetcher = Fetcher(AllowedHosts.named(settings.fetch_allowed_hosts))
        broker = CeleryBroker(settings.broker)
        polling = Polling(settings=settings, engine=engine, broker=broker, fetcher=fetcher)
        result = poll_feed(polling, feed)
        with transaction(engine) as session:
            feeds.save_results(session, [result])
            delivery = sources.last_deliveries(session, [source.id]).get(source.id)
    if result.error:
        raise Failed(result.error)
    say(f"{name} works. Last news: {delivery.outcome if delivery else 'none'}.")


@app.command()
def pause(
    name: Name,
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Let it go on.")] = False,
) -> None:
    """Take nothing from a source for now."""
    settings = read_settings()
    broker = CeleryBroker(settings.broker)
    with store_access.store() as engine, unit_of_work(engine, broker) as work:
        source = require(sources.by_name(work.session, name), "source")
        change = SourceChange(values={"paused": not resume})
        source_actions.change_source(work, source.id, change, settings.seal_keys, CALLER)
    say(f"{name} {'goes on' if resume else 'is paused'}.")


@topics_app.callback()
def _group() -> None:
    """Keep `import` a command of the group, though it is the only one."""


@topics_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="IPTC's SKOS JSON, such as cptall-en-US.json.")],
    language: Annotated[
        str, typer.Option(help="The newsroom's: of the new topics' labels.")
    ] = "en",
) -> None:
    """Make topics of the official Media Topics, and let their codes stand for them."""
    try:
        document = file.read_bytes()
    except OSError as error:
        raise Failed(f"{file}: {error.strerror}") from None
    with store_access.one_transaction() as session:
        result = import_media_topics(session, document, language, store_access.WHO)
    say(
        f"{result.new} topics are new; {result.codes} codes stand for topics, "
        f"with labels in {result.languages} more languages."
    )
