"""The program that polls feeds: what is due in the rows, one feed of a host at a time.

One process polls at a time, by a lease. When a feed is asked next stands in its row, so nothing is
lost with the process, and no message carries a time. Network and parsing are the threads' work;
this loop claims what is due, and writes how polls went, all of a turn in one statement.
"""

import os
import signal
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import structlog
from prometheus_client import CollectorRegistry

from service.actions.feeds import hub_subscriptions
from service.actions.feeds.feed_polling import Polling, poll_feed
from service.actions.feeds.own_hub import OwnHub
from service.fetching.allowed_hosts import AllowedHosts
from service.fetching.fetch import Fetcher
from service.logs import configure_logging
from service.metrics import definitions
from service.outbox import CeleryBroker
from service.settings import Settings, load
from service.store.operations import process_leases
from service.store.session import DATABASE_AWAY, open_engine, transaction
from service.store.stories import feeds
from service.store.stories.feeds import PollResult, StoredFeed
from service.tracing.spans import close_tracing, configure_tracing, span

log = structlog.get_logger()

THREADS = 24
TURN_S = 0.25
IDLE_TURN_S = 1.0
LEASE = "feeds"
LEASE_S = 10.0
HUBS_EVERY_S = 10.0


REGISTRY = CollectorRegistry()
POLLS = definitions.FEED_POLLS.count(REGISTRY)
POLL_SECONDS = definitions.FEED_POLL_SECONDS.time(REGISTRY)


class FeedPoller:
    """Polls until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        self.stopping = threading.Event()
        self._engine = open_engine(
            settings.database_url, pool_size=4, name="newszop-feeds", pooler=settings.db_pooler
        )
        hosts = AllowedHosts.named(settings.fetch_allowed_hosts)
        self._polling = Polling(
            settings=settings,
            engine=self._engine,
            broker=CeleryBroker(settings.broker),
            fetcher=Fetcher(hosts, is_stopping=self.stopping.is_set),
        )
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="feed")
        self._running: dict[Future[PollResult], StoredFeed] = {}
        self._holder = f"{socket.gethostname()}/{os.getpid()}"
        self._leased_until = 0.0
        self._hubs_at = 0.0
        self._hub_calls: Future[None] | None = None
        self._own_hub = OwnHub()

    def run(self) -> None:
        """Take turns; a database that is away is waited for."""
        while not self.stopping.is_set():
            try:
                busy = self._take_lease() and self.take_turn()
            except DATABASE_AWAY as error:
                log.warning("feeds wait", error=type(error).__name__)
                busy = False
            self.stopping.wait(TURN_S if busy else IDLE_TURN_S)
        self._pool.shutdown(cancel_futures=True)
        with suppress(*DATABASE_AWAY), transaction(self._engine) as session:
            process_leases.give_back(session, LEASE, self._holder)
        self._engine.dispose()

    def take_turn(self) -> bool:
        """Write how polls went and begin those that are due; returns whether any runs."""
        results = [self._result(future) for future in list(self._running) if future.done()]
        busy_hosts = {feed.host for feed in self._running.values()}
        with transaction(self._engine) as session:
            if results:
                feeds.save_results(session, results)
            free = THREADS - len(self._running)
            due = feeds.claim_due(session, busy_hosts, free) if free else []
        for feed in due:
            self._running[self._pool.submit(_poll, self._polling, feed)] = feed
        self._begin_hub_calls()
        return bool(self._running)

    def _begin_hub_calls(self) -> None:
        """Call the hubs when it is time, in one thread: slow hubs hold up no poll."""
        is_running = self._hub_calls is not None and not self._hub_calls.done()
        if is_running or time.monotonic() < self._hubs_at:
            return
        self._hubs_at = time.monotonic() + HUBS_EVERY_S
        self._hub_calls = self._pool.submit(self._ask_hubs)

    def _result(self, future: "Future[PollResult]") -> PollResult:
        """Return how a poll went; one that raised is a failure of its feed and of no other."""
        feed = self._running.pop(future)
        error = future.exception()
        if error is None:
            result = future.result()
            POLLS.labels("failed" if result.error else "done").inc()
            return result
        POLLS.labels("failed").inc()
        log.warning("poll failed", feed=feed.source_id, error=f"{type(error).__name__}: {error}")
        return PollResult(
            source_id=feed.source_id,
            wait_s=60,
            failures=feed.failures,
            error="A fault of ours: the feed is asked again in a minute.",
        )

    def _take_lease(self) -> bool:
        if time.monotonic() < self._leased_until - LEASE_S / 2:
            return True
        with transaction(self._engine) as session:
            is_ours = process_leases.take(session, LEASE, self._holder, LEASE_S)
        self._leased_until = time.monotonic() + LEASE_S if is_ours else 0.0
        return is_ours

    def _ask_hubs(self) -> None:
        try:
            self._own_hub.tell_changes(self._polling)
            hub_subscriptions.renew_subscriptions(self._polling)
        except Exception as error:  # noqa: BLE001 - polling goes on without hubs
            log.warning("hubs", error=type(error).__name__)


def _poll(polling: Polling, feed: StoredFeed) -> PollResult:
    with POLL_SECONDS.time(), span("poll_feed", {"newszop.source": feed.source_id}):
        return poll_feed(polling, feed)


def main() -> None:
    """Poll until SIGINT or SIGTERM."""
    settings = load()
    configure_logging(settings.log_level, settings.log_format)
    configure_tracing(settings, "feeds")
    poller = FeedPoller(settings)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: poller.stopping.set())
    poller.run()
    close_tracing()


if __name__ == "__main__":
    main()
