"""The rule of an audience stands twice, in Python and in SQL: here they are held together."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, text
from sqlmodel import Session, SQLModel

from service.domain.audience import (
    CAP_WINDOW,
    Audience,
    LeftOut,
    is_addressed,
    wants,
    why_left_out,
)
from service.domain.language import base_languages, parse_languages
from service.domain.pace.local_release import LocalRelease, MissedZones
from service.domain.people import QuietHours, Reader
from service.domain.subscription import Subscription, Urgency
from service.domain.time_zone import local_time
from service.store.readers import audience, audience_counts, left_out_rules
from service.store.schema import ID_LIMIT
from tests import builders as a

STORY = 42
PATHS = (
    "sport",
    "sport/tennis",
    "sport/tennis/doubles",
    "sport/golf",
    "sports",
    "world",
    "world/ukraine",
    f"story/{STORY}",
    "story/43",
)
NEVER_FOLLOWED = "culture/film"
TOPIC_IDS = {path: n for n, path in enumerate(PATHS, 1)} | {f"story/{STORY}": STORY, "story/43": 43}
PROVIDERS = ("apns", "fcm", "webpush")
UNKNOWN_ZONE = "Mars/Base"
"""A name that neither our data nor Postgres knows, as after a change of either."""
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Calcutta",
    UNKNOWN_ZONE,
    "Asia/Kathmandu",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
)

# Moments on which a summer time begins or ends, and any others; to the microsecond.
MOMENTS = st.sampled_from(
    [
        datetime(2024, 3, 31, 1, 0, tzinfo=UTC),
        datetime(2024, 10, 27, 1, 0, tzinfo=UTC),
        datetime(2024, 11, 3, 6, 30, tzinfo=UTC),
    ]
) | st.integers(0, 3 * 365 * 86_400 * 1_000_000).map(
    lambda n: datetime(2022, 1, 1, tzinfo=UTC) + timedelta(microseconds=n)
)
WALL = st.sampled_from([time(0), time(7), time(12), time(22), time(23, 59, 59)]) | st.times()
PLAIN_PATHS = [path for path in PATHS if not path.startswith("story/")] + [NEVER_FOLLOWED]


TAGS = st.sampled_from(["en", "en-GB", "hi", "hi-Latn", "pt-BR", "pt", "no", "nb", "zh-Hant-TW"])


@st.composite
def audiences(draw: st.DrawFn) -> Audience:
    wanted = draw(audiences_in_any_language())
    wanted = wanted.capped_at(draw(st.sampled_from([None, None, 0, 1, 2])))
    if wanted.reader_id is None:
        wanted = wanted.released_by(draw(st.none() | local_releases(wanted.moment)))
    tags = draw(st.none() | st.sets(TAGS, min_size=1, max_size=2))
    return wanted if tags is None else wanted.in_languages(tags)


def local_releases(at: datetime) -> st.SearchStrategy[LocalRelease]:
    days = [None, None, at.date(), at.date() + timedelta(days=1), at.date() - timedelta(days=2)]
    return st.builds(
        LocalRelease,
        time_of_day=st.sampled_from([time(0), time(1, 30), time(2, 30), time(7), at.time()]),
        when_missed=st.sampled_from(MissedZones),
        day=st.sampled_from(days),
        home_zone=st.sampled_from(["UTC", "Asia/Kathmandu"]),
    )


@st.composite
def audiences_in_any_language(draw: st.DrawFn) -> Audience:
    urgency, at = draw(st.sampled_from(Urgency)), draw(MOMENTS)
    paths = draw(st.lists(st.sampled_from(PLAIN_PATHS), max_size=3, unique=True))
    match draw(st.sampled_from(["story", "story", "topics", "everyone", "reader"])):
        case "story":
            return Audience.of_story(STORY, paths, urgency, at)
        case "topics":
            return Audience.of_topics(STORY, paths, urgency, at)
        case "reader":
            return Audience.of_reader(STORY, draw(st.integers(1, 4)), urgency, at)
        case _:
            return Audience.of_everyone(STORY, urgency, at)


def readers(wanted: Audience) -> st.SearchStrategy[Reader]:
    local_release = wanted.local_release
    edges = [wanted.moment.time(), *([local_release.time_of_day] if local_release else [])]
    walls = WALL | st.sampled_from(edges)
    hours = st.none() | st.builds(QuietHours, begin=walls, end=walls)
    return st.builds(
        Reader,
        id=st.just(0),
        timezone=st.sampled_from(ZONES),
        quiet_hours=hours,
        languages=st.lists(TAGS, max_size=2, unique=True).map(parse_languages),
        alerts_per_day=st.sampled_from([None, None, 1, 2, 3]),
    )


def subscriptions(wanted: Audience) -> st.SearchStrategy[list[Subscription]]:
    tick = timedelta(microseconds=1)
    at = wanted.moment
    moments = [at, at, at + timedelta(days=1), *releases_of(wanted).values()]
    mutes = st.none() | st.sampled_from([m + d for m in moments for d in (-tick, 0 * tick, tick)])
    one = st.builds(
        Subscription,
        topic=st.sampled_from(PATHS),
        least_urgency=st.sampled_from(Urgency),
        muted_until=mutes,
    )
    return st.lists(one, max_size=5, unique_by=lambda subscription: subscription.topic)


def releases_of(wanted: Audience) -> dict[str, datetime]:
    return wanted.local_release.releases(ZONES, wanted.moment) if wanted.local_release else {}


@dataclass(frozen=True)
class PastSend:
    """An earlier alert of another story, and the readers it went to, counted from 1."""

    urgency: Urgency
    state: str
    started_at: datetime
    readers: list[int]

    def counts(self, wanted: Audience) -> bool:
        recent = self.started_at > wanted.moment - CAP_WINDOW
        return recent and self.urgency is not Urgency.BREAKING and self.state != "stopped"


def past_sends(at: datetime) -> st.SearchStrategy[list[PastSend]]:
    tick = timedelta(microseconds=1)
    one = st.builds(
        PastSend,
        urgency=st.sampled_from(Urgency),
        state=st.sampled_from(["sending", "finished", "finished", "stopped"]),
        started_at=st.sampled_from(
            [at, at - timedelta(hours=5), at - CAP_WINDOW, at - CAP_WINDOW + tick]
        ),
        readers=st.lists(st.integers(1, 8), unique=True, max_size=8).map(sorted),
    )
    return st.lists(one, max_size=4)


def recent_sends(wanted: Audience, sends: Sequence[PastSend], reader_id: int) -> int:
    return sum(reader_id in send.readers for send in sends if send.counts(wanted))


@st.composite
def situations(
    draw: st.DrawFn,
) -> tuple[Audience, list[tuple[Reader, list[Subscription]]], list[PastSend]]:
    wanted = draw(audiences())
    people = draw(
        st.lists(st.tuples(readers(wanted), subscriptions(wanted)), min_size=1, max_size=8)
    )
    return wanted, people, draw(past_sends(wanted.moment))


ALLOW_ZONES = "INSERT INTO time_zone SELECT unnest(CAST(:names AS text[])) ON CONFLICT DO NOTHING"


def remember(session: Session, sends: Sequence[PastSend]) -> None:
    """Write the alerts, with whom they went to: three readers to a row."""
    for send in sends:
        alert = a.an_alert(
            session,
            a.a_story(session),
            urgency=send.urgency.rank,
            state=send.state,
            started_at=send.started_at,
        )
        for n in range(0, len(send.readers), 3):
            ids = send.readers[n : n + 3]
            row = {"alert_id": alert.id, "first_reader_id": ids[0], "reader_ids": ids}
            session.execute(insert(SQLModel.metadata.tables["recent_send"]), row)


def fill(session: Session, people: Sequence[tuple[Reader, list[Subscription]]]) -> None:
    """Write the readers 1, 2, ... with two devices each, 10 and 11, 20 and 21, ..."""
    tables = SQLModel.metadata.tables
    session.execute(text(ALLOW_ZONES), {"names": list(ZONES)})
    topics = [{"id": TOPIC_IDS[path], "path": path, "label": path} for path in PATHS]
    session.execute(insert(tables["topic"]), topics)
    rows, devices, follows = [], [], []
    for n, (reader, held) in enumerate(people, 1):
        hours = reader.quiet_hours
        rows.append(
            {
                "id": n,
                "token_hash": b"%d" % n,
                "language": "en",
                "languages": list(reader.languages),
                "reads": sorted(base_languages(reader.languages)),
                "alerts_per_day": reader.alerts_per_day,
                "timezone": reader.timezone,
                "quiet_from": hours and hours.begin,
                "quiet_to": hours and hours.end,
            }
        )
        for m, provider in enumerate(PROVIDERS[:2]):
            device = {"id": 10 * n + m, "reader_id": n, "provider": provider, "address": "x"}
            devices.append(device | {"address_hash": b"%d" % device["id"]})
        follows += [
            {
                "reader_id": n,
                "topic_id": TOPIC_IDS[subscription.topic],
                "least_urgency": subscription.least_urgency.rank,
                "muted_until": subscription.muted_until,
            }
            for subscription in held
        ]
    session.execute(insert(tables["reader"]), rows)
    session.execute(insert(tables["device"]), devices)
    if follows:
        session.execute(insert(tables["subscription"]), follows)


def in_sql(session: Session, wanted: Audience, lo: int = 0, hi: int = ID_LIMIT) -> list[int]:
    frozen = audience.freeze(session, STORY, wanted)
    query = audience.devices_sql(frozen) + " SELECT id FROM device_in"
    return sorted(
        session.execute(
            text(query), audience.parameters(session, frozen, lo, hi, PROVIDERS)
        ).scalars()
    )


def releases_in_sql(session: Session, wanted: Audience) -> dict[int, datetime]:
    """Return by reader when the alert leaves for the reader's devices."""
    frozen = audience.freeze(session, STORY, wanted)
    query = audience.devices_sql(frozen) + " SELECT id / 10, release_at FROM device_in"
    values = audience.parameters(session, frozen, 0, ID_LIMIT, PROVIDERS)
    return dict(map(tuple, session.execute(text(query), values)))


def both(
    session: Session,
    wanted: Audience,
    people: Sequence[tuple[Reader, list[Subscription]]],
    sends: Sequence[PastSend] = (),
) -> tuple[list[int], list[int]]:
    """Return the readers, counted from 1, whom Python wants and whom SQL finds."""
    numbered = [(replace(reader, id=n), held) for n, (reader, held) in enumerate(people, 1)]
    expected = [
        reader.id
        for reader, held in numbered
        if wants(wanted, reader, held, recent_sends(wanted, sends, reader.id))
    ]
    return expected, sorted({device // 10 for device in in_sql(session, wanted)})


def both_counts(
    session: Session,
    wanted: Audience,
    people: Sequence[tuple[Reader, list[Subscription]]],
    sends: Sequence[PastSend],
) -> tuple[Counter[LeftOut], Counter[LeftOut]]:
    """Return by reason how many devices Python leaves out, and how many SQL counts."""
    numbered = [(replace(reader, id=n), held) for n, (reader, held) in enumerate(people, 1)]
    addressed = [reader for reader, held in numbered if is_addressed(wanted, reader, held)]
    reasons = [
        why_left_out(wanted, reader, recent_sends(wanted, sends, reader.id)) for reader in addressed
    ]
    expected = Counter({reason: 2 * reasons.count(reason) for reason in LeftOut})
    frozen = audience.freeze(session, STORY, wanted)
    return +expected, +Counter(audience_counts.estimate(session, frozen, PROVIDERS).left_out)


@pytest.mark.parametrize(
    ("probes_a_row", "most_sets"),
    [(None, 500), (1, 500), (left_out_rules.PROBES_A_ROW, 1), (10**9, 500)],
)
@given(situation=situations())
@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_sql_and_python_find_the_same_audience(engine, probes_a_row, most_sets, situation):
    wanted, people, sends = situation
    with Session(engine) as session, pytest.MonkeyPatch.context() as patch:
        patch.setattr(left_out_rules, "MOST_SETS", most_sets)
        if probes_a_row is None:
            all_sends = {LeftOut.FREQUENCY: left_out_rules._ALL_SENDS}
            patch.setattr(left_out_rules, "_READERS", {**left_out_rules._READERS, **all_sends})
        else:
            patch.setattr(left_out_rules, "PROBES_A_ROW", probes_a_row)
        fill(session, people)
        remember(session, sends)
        expected, found = both(session, wanted, people, sends)
        expected_counts, counts = both_counts(session, wanted, people, sends)
        if wanted.local_release is not None:
            releases = releases_in_sql(session, wanted)
            zones = {n: wanted.release_for(people[n - 1][0]) for n in expected}
            assert releases == zones
        session.rollback()
    assert found == expected
    assert counts == expected_counts


AT = datetime(2024, 3, 31, 1, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
TERMS = [
    None,
    {"least_urgency": Urgency.QUIET},
    {"least_urgency": Urgency.BREAKING},
    {"muted_until": AT + TICK},
    {"muted_until": AT},
]


@pytest.mark.parametrize("urgency", Urgency)
@pytest.mark.parametrize("how", ["story", "topics", "everyone"])
def test_they_agree_on_every_combination_of_follows_and_mutes(session, urgency, how):
    followed = ("sport", "sport/tennis", "sport/golf", f"story/{STORY}")
    people = [
        (
            Reader(id=0),
            [
                Subscription(topic=path, **term)
                for path, term in zip(followed, terms, strict=True)
                if term is not None
            ],
        )
        for terms in itertools.product(TERMS, repeat=len(followed))
    ]
    wanted = {
        "story": Audience.of_story(STORY, ["sport/tennis"], urgency, AT),
        "topics": Audience.of_topics(STORY, ["sport/tennis"], urgency, AT),
        "everyone": Audience.of_everyone(STORY, urgency, AT),
    }[how]
    fill(session, people)
    expected, found = both(session, wanted, people)
    assert found == expected
    assert expected


@pytest.mark.parametrize("zone", ZONES)
def test_they_agree_on_every_edge_of_quiet_hours(session, zone):
    local = datetime.combine(AT, local_time(zone, AT))
    edges = [(local + step).time() for step in (-TICK, timedelta(0), TICK, timedelta(hours=9))]
    people = [
        (Reader(id=0, timezone=zone, quiet_hours=QuietHours(begin, end)), [])
        for begin, end in itertools.product([*edges, time(0), time.max], repeat=2)
    ]
    fill(session, people)
    expected, found = both(session, Audience.of_everyone(STORY, Urgency.NORMAL, AT), people)
    assert found == expected
    assert 0 < len(expected) < len(people)


def test_a_zone_that_no_reader_with_quiet_hours_lives_in_is_not_computed(session):
    night = {"quiet_from": time(22), "quiet_to": time(7)}
    a.a_reader(session, id=1, timezone="Asia/Kolkata", **night)
    a.a_reader(session, id=2, timezone="Europe/Berlin")
    frozen = audience.freeze(session, STORY, everyone_now())
    values = audience.parameters(session, frozen, 0, ID_LIMIT, PROVIDERS)
    assert values["zone_names"] == ["Asia/Kolkata"]


def everyone_now():
    return Audience.of_everyone(STORY, Urgency.NORMAL, datetime.now(UTC))


def test_a_range_of_readers_holds_those_readers_and_no_others(session):
    for reader_id in (9, 10, 19, 20):
        a.a_device(session, a.a_reader(session, id=reader_id), id=reader_id)
    assert in_sql(session, everyone_now(), 10, 20) == [10, 19]


def test_a_tombstone_is_in_no_audience(session):
    reader = a.a_reader(session)
    a.a_device(session, reader, gone_at=datetime.now(UTC))
    living = a.a_device(session, reader)
    assert in_sql(session, everyone_now()) == [living.id]


def test_devices_of_a_provider_that_is_not_configured_are_left_out(session):
    reader = a.a_reader(session)
    a.a_device(session, reader, provider="hms")
    known = a.a_device(session, reader, provider="fcm")
    assert in_sql(session, everyone_now()) == [known.id]


def test_a_topic_that_nobody_has_made_yet_reaches_nobody(session):
    a.a_follow(session, a.a_reader(session), a.a_topic(session, "world"))
    wanted = Audience.of_topics(STORY, ["culture"], Urgency.NORMAL, datetime.now(UTC))
    assert in_sql(session, wanted) == []


def test_an_estimate_of_a_small_audience_is_exact(session):
    for provider in ("apns", "fcm", "fcm"):
        a.a_device(session, a.a_reader(session), provider=provider)
    frozen = audience.freeze(session, STORY, everyone_now())
    found = audience_counts.estimate(session, frozen, PROVIDERS)
    assert found == audience_counts.Estimate(
        3, {"apns": 1, "fcm": 2}, exact=True, left_out={LeftOut.QUIET_HOURS: 0}
    )


def test_an_estimate_of_a_large_audience_is_near_and_says_so(session, monkeypatch):
    monkeypatch.setattr(audience_counts, "EXACT_UP_TO", 1000)
    session.execute(
        text(
            "INSERT INTO reader (id, token_hash, language, timezone) SELECT "
            "n * 922337203685477, int4send(n), 'en', 'UTC' "
            "FROM generate_series(1, 10000) n"
        )
    )
    session.execute(
        text(
            "INSERT INTO device (id, reader_id, provider, address, address_hash) "
            "SELECT id, id, 'fcm', 'x', int8send(id) FROM reader"
        )
    )
    found = audience_counts.estimate(
        session, audience.freeze(session, STORY, everyone_now()), PROVIDERS
    )
    assert not found.exact
    assert found.devices == pytest.approx(10_000, rel=0.05)
    assert found.by_app == {"fcm": found.devices}


def test_a_part_of_the_readers_counts_what_begins_before_it(session):
    fill(session, [(Reader(id=0), [])] * 8)
    remember(session, [PastSend(Urgency.NORMAL, "finished", AT, [2, 3, 4, 5, 6])])
    wanted = Audience.of_everyone(STORY, Urgency.NORMAL, AT).capped_at(1)
    assert in_sql(session, wanted, 3, 7) == []
    assert {device // 10 for device in in_sql(session, wanted, 6, 9)} == {7, 8}


def test_a_rule_that_can_leave_out_nobody_is_not_in_the_statement(session):
    languages = [("de", "en"), ("hi",), ()]
    fill(session, [(Reader(id=0, languages=parse_languages(tags)), []) for tags in languages])
    remember(session, [PastSend(Urgency.NORMAL, "finished", AT, [1, 2, 3])])
    for tags, cap, rules in (
        (["en", "hi"], 2, [LeftOut.QUIET_HOURS]),
        (["en", "hi"], 1, [LeftOut.QUIET_HOURS, LeftOut.FREQUENCY]),
        (["en"], 2, [LeftOut.QUIET_HOURS, LeftOut.LANGUAGE]),
    ):
        wanted = Audience.of_everyone(STORY, Urgency.NORMAL, AT).in_languages(tags).capped_at(cap)
        frozen = audience.freeze(session, STORY, wanted)
        needed = audience.without_needless_rules(session, frozen, 0, 0, ID_LIMIT)
        assert needed.rules == rules
