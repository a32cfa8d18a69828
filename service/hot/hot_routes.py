"""The hot calls of one process: turns, groups, the threads that write them, their connections."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine

from service.hot.device_calls import DeviceCalls, address_and_reader, registration_writer
from service.hot.group_commit import GroupCommit, Item, Keys, Result, Write
from service.hot.hot_calls import Route, Routes
from service.hot.page_calls import PageCalls
from service.hot.reader_calls import ReaderCalls, find_readers, newcomer_writer
from service.hot.receipt_calls import ReceiptCalls, receipt_writer
from service.hot.subscription_calls import (
    PATH,
    PREFIX,
    SubscriptionCalls,
    end_follows,
    find_pages,
    write_follows,
)
from service.hot.turns import Turns
from service.http.limits.rate_limit import Throttle
from service.settings import Settings
from service.web.page_cache import PageCache

GROUPS = 7
"""Kinds of groups: each has a thread and a connection of its own, so none waits for another."""


class HotRoutes:
    """What answers the hot calls; the engine has a connection for each kind of group."""

    def __init__(self, settings: Settings, engine: Engine, throttle: Throttle) -> None:
        self.pages = PageCache()
        self.turns = Turns(settings.trusted_proxies)
        self.engine = engine
        self.threads = Threads(GROUPS)
        self.has_pooler = settings.db_pooler
        receipts = ReceiptCalls(settings.signing_secrets, self._group(receipt_writer()))
        newcomers = self._group(newcomer_writer(throttle, settings.registrations_per_minute))
        readers = ReaderCalls(
            self._group(find_readers),
            newcomers,
            settings.trusted_proxies,
            results_by_default=settings.results_by_default,
        )
        subscriptions = SubscriptionCalls(
            self._group(find_pages),
            self._group(write_follows, lambda follow: (follow.token_hash,)),
            self._group(end_follows, lambda pair: (pair,)),
        )
        devices = DeviceCalls(self._group(registration_writer(settings), address_and_reader))
        pages = PageCalls(self.pages)
        topic = PATH + "/{topic}"
        self.routes: Routes = {
            ("POST", "/api/receipts"): Route("/api/receipts", receipts.take, has_body=True),
            ("GET", "/api/me"): Route("/api/me", readers.show),
            ("POST", "/api/readers"): Route("/api/readers", readers.register, has_body=True),
            ("GET", PATH): Route(PATH, subscriptions.show),
            ("PUT", PREFIX): Route(topic, subscriptions.follow, has_body=True),
            ("DELETE", PREFIX): Route(topic, subscriptions.unfollow),
            ("GET", "/"): Route("/", pages.show_front),
            ("GET", "/stories/"): Route("/stories/{slug}", pages.show_story),
            ("PUT", "/api/me/devices"): Route("/api/me/devices", devices.register, has_body=True),
        }

    def _group(
        self, write: Write[Item, Result], keys: Keys[Item] | None = None
    ) -> GroupCommit[Item, Result]:
        """Return a group; each statement of its writer is complete in itself.

        Behind a pooler a transaction sets its limits for itself, so there has to be one.
        """
        each_commits = not self.has_pooler
        return GroupCommit(self.engine, self.threads.run, write, keys, each_commits=each_commits)

    def close(self) -> None:
        """End the threads."""
        self.threads.close()


class Threads:
    """Threads that start with the first group and end with the application, which may come back."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._executor: ThreadPoolExecutor | None = None

    def run(self, function: Callable[[], None]) -> None:
        """Run a function in a thread."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._number, "hot")
        self._executor.submit(function)

    def close(self) -> None:
        """Let the threads end their work."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown()
