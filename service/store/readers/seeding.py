"""Fill the store with synthetic readers, a million in minutes: `newszop readers seed`.

The id space is cut into slices that are made and copied one by one, by several processes. A slice
is one transaction and follows from the seed and its number alone, so a run that was stopped is
finished by the next one with the same seed, and one that was finished changes nothing. Rows come
sorted by key, which spares the indexes most of their work.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from itertools import accumulate

import psycopg

from service import end_with_parent
from service.domain.topic import STORY_PREFIX, label_from, with_ancestors
from service.store.readers.synthetic_readers import (
    ADDRESS_MAKERS,
    PROFILES,
    WITH_KEYS,
    Browser,
    Habits,
    Rows,
    Slice,
    first_id,
    make_rows,
)
from service.store.schema import ID_LIMIT, new_id
from service.store.session import CONNECT_TIMEOUT_S

SLICE_READERS = 5_000
MOST_PROCESSES = 4
DEFAULT_PROVIDERS: Mapping[str, float] = {"fcm": 5, "apns": 3, "webpush": 2}
TOPICS = (
    *("world", "world/asia", "world/europe", "world/africa", "world/americas"),
    *("politics", "politics/elections", "business", "business/markets", "business/companies"),
    *("technology", "technology/ai", "technology/phones", "science", "science/space"),
    *("science/climate", "health", "sport", "sport/cricket", "sport/football", "sport/tennis"),
    *("entertainment", "entertainment/film", "entertainment/music", "travel", "food", "weather"),
    *("education", "law", "cities", "cities/delhi", "cities/mumbai", "cities/london", "opinion"),
)
"""What is followed where there is no topic yet."""

Browsers = Callable[[int], Sequence[Browser]]
"""Gives so many Web Push subscriptions that something can decrypt for."""

_COPY = {
    "reader": "COPY reader (id, token_hash, language, timezone, quiet_from, quiet_to, languages,"
    " reads) FROM STDIN",
    "device": "COPY device (id, reader_id, provider, kind, address, address_hash, p256dh, auth,"
    " locale, app_version, trusted_at) FROM STDIN",
    "subscription": "COPY subscription (reader_id, topic_id, least_urgency, muted_until)"
    " FROM STDIN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What synthetic readers are like: weights of providers and topics, and shares of habits.

    `topics` None takes all there are, the first of them the most followed and the n-th an n-th as
    much. `browsers` gives the addresses of Web Push devices; without it there are none.
    """

    devices_per_reader: float = 1.0
    topics_per_reader: float = 4.0
    providers: Mapping[str, float] = field(default_factory=lambda: DEFAULT_PROVIDERS)
    topics: Mapping[str, float] | None = None
    browsers: Browsers | None = None
    quiet: float = 0.2
    muted: float = 0.02
    choosy: float = 0.15

    def shares(self) -> dict[str, float]:
        """Return the part of the devices that each provider has."""
        unknown = [
            name for name in self.providers if name not in ADDRESS_MAKERS and name != WITH_KEYS
        ]
        if unknown:
            raise ValueError(f"there is no synthetic address for {', '.join(unknown)}")
        weights = {
            name: weight
            for name, weight in self.providers.items()
            if weight > 0 and (name != WITH_KEYS or self.browsers is not None)
        }
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items()}


def seed(
    url: str,
    *,
    readers: int,
    mix: Mix | None = None,
    seed: int = 0,
    processes: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Add so many synthetic readers; return how many were added now.

    `progress` is called with the number of readers done. The same seed and number of readers make
    the same readers again: slices that are there already are left alone.
    """
    mix = mix or Mix()
    habits = _prepare(url, mix)
    total = new = 0
    if processes is None:
        processes = min(MOST_PROCESSES, os.cpu_count() or 1, -(-readers // SLICE_READERS))
    for size, count in _fill(url, habits, _slices(readers, seed, mix), processes):
        total += size
        new += count
        progress(total)
    _tidy(url)
    return new


def _prepare(url: str, mix: Mix) -> Habits:
    with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        weights = _topic_weights(connection, mix.topics)
        zones = {name for (name,) in connection.execute("SELECT name FROM time_zone")}
    return Habits(
        topic_ids=list(weights),
        topic_sums=list(accumulate(weights.values())),
        topics_per_reader=mix.topics_per_reader,
        profiles=[profile for profile in PROFILES if profile.timezone in zones],
        quiet=mix.quiet,
        muted=mix.muted,
        choosy=mix.choosy,
        today=datetime.combine(datetime.now(UTC).date(), time(), UTC),
    )


def _topic_weights(
    connection: psycopg.Connection, topics: Mapping[str, float] | None
) -> dict[int, float]:
    if topics is None:
        existing = [path for path in _topic_ids(connection) if not path.startswith(STORY_PREFIX)]
        existing.sort(key=lambda path: TOPICS.index(path) if path in TOPICS else len(TOPICS))
        topics = {path: 1 / n for n, path in enumerate(existing or TOPICS, 1)}
    paths = with_ancestors(topics)
    connection.cursor().executemany(
        "INSERT INTO topic (id, path, label) VALUES (%s, %s, %s) ON CONFLICT (path) DO NOTHING",
        [(new_id(), path, label_from(path)) for path in paths],
    )
    ids = _topic_ids(connection)
    return {ids[path]: weight for path, weight in topics.items() if weight > 0}


def _topic_ids(connection: psycopg.Connection) -> dict[str, int]:
    rows = connection.execute('SELECT path, id FROM topic ORDER BY path COLLATE "C"')
    return dict(rows.fetchall())


def _tidy(url: str) -> None:
    """Tell the planner what there is now, or it would plan for empty tables for a minute."""
    with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        connection.execute("VACUUM (ANALYZE) reader, device, subscription, topic")


def _slices(readers: int, seed: int, mix: Mix) -> Iterator[Slice]:
    n = max(1, -(-readers // SLICE_READERS))
    width = ID_LIMIT // n
    shares = mix.shares()
    for number in range(n):
        size = readers * (number + 1) // n - readers * number // n
        counts = _split(round(size * mix.devices_per_reader), shares)
        browsers = counts.get(WITH_KEYS, 0)
        yield Slice(
            seed=f"{seed} {readers}",
            lo=number * width,
            hi=(number + 1) * width,
            readers=size,
            devices=counts,
            browsers=_ask(mix.browsers, browsers) if mix.browsers and browsers else (),
        )


def _ask(make_browsers: Browsers, number: int) -> Sequence[Browser]:
    browsers = make_browsers(number)
    if len(browsers) < number:
        raise ValueError(f"{number} browsers were asked for and only {len(browsers)} came")
    return browsers


def _split(n: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Cut `n` by shares into whole numbers whose sum is `n`."""
    sums = [round(n * share) for share in accumulate(shares.values())]
    return {name: to - begin for name, begin, to in zip(shares, [0, *sums], sums, strict=False)}


def _fill(
    url: str, habits: Habits, slices: Iterator[Slice], processes: int
) -> Iterator[tuple[int, int]]:
    if processes <= 1:
        for part in slices:
            yield part.readers, _copy(url, habits, part)
        return
    pool = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(os.getpid(),),
    )
    running: dict[Future[int], int] = {}
    try:
        for part in slices:
            running[pool.submit(_copy, url, habits, part)] = part.readers
            if len(running) > processes:
                yield from _finished(running)
        while running:
            yield from _finished(running)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a process that stops us need not wait


def _begin(parent: int) -> None:
    """Prepare a process of the pool: its parent handles Ctrl-C and ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent.end_with(parent, signal.SIGKILL)


def _finished(running: dict[Future[int], int]) -> Iterator[tuple[int, int]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        yield running.pop(future), future.result()


def _copy(url: str, habits: Habits, part: Slice) -> int:
    """Copy a slice in one transaction; returns how many readers were added."""
    with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute("SET LOCAL timezone = 'UTC'")
        first_reader = connection.execute("SELECT 1 FROM reader WHERE id = %s", [first_id(part)])
        if part.readers == 0 or first_reader.fetchone() is not None:
            return 0
        rows: Rows = make_rows(part, habits)
        for table, lines in rows._asdict().items():
            with connection.cursor().copy(_COPY[table]) as copy:
                copy.write(lines)
    return part.readers
