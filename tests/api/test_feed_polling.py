"""Feeds end to end: asked politely, taken in once, alerted by their rule."""

import gzip
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service import feed_poller
from service.actions.feeds.feed_polling import Polling, poll_feed
from service.feed_poller import FeedPoller
from service.fetching.allowed_hosts import AllowedHosts
from service.fetching.fetch import Fetcher, FetchRequest
from service.fetching.fetch_errors import FetchFailed
from service.fetching.retry_after import LONGEST_S, parse_retry_after
from service.formats.hooks.signatures import SignatureScheme, sign
from service.store.session import transaction
from service.store.stories import feeds
from tests.api.feed_server import rss, running_feed_server


@pytest.fixture
def server():
    with running_feed_server() as feed_server:
        yield feed_server


@pytest.fixture
def polling(app, engine):
    hosts = AllowedHosts.named(["127.0.0.1"])
    fetcher = Fetcher(hosts, whole_s=2)
    state = app.state
    return Polling(settings=state.settings, engine=engine, broker=state.broker, fetcher=fetcher)


@pytest.fixture
def add_feed(client, as_editor, server):
    def add(**members):
        values = {"kind": "feed", "name": "harbour", "address": server.url(), "publish": True}
        answer = client.post("/api/admin/sources", json=values | members, headers=as_editor)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return add


@pytest.fixture
def poll(polling, engine):
    """Poll what is due as the poller does; `result` of the last poll."""

    def once(*, now=True):
        with transaction(engine) as session:
            if now:
                session.execute(text("UPDATE feed SET poll_at = now()"))
            due = feeds.claim_due(session, [], 10)
        results = [poll_feed(polling, feed) for feed in due]
        if results:
            with transaction(engine) as session:
                feeds.save_results(session, results)
        return results

    return once


def rows(engine, query):
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def headlines(engine):
    return [row[0] for row in rows(engine, "SELECT headline FROM story ORDER BY headline")]


def test_a_feed_is_taken_in_once_and_then_asked_whether_it_has_changed(
    server, add_feed, poll, engine
):
    add_feed(topics=["harbour"], categories={"boats": "sport/sailing"})
    server.put(rss(("1", "Ferry back"), ("2", "Tide &amp; time")), ETag='"a"')
    assert (poll()[0].failures, headlines(engine)) == (0, ["Ferry back", "Tide & time"])
    assert rows(engine, "SELECT DISTINCT topics, state FROM story") == [
        (["harbour", "sport/sailing"], "published")
    ]
    server.put(b"", status=304)
    poll()
    assert server.requests[-1][1]["if-none-match"] == '"a"'
    server.put(rss(("1", "Ferry is back"), ("2", "Tide &amp; time")), ETag='"b"')
    poll()
    assert headlines(engine) == ["Ferry is back", "Tide & time"]
    assert rows(engine, "SELECT max(version) FROM story") == [(2,)]
    assert poll(now=False) == [], "the next poll is minutes away"


def test_a_validator_outside_ascii_is_sent_back_as_it_came(server, add_feed, poll):
    add_feed()
    server.put(rss(("1", "Ferry")), ETag='"\xe9"')
    assert [poll()[0].failures for _ in range(2)] == [0, 0]
    assert server.requests[-1][1]["if-none-match"] == '"\xe9"'


def test_slow_hubs_are_called_in_one_thread_and_hold_up_no_poll(app, add_feed, engine, monkeypatch):
    calls, release = [], threading.Event()

    def renew_slowly(polling):
        calls.append(polling)
        release.wait(10)

    monkeypatch.setattr(feed_poller, "HUBS_EVERY_S", 0.0)
    monkeypatch.setattr(feed_poller.hub_subscriptions, "renew_subscriptions", renew_slowly)
    add_feed()
    poller = FeedPoller(app.state.settings)
    try:
        deadline = time.monotonic() + 10
        poller.take_turn()
        while poller.take_turn() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert rows(engine, "SELECT polled_at IS NOT NULL FROM feed") == [(True,)]
        for _ in range(3):
            poller.take_turn()
        assert len(calls) == 1
    finally:
        release.set()
        poller.stopping.set()
        poller.run()


def test_a_restamped_feed_changes_nothing(server, add_feed, poll, engine):
    add_feed()
    for n in range(3):
        server.put(rss(("1", "Ferry"), head=f"<lastBuildDate>{n}</lastBuildDate>"))
        poll()
    assert rows(engine, "SELECT count(*) FROM revision") == [(1,)]
    log = rows(engine, "SELECT outcome FROM source_delivery ORDER BY received_at")
    assert log == [("created",), ("unchanged",), ("unchanged",)]


def test_failures_are_told_in_words_and_the_waits_grow(server, add_feed, poll, engine, client):
    add_feed()
    waits = [poll()[0].wait_s for _ in range(3)]
    assert waits == [600, 1200, 2400]
    assert rows(engine, "SELECT error, failures FROM feed") == [("127.0.0.1 answers 404.", 3)]
    server.put("<html>no feed</html>")
    poll()
    assert "a web page, not a feed" in rows(engine, "SELECT error FROM feed")[0][0]
    server.put(b"", status=503, Retry_After="7200")
    assert poll()[0].wait_s == 9600
    server.put(rss(("1", "Ferry")))
    assert (poll()[0].wait_s, rows(engine, "SELECT error FROM feed")) == (300, [("",)])


def test_how_often_a_feed_wants_to_be_asked_outlives_an_answer_without_a_body(
    server, add_feed, poll
):
    add_feed()
    server.put(rss(("1", "Ferry"), head="<ttl>30</ttl>"), ETag='"a"')
    assert poll()[0].wait_s == 1800
    server.put(b"", status=304)
    assert poll()[0].wait_s == 1800
    server.put(rss(("1", "Ferry")), ETag='"b"')
    assert poll()[0].wait_s == 300


@pytest.mark.parametrize(
    ("first", "second", "target"),
    [
        (301, 308, "/new"),
        (308, 302, "/middle"),
        (302, 301, "/feed"),
        (307, 307, "/feed"),
    ],
)
def test_a_feed_that_has_moved_for_good_is_asked_where_it_is(
    server, add_feed, poll, engine, first, second, target
):
    add_feed()
    server.put(b"", status=first, Location="/middle")
    server.put(b"", "/middle", second, Location="/new")
    server.put(rss(("1", "Ferry")), "/new")
    poll()
    assert rows(engine, "SELECT address FROM feed") == [(server.url(target),)]
    assert headlines(engine) == ["Ferry"]


def test_a_feed_does_not_move_to_what_is_no_feed_or_another_sources(server, add_feed, poll, engine):
    add_feed()
    server.put(b"", status=301, Location="/parked")
    server.put("<html>for sale</html>", "/parked")
    poll()
    assert rows(engine, "SELECT address FROM feed") == [(server.url(),)]
    add_feed(name="other", address=server.url("/new"))
    server.put(rss(("1", "Ferry")), "/new")
    server.put(b"", status=301, Location="/new")
    for _ in range(2):
        poll()
    addresses = rows(engine, "SELECT address FROM feed ORDER BY address")
    assert addresses == [(server.url(),), (server.url("/new"),)]


def test_hosts_are_asked_one_feed_at_a_time(add_feed, server, engine):
    for n in range(3):
        add_feed(name=f"f{n}", address=server.url(f"/{n}"))
    add_feed(name="other", address="http://other.example/feed")
    with transaction(engine) as session:
        first = feeds.claim_due(session, [], 10)
    assert sorted(feed.host for feed in first) == ["127.0.0.1", "other.example"]
    with transaction(engine) as session:
        assert feeds.claim_due(session, ["127.0.0.1"], 10) == []


def test_the_poller_process_makes_a_story_and_a_suggested_alert_of_a_new_entry(
    server, add_feed, engine, database_url, redis_url
):
    add_feed(alert="suggest")
    server.put(rss(("1", "Old")))
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "NEWSZOP_SECRET_KEY": "for the poller of this test",
        "NEWSZOP_PROVIDERS": "console",
        "NEWSZOP_FETCH_ALLOWED_HOSTS": "127.0.0.1",
    }
    command = [sys.executable, "-m", "service.feed_poller"]
    with subprocess.Popen(command, env=os.environ | environment) as process:
        try:
            polled = "SELECT polled_at IS NOT NULL AND poll_at > now() FROM feed"
            wait_until(lambda: rows(engine, polled) == [(True,)])
            assert headlines(engine) == ["Old"]
            server.put(rss(("2", "New"), ("1", "Old")))
            with engine.begin() as connection:
                connection.execute(text("UPDATE feed SET poll_at = now()"))
            suggestions = "SELECT headline FROM suggested_alert JOIN story ON id = story_id"
            wait_until(lambda: ("New",) in rows(engine, suggestions))
        finally:
            process.terminate()
        assert process.wait(30) == 0
    lease = "SELECT expires_at <= clock_timestamp() FROM process_lease WHERE name = 'feeds'"
    assert rows(engine, lease) == [(True,)], "the next process polls at once"


def wait_until(is_so, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_a_feed_that_takes_an_entry_back_stops_its_running_alert(
    server, add_feed, poll, engine, client, as_editor
):
    add_feed()
    entry = "<entry><id>tag:a.example,2026:1</id><title>Ferry</title><content>x</content></entry>"
    server.put(atom(entry))
    poll()
    story = rows(engine, "SELECT id FROM story")[0][0]
    alert = client.post(f"/api/stories/{story}/alerts", json={}, headers=as_editor).json()
    server.put(atom('<at:deleted-entry ref="tag:a.example,2026:1" when="2036-11-28T10:00:00Z"/>'))
    poll()
    shown = client.get(f"/api/alerts/{alert['id']}", headers=as_editor).json()
    assert (shown["state"], client.get(f"/api/stories/{story}").status_code) == ("stopped", 404)


def atom(entries):
    namespaces = (
        'xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0"'
    )
    return f"<feed {namespaces}><id>tag:a.example,2026:</id><title>Harbour</title>{entries}</feed>"


def test_a_paused_feed_is_not_asked(add_feed, poll, client, as_ingester):
    source = add_feed(paused=True)
    assert poll() == []
    path = f"/api/admin/sources/{source['id']}"
    client.patch(path, json={"paused": False}, headers=as_ingester)
    assert len(poll()) == 1


def test_of_a_feed_that_was_just_added_only_the_newest_is_suggested(server, add_feed, poll, engine):
    add_feed(alert="send")
    server.put(rss(("2", "New"), ("1", "Old")))
    poll()
    assert rows(engine, "SELECT headline FROM suggested_alert JOIN story ON id = story_id") == [
        ("New",)
    ]
    assert rows(engine, "SELECT count(*) FROM alert") == [(0,)]


def test_a_rule_sends_so_many_alerts_and_suggests_the_rest(server, add_feed, poll, engine):
    add_feed(alert="send", alert_rule={"most_a_day": 2, "minutes_apart": 0, "urgency": "quiet"})
    server.put(rss(("1", "Old")))
    poll()
    server.put(rss(*((str(n), f"News {n}") for n in range(2, 6)), ("1", "Old")))
    poll()
    assert (
        rows(engine, "SELECT state, urgency, created_by FROM alert")
        == [("scheduled", 0, "harbour")] * 2
    )
    states = "SELECT state, count(*) FROM suggested_alert GROUP BY state ORDER BY state"
    assert rows(engine, states) == [("sent", 2), ("waiting", 3)]


def test_the_deliveries_of_a_feed_are_kept_and_replayable(
    server, add_feed, poll, client, as_ingester
):
    source = add_feed()
    server.put(rss(("1", "Ferry")))
    poll()
    path = f"/api/admin/sources/{source['id']}/deliveries"
    delivery = client.get(path, headers=as_ingester).json()["items"][0]
    replayed = client.post(f"{path}/{delivery['id']}/replay", headers=as_ingester)
    assert (replayed.status_code, replayed.json()["outcome"]) == (200, "unchanged")


def test_nobody_can_post_to_a_feed(add_feed, client):
    add_feed()
    headers = {"X-Hub-Signature": "sha1=00"}
    assert client.post("/api/hooks/harbour", content=b"{}", headers=headers).status_code == 404


def test_a_hub_is_asked_verified_and_believed_only_with_its_signature(
    server, add_feed, poll, polling, engine, client
):
    from service.actions.feeds import hub_subscriptions  # noqa: PLC0415

    add_feed()
    links = f'<atom:link rel="hub" href="{server.url("/hub")}"/>'
    links += f'<atom:link rel="self" href="{server.url("/topic")}"/>'
    server.put(rss(("1", "Ferry"), head=links))
    server.put(b"", "/hub", 202)
    poll()
    hub_subscriptions.renew_subscriptions(polling)
    hub_subscriptions.renew_subscriptions(polling)
    asked = [body for path, _, body in server.requests if path == "/hub"]
    assert len(asked) == 1, "a hub that was asked is left alone for an hour"
    assert b"hub.mode=subscribe" in asked[0]
    token = rows(engine, "SELECT hub_token FROM feed")[0][0]
    intent = {"hub.mode": "subscribe", "hub.topic": server.url("/topic"), "hub.challenge": "c1"}
    path = f"/api/websub/{token}"
    assert client.get(path, params=intent | {"hub.topic": "http://x.example"}).status_code == 404
    answer = client.get(path, params=intent | {"hub.lease_seconds": "86400"})
    assert (answer.status_code, answer.text) == (200, "c1")
    body = rss(("2", "Pushed")).encode()
    secret = _form_value(asked[0], b"hub.secret")
    forged = sign(SignatureScheme.HUB, body, b"another secret", datetime.now(UTC))
    sound = sign(SignatureScheme.HUB, body, secret, datetime.now(UTC))
    sound = {"X-Hub-Signature": next(iter(sound.values()))}
    forged = {"X-Hub-Signature": next(iter(forged.values()))}
    assert client.post(path, content=body, headers=forged).status_code == 401
    assert headlines(engine) == ["Ferry"]
    assert client.post(path, content=body, headers=sound).status_code == 204
    assert headlines(engine) == ["Ferry", "Pushed"]
    waits = rows(engine, "SELECT poll_at > now() + interval '50 minutes' FROM feed")
    assert waits == [(True,)], "while a hub pushes, polls are rare"


def _form_value(form, name):
    return dict(part.split(b"=", 1) for part in form.split(b"&"))[name]


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/feed",
        "http://127.1:{port}/feed",
        "http://0x7f000001:{port}/feed",
        "http://localhost:{port}/feed",
        "http://[::ffff:127.0.0.1]:{port}/feed",
    ],
)
def test_our_own_network_is_not_fetched_from_however_it_is_spelt(server, address):
    server.put(rss(("1", "Secret")))
    request = FetchRequest(address=address.format(port=server.port), most_bytes=1000)
    with pytest.raises(FetchFailed, match="no public address"):
        Fetcher(AllowedHosts()).fetch(request)
    assert not server.requests


def test_a_redirect_into_our_own_network_is_refused(server):
    target = f"http://localhost:{server.port}/secret"
    server.put(b"", status=302, Location=target)
    fetcher = Fetcher(AllowedHosts.named([f"127.0.0.1:{server.port}"]))
    with pytest.raises(FetchFailed, match="localhost is at"):
        fetcher.fetch(FetchRequest(address=server.url(), most_bytes=1000))
    assert [path for path, *_ in server.requests] == ["/feed"]


def test_what_is_packed_small_is_measured_unpacked(server):
    server.put(gzip.compress(bytes(50 * 1024 * 1024)), Content_Encoding="gzip")
    fetcher = Fetcher(AllowedHosts.named(["127.0.0.1"]))
    with pytest.raises(FetchFailed, match="larger than 8 MiB"):
        fetcher.fetch(FetchRequest(address=server.url(), most_bytes=8 * 1024 * 1024))


def test_news_of_yesterday_makes_no_alert(server, add_feed, poll, engine):
    add_feed(alert="suggest")
    stamp = (datetime.now(UTC) - timedelta(days=2)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    feed = rss(("1", "Old")).replace("<item>", f"<item><pubDate>{stamp}</pubDate>")
    server.put(feed)
    poll()
    assert rows(engine, "SELECT count(*) FROM suggested_alert") == [(0,)]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("9" * 30, None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_S),
        (f"Thu, 01 Jan {'9' * 20} 00:00:00 GMT", None),
        (f"Thu, 01 Jan 2026 00:00:00 -{'9' * 20}", None),
        ("Thu, 01 Jan 0001 00:00:00 +1400", 0),
        ("1, 2, 3", None),
        ("", None),
    ],
)
def test_whatever_a_server_writes_as_retry_after_is_read(header, seconds):
    assert parse_retry_after(header) == seconds
