"""Public pages in memory: what they are remembered by, and how much of them."""

import pytest

from service.domain.errors import Unavailable
from service.web import page_cache
from service.web.page_cache import (
    MAX_BUSY_AGE_S,
    MAX_STALE_S,
    RUSH_PER_S,
    PageCache,
    PublicText,
)

FOREIGN = {"Cookie": "_ga=GA1.2.3; _fbp=fb.1.2"}


def answer_in_a_rush(app, visitor, path, monkeypatch):
    """Bring a page into memory; returns a count of what is rendered from then on."""
    app.state.page_cache = PageCache(clock=lambda: 100.0)
    for _ in range(RUSH_PER_S + 1):
        visitor.get(path)
    renders = []
    of = PublicText.of
    monkeypatch.setattr(PublicText, "of", lambda *given: renders.append(given) or of(*given))
    return renders


def test_what_networks_append_to_a_link_meets_the_page_in_memory(app, visitor, ingest, monkeypatch):
    story = ingest("Rain")
    for path in (f"/stories/{story['slug']}", "/", "/topics", "/feed.xml", "/feed.json"):
        renders = answer_in_a_rush(app, visitor, path, monkeypatch)
        plain = visitor.get(path)
        for n in range(20):
            shared = visitor.get(f"{path}?fbclid=x{n}&utm_source=s", headers=FOREIGN)
            assert shared.content == plain.content
        assert renders == [], path
        monkeypatch.undo()


def test_a_parameter_that_the_page_reads_has_a_page_of_its_own(app, visitor, ingest, monkeypatch):
    ingest("Rain", topics=["climate"])
    ingest("Goal", topics=["sport"])
    answer_in_a_rush(app, visitor, "/feed.json", monkeypatch)
    titles = [item["title"] for item in visitor.get("/feed.json?topic=sport&x=1").json()["items"]]
    assert titles == ["Goal"]


def test_cookies_of_others_leave_a_page_public(visitor, ingest):
    story = ingest("Rain")
    path = f"/stories/{story['slug']}"
    plain, tracked = visitor.get(path), visitor.get(path, headers=FOREIGN)
    assert tracked.content == plain.content
    assert tracked.headers["etag"] == plain.headers["etag"]
    assert tracked.headers["cache-control"].startswith("public")
    assert tracked.headers["vary"] == "Accept-Encoding, Accept-Language"


def test_the_pages_in_memory_are_weighed(monkeypatch):
    monkeypatch.setattr(page_cache, "MAX_BYTES", 10_000)
    monkeypatch.setattr(page_cache, "MAX_PAGE_BYTES", 5_000)
    pages = PageCache(clock=lambda: 100.0)
    text = PublicText(b"x" * 3_000, b"", "e", "text/html")
    for n in range(50):
        pages.lookup(f"/{n}")
        pages.store(f"/{n}", text)
        assert pages.weight <= 10_000
    pages.lookup("/large")
    pages.store("/large", PublicText(b"x" * 6_000, b"", "e", "text/html"))
    assert pages.weight <= 10_000
    for n in range(50):
        pages.forget(f"/{n}")
    assert pages.weight == 0


def test_a_flood_of_addresses_pushes_out_only_what_nobody_requests(app, visitor, ingest):
    pages = PageCache(clock=lambda: 100.0)
    news = PublicText.of("<p>news</p>")
    for _ in range(RUSH_PER_S + 1):
        pages.lookup("/news")
        pages.store("/news", news)
    for n in range(1000):
        pages.lookup(f"/?before={n}")
        if n % 100 == 0:
            assert pages.lookup("/news") is news


def test_a_feed_of_heavy_stories_stays_small(visitor, ingest):
    for n in range(12):
        ingest(f"Heavy {n}", body="<p>" + "word " * 50_000 + "</p>", summary="")
    ingest("Too heavy", body="<p>" + "word " * 100_000 + "</p>")
    for path in ("/feed.json", "/feed.xml"):
        assert len(visitor.get(path).content) < 3 * 1024 * 1024
    items = visitor.get("/feed.json").json()["items"]
    assert len(items) == 13
    assert items[0]["content_text"] == "It pours."
    assert "content_html" in items[1]
    assert items[-1]["content_text"] == "Heavy 0"


@pytest.mark.parametrize("path", ["/", "/feed.xml"])
def test_a_page_that_gets_no_slot_is_answered_by_its_last_text_for_a_minute(
    app, visitor, ingest, monkeypatch, path
):
    async def refuse(*_):
        raise Unavailable("More calls than we can serve.", 2)

    ingest("Rain")
    moment = [100.0]
    app.state.page_cache = PageCache(clock=lambda: moment[0])
    plain = visitor.get(path)
    monkeypatch.setattr(page_cache, "run_admitted", refuse)
    moment[0] += MAX_STALE_S
    stale = visitor.get(path)
    assert (stale.status_code, stale.content) == (200, plain.content)
    moment[0] += 1
    assert visitor.get(path).status_code == 503
    assert visitor.get("/topics").status_code == 503


@pytest.mark.parametrize("path", ["/", "/feed.xml"])
def test_a_page_that_would_wait_for_a_slot_is_answered_by_its_last_text_for_five_seconds(
    app, visitor, ingest, monkeypatch, path
):
    ingest("Rain")
    moment = [100.0]
    app.state.page_cache = PageCache(clock=lambda: moment[0])
    plain = visitor.get(path)
    ingest("Sun")
    moment[0] += MAX_BUSY_AGE_S
    assert visitor.get(path).content != plain.content
    renders, of = [], PublicText.of
    monkeypatch.setattr(PublicText, "of", lambda *given: renders.append(given) or of(*given))
    monkeypatch.setattr(app.state.admission._readers, "tokens", 0)
    moment[0] += MAX_BUSY_AGE_S
    assert visitor.get(path).status_code == 200
    assert renders == []
