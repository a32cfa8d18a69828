import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import TooLarge
from service.formats.hooks.superdesk import parse_superdesk
from service.formats.incoming import (
    BrokenStory,
    IncomingStory,
    MalformedDocument,
    Picture,
    PublicationStatus,
    Subject,
    single,
)
from service.formats.ninjs import parse_ninjs
from service.formats.ninjs_dialect import NinjsVersion, ninjs_version

THREE = {
    "uri": "urn:newsml:agency.example:20261128:storm-1",
    "standard": {"name": "ninjs", "version": "3.1", "schema": "https://schema.example/ninjs"},
    "type": "text",
    "version": "4",
    "firstCreated": "2026-11-28T08:00:00Z",
    "versionCreated": "2026-11-28T10:30:00+01:00",
    "embargoedUntil": "2026-11-28T12:00:00+01:00",
    "expires": "2026-12-01T00:00:00Z",
    "pubStatus": "usable",
    "urgency": 2,
    "language": "en-gb",
    "headlines": [
        {"role": "short", "value": "Storm"},
        {"role": "main", "contentType": "text/plain", "value": "Storm closes Smith &amp; Sons"},
    ],
    "descriptions": [
        {"role": "caption", "value": "Not this"},
        {"role": "summary", "contentType": "text/html", "value": "<p>Ports <b>closed</b>.</p>"},
    ],
    "bodies": [
        {"role": "main", "contentType": "text/plain", "value": "Plain words"},
        {"role": "sms", "contentType": "text/html", "value": "<p>Short</p>"},
        {
            "role": "main",
            "contentType": "text/html",
            "value": '<h1>Storm closes Smith &amp; Sons</h1><p>See <a href="/p">this</a>.</p>',
        },
    ],
    "by": "Ann Writer",
    "subjects": [
        {"name": "weather", "uri": "http://cv.iptc.org/newscodes/mediatopic/17000000"},
        {"name": "rugby", "literal": "subj:15049000"},
        {"name": "not about", "rel": "excludes", "uri": "medtop:01000000"},
        {"name": "Harbour", "uri": "https://agency.example/places/harbour"},
    ],
    "copyrightNotice": "Copyright Agency",
    "renditions": [
        {"name": "thumb", "href": "https://cdn.example/t.jpg", "width": 120, "height": 80},
        {
            "name": "web",
            "href": "http://cdn.example/w.jpg",
            "contentType": "image/jpeg",
            "width": 1600,
            "height": 900,
        },
        {"name": "full", "href": "https://cdn.example/f.jpg", "width": 6000, "height": 4000},
    ],
    "associations": [
        {"name": "chart", "type": "video", "uri": "urn:x", "renditions": []},
        {
            "name": "gone",
            "type": "picture",
            "pubStatus": "canceled",
            "renditions": [{"name": "main", "href": "https://cdn.example/killed.jpg"}],
        },
        {
            "name": "second",
            "type": "picture",
            "by": "Bob Camera",
            "headlines": [{"value": "Harbour wall"}],
            "descriptions": [{"value": "Waves at the wall."}],
            "renditions": [{"name": "main", "href": "https://cdn.example/2.jpg", "width": 800}],
            "associations": [{"type": "picture", "renditions": [{"href": "https://x.example/3"}]}],
        },
    ],
}
TWO = {
    "uri": "urn:newsml:agency.example:20261128:storm-2",
    "version": "2",
    "versioncreated": "2026-11-28T09:30:00Z",
    "embargoed": "2026-11-28T11:00:00Z",
    "expires": "2026-12-01T00:00:00Z",
    "pubstatus": "usable",
    "urgency": 5,
    "language": "nb-NO",
    "headlines": [{"role": "main", "value": "Storm stenger havna"}],
    "descriptions": [{"role": "text", "contenttype": "text/plain", "value": "Havna er stengt."}],
    "bodies": [
        {"role": "text", "contenttype": "text/plain", "value": "Ren tekst"},
        {"role": "html", "contenttype": "text/html", "value": "<p>Havna er <b>stengt</b>.</p>"},
    ],
    "by": "Kari",
    "subjects": [{"name": "Vaer", "literal": "17005000"}, {"name": "Havn", "literal": "Havn"}],
    "copyrightholder": "Byra",
    "associations": [
        {
            "name": "a001",
            "type": "picture",
            "descriptions": [{"value": "Havna."}],
            "renditions": [
                {"name": "hires", "contenttype": "image/jpeg", "href": "https://cdn.example/h.jpg",
                 "width": 4724, "height": 3149},
                {"name": "preview", "contenttype": "image/jpeg",
                 "href": "https://cdn.example/p.jpg", "width": 1024, "height": 683},
            ],
        }
    ],
}  # fmt: skip
ONE = {
    "uri": "http://agency.example/items/storm-3",
    "type": "text",
    "mimetype": "text/html",
    "version": "7",
    "versioncreated": "2026-11-28T09:30:00Z",
    "embargoed": "2026-11-28T11:00:00Z",
    "pubstatus": "usable",
    "urgency": 3.0,
    "language": "en_US",
    "headline": "Storm closes harbour",
    "headline_extended": "Storm closes harbour for a week",
    "description_text": "The harbour is closed.",
    "body_text": "The harbour is closed for a week.",
    "body_xhtml": "<p>The harbour is <em>closed</em> for a week.</p>",
    "byline": "Ann Writer",
    "subject": [
        {"name": "sport", "scheme": "http://cv.iptc.org/newscodes/mediatopic/", "code": "15000000"},
        {"name": "local", "scheme": "desk", "code": "x1"},
    ],
    "copyrightholder": "Agency",
    "associations": {
        "sidebar": {"type": "picture", "renditions": {"a": {"href": "https://cdn.example/s.jpg"}}},
        "mainpic": {
            "type": "picture",
            "byline": "Bob Camera",
            "headline": "Harbour",
            "description_text": "The wall.",
            "renditions": {
                "thumbnail": {"href": "https://cdn.example/t.jpg"},
                "main": {"href": "https://cdn.example/m.jpg", "mimetype": "image/jpeg"},
            },
        },
    },
}


def read(item) -> IncomingStory:
    return single(parse_ninjs(json.dumps(item).encode()))


def flaws(item) -> dict[str, str]:
    (story,) = parse_ninjs(json.dumps(item).encode())
    assert isinstance(story, BrokenStory)
    return {flaw.place: flaw.fault for flaw in story.flaws}


def test_every_field_of_ninjs_3_arrives():
    story = read(THREE)
    assert [remark.fault for remark in story.remarks] == ["a link was left out: /p"]
    assert story == IncomingStory(
        uri="urn:newsml:agency.example:20261128:storm-1",
        version=4,
        status=PublicationStatus.USABLE,
        headline="Storm closes Smith & Sons",
        summary="Ports closed.",
        body='<p>See <a rel="noopener noreferrer">this</a>.</p>',
        language="en-GB",
        author="Ann Writer",
        subjects=(
            Subject("medtop:17000000", "weather"),
            Subject("subj:15049000", "rugby"),
            Subject("https://agency.example/places/harbour", "Harbour"),
        ),
        topics=("weather", "sport"),
        image=Picture(
            url="https://cdn.example/w.jpg",
            alt="Not this",
            caption="Not this",
            credit="Ann Writer",
            width=1600,
            height=900,
        ),
        pictures=(
            Picture(
                url="https://cdn.example/w.jpg",
                alt="Not this",
                caption="Not this",
                credit="Ann Writer",
                width=1600,
                height=900,
            ),
            Picture(
                url="https://cdn.example/2.jpg",
                alt="Waves at the wall.",
                caption="Waves at the wall.",
                credit="Bob Camera",
                width=800,
            ),
        ),
        urgency=2,
        embargo_until=datetime(2026, 11, 28, 11, tzinfo=UTC),
        expires_at=datetime(2026, 12, 1, tzinfo=UTC),
        published_at=datetime(2026, 11, 28, 8, tzinfo=UTC),
        updated_at=datetime(2026, 11, 28, 9, 30, tzinfo=UTC),
        rights="Copyright Agency",
        remarks=story.remarks,
    )


def test_every_field_of_ninjs_2_arrives():
    picture = Picture(
        url="https://cdn.example/h.jpg", alt="Havna.", caption="Havna.", width=4724, height=3149
    )
    assert read(TWO) == IncomingStory(
        uri="urn:newsml:agency.example:20261128:storm-2",
        version=2,
        headline="Storm stenger havna",
        summary="Havna er stengt.",
        body="<p>Havna er <b>stengt</b>.</p>",
        language="nb-NO",
        author="Kari",
        subjects=(Subject("subj:17005000", "Vaer"), Subject("Havn", "Havn")),
        topics=("weather",),
        image=picture,
        pictures=(picture,),
        urgency=5,
        embargo_until=datetime(2026, 11, 28, 11, tzinfo=UTC),
        expires_at=datetime(2026, 12, 1, tzinfo=UTC),
        updated_at=datetime(2026, 11, 28, 9, 30, tzinfo=UTC),
        rights="Byra",
    )


def test_every_field_of_ninjs_1_arrives():
    leading = Picture(
        url="https://cdn.example/m.jpg", alt="The wall.", caption="The wall.", credit="Bob Camera"
    )
    assert read(ONE) == IncomingStory(
        uri="http://agency.example/items/storm-3",
        version=7,
        headline="Storm closes harbour",
        summary="The harbour is closed.",
        body="<p>The harbour is <em>closed</em> for a week.</p>",
        language="en-US",
        author="Ann Writer",
        subjects=(Subject("medtop:15000000", "sport"), Subject("desk:x1", "local")),
        topics=("sport",),
        image=leading,
        pictures=(leading, Picture(url="https://cdn.example/s.jpg")),
        urgency=3,
        embargo_until=datetime(2026, 11, 28, 11, tzinfo=UTC),
        updated_at=datetime(2026, 11, 28, 9, 30, tzinfo=UTC),
        rights="Agency",
    )


@pytest.mark.parametrize(
    ("members", "version"),
    [
        (THREE, NinjsVersion.THREE),
        (TWO, NinjsVersion.TWO),
        (ONE, NinjsVersion.ONE),
        ({"uri": "x", "headline": "y"}, NinjsVersion.ONE),
        ({"uri": "x", "by": "y"}, NinjsVersion.TWO),
        (
            {"uri": "x", "renditions": [{"name": "m", "contentType": "image/png"}]},
            NinjsVersion.THREE,
        ),
        ({"uri": "x", "renditions": [{"name": "m", "contenttype": "image/png"}]}, NinjsVersion.TWO),
        ({"uri": "x", "renditions": {"m": {"mimetype": "image/png"}}}, NinjsVersion.ONE),
    ],
)
def test_the_versions_are_told_apart_by_their_marks(members, version):
    assert ninjs_version(members) == version


@pytest.mark.parametrize("name", ["standard", "$standard"])
def test_another_standard_or_an_unknown_version_is_refused(name):
    member = {name: {"name": "ninjs", "version": "4.0"}}
    assert f"$.{name}.version" in flaws(ONE | member)
    assert f"$.{name}.name" in flaws(ONE | {name: {"name": "NewsML"}})
    assert read(ONE | {name: {"name": "TTNINJS", "version": "4.1"}}).headline


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("usable", PublicationStatus.USABLE),
        ("withheld", PublicationStatus.WITHHELD),
        ("canceled", PublicationStatus.CANCELED),
        ("cancelled", PublicationStatus.CANCELED),
    ],
)
@pytest.mark.parametrize("member", ["pubStatus", "pubstatus"])
def test_a_kill_is_the_same_in_every_spelling(word, status, member):
    story = read({"uri": "urn:x:1", "version": "9", member: word, "headline": "Bye"})
    assert (story.status, story.version) == (status, 9)
    assert story.is_kill is (status is not PublicationStatus.USABLE)


def test_a_kill_needs_nothing_but_the_name_of_its_story():
    assert read({"uri": "urn:x:1", "pubstatus": "canceled"}).is_kill


def test_a_kill_arrives_whatever_else_is_wrong_with_it():
    broken = {"urgency": 99, "embargoedUntil": "soon", "bodies": 5, "headlines": [{"value": 1}]}
    story = read({"uri": "urn:x:1", "pubStatus": "canceled"} | broken)
    assert story.is_kill
    assert {"$.urgency", "$.embargoedUntil", "$.bodies"} <= {r.place for r in story.remarks}
    assert "$.uri" in flaws({"pubStatus": "canceled", "uri": {}})


def test_all_faults_of_an_item_are_named_at_once_with_their_json_path():
    assert flaws(
        {
            "version": "4",
            "pubStatus": "live",
            "urgency": 11,
            "language": "english please",
            "embargoedUntil": "tomorrow",
            "expires": 5,
            "headlines": [{"role": "main", "value": 5}, "text"],
            "bodies": {"a": 1},
            "subjects": "sport",
        }
    ) == {
        "$.uri": "is missing: a story needs a name of its own",
        "$.pubStatus": "'live' is not usable, withheld or canceled",
        "$.urgency": "'11' is not a whole number from 1 to 9",
        "$.language": "'english please' is not a language tag such as en, pt-BR or zh-Hant",
        "$.embargoedUntil": "'tomorrow' is not a date and time with an offset (RFC 3339)",
        "$.expires": "'5' is not a date and time with an offset (RFC 3339)",
        "$.headlines[1]": "is a string instead of an object",
        "$.bodies": "is an object instead of an array",
        "$.subjects": "is a string instead of an array",
    }


def test_an_item_that_expires_under_its_embargo_is_refused():
    assert "expire" in flaws(TWO | {"expires": "2026-11-28T10:00:00Z"})["$"]


@pytest.mark.parametrize("kind", ["event", "planning"])
def test_a_plan_of_news_is_no_story(kind):
    assert "$.type" in flaws(THREE | {"type": kind})


@pytest.mark.parametrize(
    ("version", "number"), [("12", 12), (3, 3), ("2.0", 2), (2.0, 2), ("x", None), ("9" * 12, None)]
)
def test_a_version_that_cannot_be_compared_is_none_and_remarked(version, number):
    story = read(ONE | {"version": version})
    assert story.version == number
    assert ([remark.place for remark in story.remarks] == ["$.version"]) is (number is None)


def test_a_flash_of_a_headline_only_has_it_as_its_body():
    story = read({"uri": "urn:x:1", "urgency": 1, "headline": "Volcano & ash"})
    assert (story.body, story.urgency) == ("<p>Volcano &amp; ash</p>", 1)


def test_a_body_of_nitf_in_a_string_becomes_html():
    nitf = (
        '<?xml version="1.0"?><!DOCTYPE nitf SYSTEM "nitf-3-4.dtd"><nitf><body><body.head><hedline>'
        "<hl1>H</hl1></hedline></body.head><body.content><p>One</p><hl2>Two</hl2></body.content>"
        "</body></nitf>"
    )
    bodies = [{"role": "main", "contentType": "application/nitf+xml", "value": nitf}]
    assert read(THREE | {"bodies": bodies}).body == "<p>One</p><h3>Two</h3>"
    bodies[0]["value"] = "<!DOCTYPE nitf [<!ENTITY a 'b'>]><nitf>&a;</nitf>"
    assert "$.bodies[0].value" in flaws(THREE | {"bodies": bodies})


def test_a_picture_alone_is_a_story_of_one_figure():
    story = read(
        {
            "uri": "urn:x:p",
            "type": "picture",
            "headline": "Harbour",
            "description_text": 'The "wall".',
            "renditions": {"main": {"href": "https://cdn.example/m.jpg", "width": 900}},
        }
    )
    assert story.body == (
        '<figure><img src="https://cdn.example/m.jpg" alt="The &quot;wall&quot;.">'
        '<figcaption>The "wall".</figcaption></figure>'
    )


def test_several_items_stand_in_their_order_and_a_broken_one_stops_no_other():
    stories = parse_ninjs(json.dumps([ONE, {"headline": "x"}, 5, TWO]).encode())
    assert [getattr(story, "place", "") or story.uri for story in stories] == [
        ONE["uri"],
        "$[1]",
        "$[2]",
        TWO["uri"],
    ]
    assert stories[1].flaws[0].place == "$[1].uri"


@pytest.mark.parametrize("document", [b"[]", b"[" + b"{}," * 500 + b"{}]", b"nonsense"])
def test_no_items_too_many_and_no_json_are_malformed(document):
    with pytest.raises(MalformedDocument):
        parse_ninjs(document)


def test_an_item_over_four_megabytes_is_too_large():
    with pytest.raises(TooLarge):
        parse_ninjs(json.dumps(ONE | {"body_html": "x" * 5_000_000}).encode())


def test_relative_addresses_are_resolved_against_a_base():
    item = ONE | {"body_xhtml": '<p><img src="i/p.jpg"></p>', "associations": None}
    (story,) = parse_ninjs(json.dumps(item).encode(), base="https://agency.example/items/")
    assert story.image == Picture(url="https://agency.example/items/i/p.jpg")


def test_codes_become_topics_by_the_aliases_of_the_newsroom():
    aliases = {"desk:x1": "local/harbour", "medtop:15000000": "sport"}
    (story,) = parse_ninjs(json.dumps(ONE).encode(), aliases=aliases)
    assert story.topics == ("sport", "local/harbour")


def test_superdesk_names_a_story_by_guid_and_brings_its_feature_media():
    item = {
        "guid": "tag:desk.example:2026:newsml_1",
        "version": "3",
        "type": "text",
        "pubstatus": "usable",
        "headline": "Smith &amp; Sons",
        "byline": "Ann",
        "description_html": "<p>Lead</p>",
        "description_text": "Lead",
        "body_html": "<p>Text</p>",
        "urgency": 3,
        "priority": 5,
        "subject": [{"code": "15054000", "name": "soccer"}],
        "service": [{"code": "a", "name": "Australia"}],
        "keywords": ["harbour"],
        "firstpublished": "2026-11-28T09:00:00+0000",
        "versioncreated": "2026-11-28T09:30:00+0000",
        "associations": {
            "featuremedia": {
                "type": "picture",
                "body_text": "A wall by the sea",
                "renditions": {
                    "viewImage": {"href": "https://desk.example/v", "width": 640, "height": 480},
                    "16-9": {"href": "https://desk.example/w", "width": 1280, "height": 720},
                },
            },
            "editor_1": None,
        },
    }
    story = parse_superdesk(json.dumps(item).encode())
    assert story.uri == "tag:desk.example:2026:newsml_1"
    assert story.uri_is_global
    assert (story.headline, story.summary, story.body) == ("Smith & Sons", "Lead", "<p>Text</p>")
    assert story.image == Picture(
        url="https://desk.example/w", alt="A wall by the sea", width=1280, height=720
    )
    assert story.subjects == (
        Subject("subj:15054000", "soccer"),
        Subject("service:a", "Australia"),
        Subject("", "harbour"),
    )
    assert story.topics == ("sport",)
    assert story.published_at == datetime(2026, 11, 28, 9, tzinfo=UTC)
    with pytest.raises(MalformedDocument, match=r"\$\.uri"):
        parse_superdesk(b"{}")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e12) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.sampled_from([(item, name) for item in (ONE, TWO, THREE) for name in item]),
    values,
    st.sampled_from([None, 0, 1]),
)
def test_an_item_with_a_member_of_any_type_is_read_or_broken_with_places(chosen, value, inside):
    item, name = chosen
    entries = item[name]
    if inside is not None and isinstance(entries, list) and inside < len(entries):
        member = next(iter(entries[inside]))
        entries = [*entries]
        entries[inside] = entries[inside] | {member: value}
        value = entries
    (story,) = parse_ninjs(json.dumps(item | {name: value}).encode())
    if isinstance(story, BrokenStory):
        assert story.flaws
        assert all(flaw.place.startswith("$") for flaw in story.flaws)
