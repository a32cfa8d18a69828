import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.formats.hooks.field_map import FIELDS, make_field_map, parse_mapped
from service.formats.hooks.ghost import parse_ghost
from service.formats.hooks.wordpress import parse_wordpress
from service.formats.incoming import (
    IncomingStory,
    MalformedDocument,
    Picture,
    PublicationStatus,
    Subject,
)

GHOST = {
    "id": "6549f1",
    "uuid": "0f1e",
    "title": "Smith & Sons",
    "slug": "smith",
    "html": '<p>Text <a href="/a/">a</a></p>',
    "custom_excerpt": None,
    "excerpt": "Text a",
    "feature_image": "https://blog.example/i.jpg",
    "feature_image_alt": "A wall",
    "feature_image_caption": "<em>The</em> wall",
    "status": "published",
    "visibility": "public",
    "published_at": "2026-11-28T10:00:00.000Z",
    "updated_at": "2026-11-28T10:05:00.000Z",
    "url": "https://blog.example/smith/",
    "authors": [{"name": "Ann"}],
    "primary_author": {"name": "Ann"},
    "tags": [
        {"name": "Weather", "slug": "weather", "visibility": "public"},
        {"name": "#hidden", "slug": "hash-hidden", "visibility": "internal"},
    ],
}
REST = {
    "id": 12,
    "type": "post",
    "status": "publish",
    "link": "https://www.blog.example/2026/storm/",
    "guid": {"rendered": "https://blog.example/?p=12"},
    "date": "2026-11-28T11:00:00",
    "date_gmt": "2026-11-28T10:00:00",
    "modified_gmt": "2026-11-28T10:05:00",
    "title": {"rendered": "Smith &#038; Sons&#8217; <em>harbour</em>"},
    "content": {"rendered": '<p>Text <img src="/wp/p.jpg" /></p>\n', "protected": False},
    "excerpt": {"rendered": "<p>Lead [&hellip;]</p>\n"},
    "_embedded": {
        "author": [{"name": "Ann"}],
        "wp:featuredmedia": [
            {
                "source_url": "http://blog.example/f.jpg",
                "alt_text": "A wall",
                "media_details": {"width": 1200, "height": 800},
            }
        ],
        "wp:term": [
            [{"name": "Weather", "slug": "weather", "taxonomy": "category"}],
            [{"name": "R&amp;D", "slug": "r-d", "taxonomy": "post_tag"}],
        ],
    },
}
WP_POST = {
    "post_id": 12,
    "post": {
        "ID": 12,
        "post_title": "Storm &amp; flood",
        "post_content": "Words\n\nMore <b>words</b>",
        "post_excerpt": "",
        "post_status": "publish",
        "post_type": "post",
        "post_date_gmt": "2026-11-28 10:00:00",
        "post_modified_gmt": "2026-11-28 10:05:00",
        "guid": "https://blog.example/?p=12",
    },
}


def ghost(current, previous=None, kind="post") -> IncomingStory:
    return parse_ghost(
        json.dumps({kind: {"current": current, "previous": previous or {}}}).encode()
    )


def wordpress(post) -> IncomingStory:
    return parse_wordpress(json.dumps(post).encode())


def test_every_field_of_a_ghost_post_arrives():
    picture = Picture(url="https://blog.example/i.jpg", alt="A wall", caption="The wall")
    assert ghost(GHOST) == IncomingStory(
        uri="ghost:post:6549f1",
        headline="Smith & Sons",
        summary="Text a",
        body='<p>Text <a href="https://blog.example/a/" rel="noopener noreferrer">a</a></p>',
        author="Ann",
        subjects=(Subject("tag:weather", "Weather"),),
        image=picture,
        pictures=(picture,),
        published_at=datetime(2026, 11, 28, 10, tzinfo=UTC),
        updated_at=datetime(2026, 11, 28, 10, 5, tzinfo=UTC),
        link="https://blog.example/smith/",
    )


@pytest.mark.parametrize(
    ("status", "means"),
    [
        ("published", PublicationStatus.USABLE),
        ("scheduled", PublicationStatus.USABLE),
        ("draft", PublicationStatus.WITHHELD),
        ("sent", PublicationStatus.WITHHELD),
    ],
)
def test_a_ghost_post_is_public_only_when_ghost_says_so(status, means):
    story = ghost(GHOST | {"status": status})
    assert story.status is means
    lifts = datetime(2026, 11, 28, 10, tzinfo=UTC) if status == "scheduled" else None
    assert story.embargo_until == lifts


def test_a_deleted_ghost_post_is_canceled_under_the_same_name():
    story = ghost({}, {"id": "6549f1", "title": "Smith & Sons"})
    assert (story.uri, story.status) == (ghost(GHOST).uri, PublicationStatus.CANCELED)


@pytest.mark.parametrize("visibility", ["members", "paid", "tiers"])
def test_the_text_of_a_ghost_post_for_members_does_not_come_in(visibility):
    story = ghost(GHOST | {"visibility": visibility})
    assert story.body == "<p>Text a</p>"
    assert visibility in story.remarks[0].fault


@pytest.mark.parametrize("body", [{}, {"post": 5}, {"post": {}}, {"member": {}}, []])
def test_what_is_no_delivery_of_ghost_is_malformed(body):
    with pytest.raises(MalformedDocument):
        parse_ghost(json.dumps(body).encode())


def test_a_scheduled_ghost_post_without_a_sound_time_is_refused():
    with pytest.raises(MalformedDocument, match="published_at"):
        ghost(GHOST | {"status": "scheduled", "published_at": "later"})


def test_every_field_of_a_wordpress_post_arrives():
    picture = Picture(url="https://blog.example/f.jpg", alt="A wall", width=1200, height=800)
    assert wordpress(REST) == IncomingStory(
        uri="wordpress:blog.example:12",
        headline="Smith & Sons\u2019 harbour",
        summary="Lead\u2026",
        body='<p>Text <img src="https://www.blog.example/wp/p.jpg" alt=""></p>',
        author="Ann",
        subjects=(Subject("category:weather", "Weather"), Subject("post_tag:r-d", "R&D")),
        image=picture,
        pictures=(picture,),
        published_at=datetime(2026, 11, 28, 10, tzinfo=UTC),
        updated_at=datetime(2026, 11, 28, 10, 5, tzinfo=UTC),
        link="https://www.blog.example/2026/storm/",
    )


def test_a_wp_post_object_is_the_same_story():
    story = wordpress(WP_POST)
    assert (story.uri, story.headline) == ("wordpress:blog.example:12", "Storm & flood")
    assert story.body == "<p>Words</p>\n<p>More <b>words</b></p>"
    assert story.updated_at == datetime(2026, 11, 28, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "means"),
    [
        ("publish", PublicationStatus.USABLE),
        ("future", PublicationStatus.USABLE),
        ("trash", PublicationStatus.CANCELED),
        ("draft", PublicationStatus.WITHHELD),
        ("pending", PublicationStatus.WITHHELD),
        ("private", PublicationStatus.WITHHELD),
        ("auto-draft", PublicationStatus.WITHHELD),
    ],
)
def test_a_wordpress_post_is_public_only_when_published_or_scheduled(status, means):
    story = wordpress(REST | {"status": status})
    assert story.status is means
    lifts = datetime(2026, 11, 28, 10, tzinfo=UTC) if status == "future" else None
    assert story.embargo_until == lifts


def test_the_same_post_sent_eleven_times_is_the_same_content():
    stories = [wordpress(REST | {"modified_gmt": f"2026-11-28T10:{n:02}:00"}) for n in range(11)]
    assert len({(story.uri, story.content_hash) for story in stories}) == 1


def test_a_protected_text_does_not_come_in():
    content = {"rendered": "<p>secret</p>", "protected": True}
    assert "secret" not in wordpress(REST | {"content": content}).body
    hidden = {**WP_POST["post"], "post_password": "x"}
    assert "words" not in wordpress({"post": hidden}).body


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"post": {"title": "no status"}},
        {"data": {"post": 5}},
        REST | {"type": "revision"},
        REST | {"status": "future", "date_gmt": None},
        REST | {"status": "future", "date_gmt": "soon"},
        REST | {"id": None, "guid": None},
    ],
)
def test_what_is_no_post_of_wordpress_is_malformed(body):
    with pytest.raises(MalformedDocument):
        wordpress(body)


MAP = {
    "uri": "$.article.id",
    "version": "article.rev",
    "status": "article.state",
    "headline": "article.titles[0].text | article.title",
    "summary": "article['lead text']",
    "body": "article.html",
    "language": "=pt-BR",
    "author": "article.authors[*].name",
    "topics": "article.tags",
    "image": "article.images[*].src",
    "image_alt": "article.images[*].alt",
    "urgency": "article.prio",
    "embargo_until": "article.embargo",
    "expires_at": "article.until",
    "published_at": "article.at",
    "link": "article.link",
}
ARTICLE = {
    "id": 99,
    "rev": "3",
    "state": "LIVE",
    "title": "Storm &amp; flood",
    "lead text": "Lead",
    "html": '<p><a href="/x">x</a></p>',
    "authors": [{"name": "Ann"}, {"name": "Bob"}],
    "tags": ["medtop:17000000", "Harbour"],
    "images": [{"src": "/a.jpg", "alt": "A"}, {"src": "ftp://no", "alt": "B"}],
    "prio": "4",
    "embargo": "2026-11-28T12:00:00+01:00",
    "until": 1_796_083_200,
    "at": "Sat, 28 Nov 2026 10:00:00 GMT",
    "link": "https://cms.example/99",
}


def mapped(article, fields=None, **options):
    field_map = make_field_map(fields or MAP, statuses={"live": "usable", "gone": "canceled"})
    (story,) = parse_mapped(json.dumps({"article": article}).encode(), field_map, **options)
    return story


def test_every_field_of_a_custom_map_arrives():
    story = mapped(ARTICLE)
    assert story == IncomingStory(
        uri="99",
        version=3,
        headline="Storm & flood",
        summary="Lead",
        body='<p><a href="https://cms.example/x" rel="noopener noreferrer">x</a></p>',
        language="pt-BR",
        author="Ann, Bob",
        subjects=(Subject("medtop:17000000", "medtop:17000000"), Subject("", "Harbour")),
        topics=("weather",),
        image=Picture(url="https://cms.example/a.jpg", alt="A"),
        pictures=(Picture(url="https://cms.example/a.jpg", alt="A"),),
        urgency=4,
        embargo_until=datetime(2026, 11, 28, 11, tzinfo=UTC),
        expires_at=datetime(2026, 12, 1, tzinfo=UTC),
        published_at=datetime(2026, 11, 28, 10, tzinfo=UTC),
        link="https://cms.example/99",
        remarks=story.remarks,
    )
    assert [remark.place for remark in story.remarks] == ["image (article.images[*].src)"]


def test_the_words_of_a_sender_for_its_states_are_translated():
    assert mapped(ARTICLE | {"state": "gone"}).status is PublicationStatus.CANCELED
    assert "status (article.state)" in str(mapped(ARTICLE | {"state": "odd"}).flaws)


def test_all_faults_of_a_mapped_story_are_named_by_field_and_path():
    broken = {"title": {"a": 1}, "prio": 12, "embargo": "soon", "rev": 1}
    places = {flaw.place for flaw in mapped(broken).flaws}
    assert places == {
        "uri ($.article.id)",
        "headline (article.titles[0].text | article.title)",
        "urgency (article.prio)",
        "embargo_until (article.embargo)",
    }


def test_a_map_is_checked_as_a_whole_before_it_is_saved():
    with pytest.raises(MalformedDocument) as refusal:
        make_field_map(
            {"headline": "a..b", "colour": "x", "body": "a[x]", "link": "[99999]"},
            stories="a b",
            statuses={"x": "purple"},
        )
    assert {flaw.place for flaw in refusal.value.flaws} == {
        "colour", "uri", "headline", "body", "link", "stories", "statuses.x",
    }  # fmt: skip


def test_an_array_of_stories_is_read_one_by_one():
    field_map = make_field_map({"uri": "id", "headline": "t"}, stories="$.data.items")
    items = [{"id": 1, "t": "a"}, {"id": 2}, {"id": 3, "t": "c"}]
    document = json.dumps({"data": {"items": items}}).encode()
    first, broken, third = parse_mapped(document, field_map)
    assert (first.headline, third.headline) == ("a", "c")
    assert broken.place == "$[1]"
    with pytest.raises(MalformedDocument, match="no array"):
        parse_mapped(b'{"data": {}}', field_map)


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=20)))
def test_any_typed_map_is_checked_or_refused(fields):
    try:
        field_map = make_field_map(fields)
    except MalformedDocument:
        return
    parse_mapped(b'{"a": [1, {"b": "c"}]}', field_map)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e12) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def read_or_refused(read, delivery):
    """A delivery is read, or refused with a place and a reason: nothing else."""
    with contextlib.suppress(MalformedDocument):
        read(delivery)


@given(st.sampled_from(list(REST)), values)
def test_a_wordpress_post_with_a_member_of_any_type_is_read_or_refused(name, value):
    read_or_refused(wordpress, REST | {name: value})


@given(st.sampled_from(list(WP_POST["post"])), values)
def test_a_wp_post_object_with_a_member_of_any_type_is_read_or_refused(name, value):
    read_or_refused(wordpress, {"post": WP_POST["post"] | {name: value}})


@given(st.sampled_from(list(GHOST)), values)
def test_a_ghost_post_with_a_member_of_any_type_is_read_or_refused(name, value):
    read_or_refused(ghost, GHOST | {name: value})


@given(st.sampled_from(list(ARTICLE)), values)
def test_a_mapped_story_with_a_member_of_any_type_is_read_or_broken(name, value):
    assert mapped(ARTICLE | {name: value})
