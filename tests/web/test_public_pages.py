"""What everyone sees: complete, safe, the same for all, and fit for any cache."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import Engine, text

from service.domain.people import Role
from service.web.page_cache import MAX_AGE_S, RUSH_PER_S, PageCache, PublicText
from service.web.rendering import HERE, STATIC
from tests.web.conftest import SITE, Visitor

Ingest = Callable[..., dict[str, Any]]
ATTACK = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
PUBLIC = ("/", "/topics", "/topics/world", "/feed.xml", "/feed.json", "/sitemap-news.xml")
LARGEST_PAGE = 100_000


def page_of(visitor: Visitor, story: dict[str, Any]) -> str:
    answer = visitor.get(f"/stories/{story['slug']}")
    assert answer.status_code == 200
    return answer.text


def test_a_story_page_has_everything_a_reader_needs(visitor: Visitor, ingest: Ingest) -> None:
    older = ingest("Dust for weeks", topics=["world/asia"])
    story = ingest("Rain at last", topics=["world/asia"], author="Mara Sol")
    page = page_of(visitor, story)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    assert "Newszop" in words
    assert re.search(r"<h1>Rain at last</h1>", page)
    assert "<p>It rains.</p>" in page
    assert "Next Story" in words
    assert f'href="/stories/{older["slug"]}"' in page
    assert "Get alerts" in words
    assert "Loving Newspoint? Download the app now" in words
    assert 'href="https://app.example/get"' in page
    for topic in ("world/asia", f"story/{story['id']}"):
        assert f'data-follow="{topic}"' in page
    assert f'<link rel="canonical" href="{SITE}/stories/{story["slug"]}">' in page
    assert '<meta property="og:title" content="Rain at last">' in page
    assert "Send Push" not in words


def test_a_story_tells_search_engines_what_it_is(visitor: Visitor, ingest: Ingest) -> None:
    story = ingest("Rain", topics=["world/asia"], author="Mara Sol", language="en-GB")
    found = re.search(
        r'<script type="application/ld\+json">(.*?)</script>', page_of(visitor, story)
    )
    assert found
    linked = json.loads(found[1])
    assert linked["@type"] == "NewsArticle"
    assert linked["headline"] == "Rain"
    assert linked["author"] == {"@type": "Person", "name": "Mara Sol"}
    assert linked["mainEntityOfPage"]["@id"] == f"{SITE}/stories/{story['slug']}"
    assert linked["articleSection"] == ["Asia"]
    assert linked["inLanguage"] == "en-GB"
    assert datetime.fromisoformat(linked["datePublished"]).tzinfo


@pytest.mark.parametrize("image_url", [None, "https://pictures.example/storm.jpg"])
def test_a_shared_link_has_a_title_a_text_and_a_picture(
    visitor: Visitor, ingest: Ingest, image_url: str | None
) -> None:
    story = ingest("Rain & more", image_url=image_url)
    page = visitor.get(f"/stories/{story['slug']}").text
    tags = dict(
        re.findall(r'<meta (?:property|name)="((?:og|twitter):[^"]+)" content="([^"]*)"', page)
    )
    picture = image_url or f"{SITE}/icon-512.png"
    assert tags["og:type"] == "article"
    assert tags["og:title"] == tags["twitter:title"] == "Rain &amp; more"
    assert tags["og:description"] == tags["twitter:description"] == "It pours."
    assert tags["og:url"] == f"{SITE}/stories/{story['slug']}"
    assert tags["og:image"] == tags["twitter:image"] == picture
    assert tags["og:image:alt"] == tags["twitter:image:alt"] != ""
    assert tags["twitter:card"] == ("summary_large_image" if image_url else "summary")
    assert tags["og:site_name"]


def test_topics_are_named_in_the_language_of_the_page_and_of_the_story(
    visitor: Visitor, ingest: Ingest, engine: Engine
) -> None:
    story = ingest("Regen", topics=["weather"], language="de-AT")
    assert '<p class="kicker" lang="de-AT"><a href="/topics/weather">Wetter</a></p>' in page_of(
        visitor, story
    )
    assert "<h1>Weather</h1>" in visitor.get("/topics/weather").text
    page = visitor.get("/topics/weather?lang=ar").text
    assert '<h1 lang="ar" dir="rtl">\u0637\u0642\u0633</h1>' in page
    assert "Topics in other languages" not in page, "nothing was imported"
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO topic_label SELECT id, 'sv', 'V\u00e4dret' FROM topic")
        )
    for path in ("/topics/weather", "/topics"):
        page = visitor.get(path).text
        assert f'<a href="{path}?lang=sv" lang="sv" hreflang="sv"' in page
        assert "V\u00e4dret" in visitor.get(f"{path}?lang=sv").text
    moved = visitor.get("/topics/medtop:17000000")
    assert (moved.status_code, moved.headers["location"]) == (308, "/topics/weather")
    assert visitor.get("/topics/medtop:99999999").status_code == 404
    assert "Regen" in visitor.get("/feed.xml?topic=medtop:17000000").text
    visitor.post("/me/follow", data={"topic": "medtop:17000000"})
    visitor.post("/me/settings", data={"timezone": "UTC", "language": "fr"})
    assert "<strong>M\u00e9t\u00e9o</strong>" in visitor.get("/me").text


def test_readers_search_from_every_page(visitor: Visitor, ingest: Ingest) -> None:
    for n in range(26):
        ingest(f"Müller wins {n}", summary="", body="<p>Again.</p>")
    assert 'href="/search"' in visitor.get("/").text
    page = visitor.get("/search", params={"q": "MULLER"})
    assert page.text.count("<h2>") == 24
    older = re.search(r'rel="next" href="(\?[^"]+)"', page.text)
    assert older
    assert visitor.get(f"/search{older[1].replace('&amp;', '&')}").text.count("<h2>") == 2
    assert "No story has these words." in visitor.get("/search?q=nobody").text
    assert "No story" not in visitor.get("/search").text
    attack = visitor.get("/search", params={"q": ATTACK}).text
    assert "<script>alert" not in attack
    assert "<img src=x" not in attack


def test_nothing_a_story_says_becomes_markup_of_the_page(visitor: Visitor, ingest: Ingest) -> None:
    story = ingest(f"Rain {ATTACK}", summary=ATTACK, author=ATTACK, topics=["world"])
    for path in (f"/stories/{story['slug']}", "/", "/topics/world", "/feed.xml"):
        page = visitor.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    linked = re.search(r'ld\+json">(.*?)</script>', page_of(visitor, story))
    assert linked
    assert json.loads(linked[1])["headline"] == 'Rain ">', "a headline is text: its tags go"
    assert "Rain &#34;&gt;" in page_of(visitor, story)


def test_pages_hold_no_inline_code_and_the_policy_forbids_it(
    visitor: Visitor, editor: Visitor, ingest: Ingest
) -> None:
    story = ingest("Rain", topics=["world"])
    public = ("/", f"/stories/{story['slug']}", "/topics", "/me", "/login", "/offline")
    staff = ("/desk", "/desk/stories/new", f"/desk/stories/{story['id']}/push", "/desk/alerts")
    for who, paths in ((visitor, public), (editor, staff)):
        for path in paths:
            answer = who.get(path)
            assert answer.status_code == 200, path
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            scripts = re.findall(r"<script(?![^>]*(?:src=|ld\+json))", answer.text)
            assert not scripts, path
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=", answer.text), path
            assert "//cdn" not in answer.text
            assert len(answer.content) < LARGEST_PAGE


def test_any_cache_may_store_a_page_requested_without_a_cookie(
    visitor: Visitor, ingest: Ingest
) -> None:
    story = ingest("Rain", topics=["world"])
    for path in (*PUBLIC, f"/stories/{story['slug']}"):
        answer = visitor.get(path)
        assert answer.status_code == 200, path
        control = answer.headers["cache-control"]
        assert "public" in control
        assert "s-maxage=" in control
        assert "stale-while-revalidate=" in control
        assert "set-cookie" not in answer.headers
        is_page = answer.headers["content-type"].startswith("text/html")
        assert answer.headers["vary"] == "Accept-Encoding" + ", Accept-Language" * is_page
        again = visitor.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
        assert not again.content
        assert again.headers["etag"] == answer.headers["etag"]


def test_a_reader_gets_the_same_page_as_everyone(
    app: Any, visitor: Visitor, ingest: Ingest
) -> None:
    story = ingest("Rain", topics=["world"])
    before = visitor.get(f"/stories/{story['slug']}")
    visitor.post("/me/follow", data={"topic": "world"})
    assert visitor.cookies
    after = visitor.get(f"/stories/{story['slug']}")
    assert after.content == before.content
    assert after.request.headers.get("cookie") is None
    assert after.headers["etag"] == before.headers["etag"]


def test_an_editor_sees_send_push_on_a_page_that_no_cache_may_store(
    editor: Visitor, visitor: Visitor, ingest: Ingest
) -> None:
    story = ingest("Rain")
    answer = editor.get(f"/stories/{story['slug']}")
    assert "Send Push" in answer.text
    assert f"/desk/stories/{story['id']}/push" in answer.text
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["vary"] == "Cookie, Accept-Language"


def test_a_stale_staff_cookie_is_nobody(visitor: Visitor, ingest: Ingest) -> None:
    story = ingest("Rain")
    visitor.cookies.set("newszop_staff", "long gone")
    answer = visitor.get(f"/stories/{story['slug']}")
    assert answer.status_code == 200
    assert "Send Push" not in answer.text


def test_a_compressed_response_is_the_same_page(visitor: Visitor, ingest: Ingest) -> None:
    story = ingest("Rain")
    path = f"/stories/{story['slug']}"
    packed = visitor.get(path, headers={"Accept-Encoding": "gzip"})
    plain = visitor.get(path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text


def test_head_answers_like_get_without_a_body(visitor: Visitor, ingest: Ingest) -> None:
    story = ingest("Rain")
    answer = visitor.head(f"/stories/{story['slug']}")
    assert answer.status_code == 200
    assert not answer.content


def test_readers_do_not_find_what_they_must_not_see(
    visitor: Visitor, editor: Visitor, ingest: Ingest
) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    hidden = (ingest("A draft", state="draft"), ingest("Embargoed", embargo_until=later))
    for story in hidden:
        assert visitor.get(f"/stories/{story['slug']}").status_code == 404
        assert editor.get(f"/stories/{story['slug']}").status_code == 200
    front = visitor.get("/").text
    assert "A draft" not in front
    assert "Embargoed" not in front


def test_a_retracted_story_is_gone_at_once(
    visitor: Visitor, editor: Visitor, ingest: Ingest
) -> None:
    story = ingest("Wrong in every word")
    assert visitor.get(f"/stories/{story['slug']}").status_code == 200
    editor.submit(f"/desk/stories/{story['id']}/retract")
    answer = visitor.get(f"/stories/{story['slug']}")
    assert answer.status_code == 404
    assert "taken back" in answer.text
    assert "Wrong in every word" not in visitor.get("/").text


def test_a_person_is_refused_with_a_page_and_a_program_with_a_problem(visitor: Visitor) -> None:
    page = visitor.get("/stories/nothing-here")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "There is no story at this address." in page.text
    problem = visitor.get("/stories/nothing-here", headers={"Accept": "application/json"})
    assert problem.headers["content-type"] == "application/problem+json"


def next_of(visitor: Visitor, story: dict[str, Any]) -> str:
    page = page_of(visitor, story)
    found = re.search(r'<a href="/stories/([^"]+)" rel="next"', page)
    assert found
    return found[1]


def test_the_next_story_is_of_the_same_topic_first_then_the_newest(
    visitor: Visitor, ingest: Ingest
) -> None:
    old_sport = ingest("Old sport", topics=["sport"])
    world = ingest("World", topics=["world"])
    new_sport = ingest("New sport", topics=["sport"])
    assert next_of(visitor, new_sport) == old_sport["slug"]
    assert next_of(visitor, world) == old_sport["slug"]
    assert next_of(visitor, old_sport) == new_sport["slug"]


def test_the_only_story_leads_to_the_front(visitor: Visitor, ingest: Ingest) -> None:
    page = page_of(visitor, ingest("Alone"))
    assert '<a href="/" rel="next"' in page


@pytest.mark.parametrize(
    ("language", "direction"), [("en", "ltr"), ("hi", "ltr"), ("ar", "rtl"), ("fa-IR", "rtl")]
)
def test_a_story_is_marked_with_its_language_and_direction(
    visitor: Visitor, ingest: Ingest, language: str, direction: str
) -> None:
    page = page_of(visitor, ingest("समय से पहले", language=language))
    assert re.search(rf'<article [^>]*lang="{language}" dir="{direction}"', page)


def test_a_correction_says_so_on_the_page(
    visitor: Visitor, editor: Visitor, ingest: Ingest
) -> None:
    story = ingest("Ten came")
    fields = {"headline": "Twelve came", "body": "<p>Twelve.</p>", "do": "correct", "version": 1}
    editor.submit(f"/desk/stories/{story['id']}", **fields)
    page = page_of(visitor, story)
    assert "Twelve came" in page
    assert "Corrected" in page


def test_the_front_page_leads_to_older_stories(visitor: Visitor, ingest: Ingest) -> None:
    for n in range(30):
        ingest(f"Story {n:02}")
    front = visitor.get("/").text
    assert "Story 29" in front
    assert "Story 00" not in front
    older = re.search(r'rel="next" href="(\?before=[^"]+)"', front)
    assert older
    assert "Story 00" in visitor.get("/" + older[1]).text


def test_a_topic_shows_what_is_below_it(visitor: Visitor, ingest: Ingest) -> None:
    ingest("Tennis", topics=["sport/tennis"])
    ingest("Elsewhere", topics=["world"])
    page = visitor.get("/topics/sport").text
    assert "Tennis" in page
    assert "Elsewhere" not in page
    assert visitor.get("/topics/chess").status_code == 404


def test_the_feeds_are_well_formed_and_hold_the_newest(visitor: Visitor, ingest: Ingest) -> None:
    story = ingest("Salt & <pepper>", topics=["food"], language="en")
    ingest("Elsewhere", topics=["world"])
    url = f"{SITE}/stories/{story['slug']}"
    rss = ET.fromstring(visitor.get("/feed.xml?topic=food").text)
    assert [item.findtext("title") for item in rss.iter("item")] == ["Salt & <pepper>"]
    assert rss.findtext(".//item/link") == url
    feed = visitor.get("/feed.json").json()
    assert {item["title"] for item in feed["items"]} == {"Salt & <pepper>", "Elsewhere"}
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert all(item["content_html"] for item in feed["items"])
    sitemap = ET.fromstring(visitor.get("/sitemap-news.xml").text)
    assert url in {
        loc.text for loc in sitemap.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")
    }


def test_the_site_can_be_installed(visitor: Visitor) -> None:
    manifest = visitor.get("/manifest.webmanifest").json()
    assert manifest["display"] == "standalone"
    for icon in manifest["icons"]:
        answer = visitor.get(icon["src"])
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(icon["type"])
    worker = visitor.get("/service-worker.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert worker.headers["cache-control"] == "no-cache"
    kept = set(re.findall(r'"(/offline|/icon-\d+\.png)"|`\$\{STATIC\}([^`]+)`', worker.text))
    build = re.search(r'BUILD = "(\w+)"', worker.text)
    assert build
    for plain, static in kept:
        path = plain or f"/static/{build[1]}/{static}"
        assert visitor.get(path).status_code == 200, path


def test_a_page_that_is_read_offline_has_every_script_that_it_loads() -> None:
    kept = set(
        re.findall(r"STATIC}([^`]+\.js)", (HERE / "templates/service-worker.js").read_text())
    )
    needed, waiting = set(), [STATIC / "js/page.js"]
    while waiting:
        script = waiting.pop()
        needed.add(str(script.relative_to(STATIC)))
        names = re.findall(r'^import .*"(\.[^"]+)"', script.read_text(), re.MULTILINE)
        scripts = [(script.parent / name).resolve() for name in names]
        waiting += [one for one in scripts if str(one.relative_to(STATIC)) not in needed]
    assert needed == kept


def test_the_icon_that_alerts_name_exists(visitor: Visitor) -> None:
    assert visitor.get("/static/icon-192.png").headers["content-type"] == "image/png"


def test_only_files_of_this_build_may_be_cached_for_ever(visitor: Visitor, ingest: Ingest) -> None:
    css = re.search(r'href="(/static/(\w+)/css/site.css)"', page_of(visitor, ingest("Rain")))
    assert css
    assert "immutable" in visitor.get(css[1]).headers["cache-control"]
    former = visitor.get(css[1].replace(css[2], "before"))
    assert former.status_code == 200
    assert former.headers["cache-control"] == "no-cache"
    assert visitor.get("/static/x/../../settings.py").status_code == 404


def test_a_page_is_answered_from_memory_only_during_a_rush() -> None:
    now = [100.0]
    pages = PageCache(clock=lambda: now[0])
    news = PublicText.of("<p>news</p>")
    for _ in range(RUSH_PER_S):
        assert pages.lookup("/a") is None
        pages.store("/a", news)
    assert pages.lookup("/a") is news
    now[0] += 0.5
    assert pages.lookup("/a") is news
    assert pages.lookup("/b") is None
    now[0] += 30
    assert pages.lookup("/a") is None


def test_of_many_requests_for_a_page_that_is_too_old_one_renders_it_again() -> None:
    now = [100.0]
    pages = PageCache(clock=lambda: now[0])
    old = PublicText.of("old")
    for _ in range(RUSH_PER_S + 1):
        pages.lookup("/a")
        pages.store("/a", old)
    now[0] += 0.9
    for _ in range(RUSH_PER_S + 1):
        pages.lookup("/a")
    now[0] += MAX_AGE_S
    answers = [pages.lookup("/a") for _ in range(10)]
    assert answers.count(None) == 1
    assert answers.count(old) == 9


def test_a_forgotten_page_is_rendered_again_even_in_a_rush() -> None:
    pages = PageCache(clock=lambda: 100.0)
    for _ in range(RUSH_PER_S + 1):
        pages.lookup("/a")
        pages.store("/a", PublicText.of("was true"))
    pages.forget("/a")
    assert pages.lookup("/a") is None


def test_in_a_rush_the_story_page_makes_no_query(
    app: Any, visitor: Visitor, ingest: Ingest, engine: Engine
) -> None:
    story = ingest("Rain")
    app.state.page_cache = PageCache(clock=lambda: 100.0)
    path = f"/stories/{story['slug']}"
    first = visitor.get(path)
    for _ in range(RUSH_PER_S):
        visitor.get(path)
    with engine.begin() as connection:
        connection.execute(text("UPDATE story SET headline = 'Another'"))
    assert visitor.get(path).content == first.content


def test_there_are_no_phones_outside_the_demo(visitor: Visitor) -> None:
    assert visitor.get("/phones").status_code == 404
    assert "/phones" not in visitor.get("/").text


@pytest.mark.parametrize(
    "settings", [{"demo": True, "standins_url": "http://127.0.0.1:1"}], indirect=True
)
def test_the_phones_say_so_when_the_stand_ins_do_not_respond(visitor: Visitor) -> None:
    answer = visitor.get("/phones")
    assert answer.status_code == 200
    assert "are not responding" in answer.text


def test_the_site_is_called_what_the_settings_say(visitor: Visitor, app: Any) -> None:
    assert app.state.settings.site_name in visitor.get("/").text
    assert Role.EDITOR.value not in visitor.get("/").text


def test_the_next_story_is_in_the_language_of_this_one(visitor: Visitor, ingest: Ingest) -> None:
    oldest = ingest("Regen", language="de-AT", topics=["world"])
    ingest("Rain", language="en", topics=["world"])
    newest = ingest("Hagel", language="de", topics=["world"])
    assert next_of(visitor, newest) == oldest["slug"]


def test_only_a_page_of_several_languages_loads_what_sorts_them(
    visitor: Visitor, ingest: Ingest
) -> None:
    ingest("Rain", language="en-GB", topics=["world"])
    ingest("Hail", language="en", topics=["world"])
    assert "unread.js" not in visitor.get("/topics/world").text
    ingest("Regen", language="de", topics=["world"])
    page = visitor.get("/topics/world").text
    assert "unread.js" in page
    assert 'data-story-language="de"' in page


def test_sections_stand_in_the_order_of_their_newest_stories(
    visitor: Visitor, ingest: Ingest
) -> None:
    ingest("One", topics=["arts"])
    for headline in ("Two", "Three"):
        ingest(headline, topics=["sport/tennis", "sport"])
    page = visitor.get("/").text
    assert re.findall(r'<li><a href="/topics/([a-z]+)" >', page)[:2] == ["sport", "arts"]


def test_search_finds_topics_by_their_names(visitor: Visitor, ingest: Ingest) -> None:
    ingest("Rain", topics=["sport/table-tennis"])
    page = visitor.get("/search", params={"q": "tennis"}).text
    assert 'href="/topics/sport/table-tennis"' in page
    assert "No story has these words." in page
    assert "/topics/sport/table-tennis" not in visitor.get("/search", params={"q": "chess"}).text


def test_a_corrected_story_says_what_it_said_before(
    visitor: Visitor, ingest: Ingest, engine: Engine
) -> None:
    story = ingest("Ten hurt", topics=["world"], source_uri="urn:x:1")
    ingest("Two hurt", topics=["world"], source_uri="urn:x:1", body="<p>Two.</p>")
    assert "What was corrected" not in page_of(visitor, story)
    with engine.begin() as connection:
        connection.execute(text("UPDATE revision SET state = 'corrected' WHERE version = 2"))
        connection.execute(text("UPDATE story SET state = 'corrected'"))
    page = page_of(visitor, story)
    assert "What was corrected" in page
    assert re.search(r"The headline said: <q[^>]*>Ten hurt</q>", page)
    assert "The text was corrected." in page


def test_related_stories_are_of_the_same_topics_and_language(
    visitor: Visitor, ingest: Ingest
) -> None:
    ingest("Older hail", topics=["world"])
    ingest("Hagel", topics=["world"], language="de")
    ingest("Next hail", topics=["world"])
    story = ingest("Rain", topics=["world"])
    related = page_of(visitor, story).partition('class="related"')[2].partition("</section>")[0]
    assert "Older hail" in related
    assert "Hagel" not in related
    assert "Next hail" not in related
