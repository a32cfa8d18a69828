"""The hot calls of one process: their groups, the threads that write them, their connections."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from service.hot.group_commit import GroupCommit
from service.hot.hot_calls import Route, Routes
from service.hot.reader_calls import ReaderCalls, ReaderGroup, find_readers
from service.hot.receipt_calls import Group as ReceiptGroup
from service.hot.receipt_calls import ReceiptCalls
from service.hot.receipt_calls import write as write_receipts
from service.settings import Settings
from service.store.session import open_engine

GROUPS = 2
"""Kinds of groups: each has a thread and a connection of its own, so none waits for another."""


class HotRoutes:
    """What answers the hot calls. Nothing connects before the first of them."""

    def __init__(self, settings: Settings) -> None:
        self.engine = open_engine(
            settings.database_url, pool_size=GROUPS, pooler=settings.db_pooler
        )
        self.threads = Threads(GROUPS)
        receipts: ReceiptGroup = GroupCommit(self.engine, self.threads.run, write_receipts)
        lookups: ReaderGroup = GroupCommit(self.engine, self.threads.run, find_readers)
        receipt_calls = ReceiptCalls(settings.secret_key.encode(), receipts)
        reader_calls = ReaderCalls(lookups)
        self.routes: Routes = {
            ("POST", "/api/receipts"): Route("/api/receipts", receipt_calls.take, has_body=True),
            ("GET", "/api/me"): Route("/api/me", reader_calls.show),
        }

    def close(self) -> None:
        """End the threads and close the connections."""
        self.threads.close()
        self.engine.dispose()


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
