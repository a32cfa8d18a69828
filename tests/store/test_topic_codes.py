"""Media Topics become topics of ours, and their codes go on standing for them."""

import json

import pytest

from service.actions.topics.media_topic_import import ImportedTopics, import_media_topics
from service.actions.topics.topic_names import labels_in, resolve_path
from service.store.stories import topic_codes, topic_labels, topic_moves, topics

URI = "http://cv.iptc.org/newscodes/mediatopic/"


def concept(code, label, parent=None, **members):
    labels = {"en-GB": label, "de": f"{label} (de)", "zh-Hans": f"{label} (zh)"}
    broader = {"broader": [URI + parent]} if parent else {}
    return {"uri": URI + code, "prefLabel": labels} | broader | members


VOCABULARY = json.dumps(
    {
        "dateReleased": "2026-07-02",
        "conceptSet": [
            concept("15000000", "sport"),
            concept("20000822", "competition discipline", "15000000"),
            concept("20001065", "sailing", "20000822"),
            concept("20000999", "yachting", "20000822", retired="2020-01-01"),
        ],
    }
).encode()


def test_topics_are_imported_once_with_labels_of_one_language(session):
    first = import_media_topics(session, VOCABULARY, "de-AT", "a test")
    assert first.new >= 3
    again = import_media_topics(session, VOCABULARY, "de-AT", "a test")
    assert again == ImportedTopics(0, first.codes, 3)
    paths = topic_codes.paths_of(session, {"medtop:20001065", "medtop:20000999", "medtop:1"})
    assert paths == {
        "medtop:20001065": "sport/competition-discipline/sailing",
        "medtop:20000999": "sport/competition-discipline",
    }
    sailing = topics.by_paths(session, [paths["medtop:20001065"]])[paths["medtop:20001065"]]
    assert sailing.label == "Sailing (de)"


def test_readers_get_the_labels_of_their_language_and_else_the_newsrooms(session):
    import_media_topics(session, VOCABULARY, "en", "a test")
    topics.ensure(session, ["sport/local-heroes", "weather"])
    topics.label(session, "sport", "Games")

    def labels(language):
        paths = ["sport", "sport/competition-discipline", "sport/local-heroes", "weather"]
        by_path = topics.by_paths(session, paths)
        items = labels_in(session, [by_path[path] for path in paths], language)
        return [(topic.label, topic.language) for topic in items]

    ours = [("Games", ""), ("Competition discipline", ""), ("Local heroes", ""), ("Weather", "")]
    for language in ("", "en", "en-GB", "kn", "zh-TW"):
        assert labels(language) == ours
    for language in ("de", "de-AT"):
        assert labels(language) == [
            ("Sport (de)", "de"),
            ("Competition discipline (de)", "de"),
            ("Local heroes", ""),
            ("Wetter", "de"),
        ]
    assert labels("zh-CN")[0] == ("Sport (zh)", "zh-Hans")
    assert labels("pt-AO")[3] == ("Weather", ""), "the roots have pt-BR and pt-PT"
    assert labels("pt-PT")[3] == ("Meteorologia", "pt-PT")


def test_english_readers_of_a_newsroom_in_another_language_have_english_labels(session):
    import_media_topics(session, VOCABULARY, "de", "a test")
    sport = topics.by_paths(session, ["sport"])["sport"]
    assert sport.label == "Sport (de)"
    for language in ("en", "en-AU", "en-GB"):
        assert labels_in(session, [sport], language)[0].label == "Sport"
    assert topic_labels.languages_of(session, [sport.id]) == ["en", "en-GB", "zh-Hans"]


def test_a_label_that_a_topic_has_outlives_the_next_import(session):
    import_media_topics(session, VOCABULARY, "en", "a test")
    sport = topics.by_paths(session, ["sport"])["sport"]
    topic_labels.replace(session, sport.id, {"de": "Leibesübungen", "zh-Hans": ""})
    import_media_topics(session, VOCABULARY, "en", "a test")
    assert labels_in(session, [sport], "de")[0].label == "Leibesübungen"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("medtop:20001065", "sport/competition-discipline/sailing"),
        (
            "http://cv.iptc.org/newscodes/mediatopic/20001065",
            "sport/competition-discipline/sailing",
        ),
        ("MEDTOP:20000999", "sport/competition-discipline"),
        ("medtop:17000000", "weather"),
        ("medtop:99999999", "medtop:99999999"),
        ("sport", "sport"),
        ("story/7", "story/7"),
        ("a:\0", "a:\0"),
    ],
)
def test_a_code_stands_for_a_path_a_retired_one_for_what_is_in_its_place(session, name, path):
    import_media_topics(session, VOCABULARY, "en", "a test")
    assert resolve_path(session, name) == path


def test_another_release_or_language_finds_topics_by_their_codes_wherever_they_stand(session):
    import_media_topics(session, VOCABULARY, "en", "a test")
    topic_moves.move(session, "sport/competition-discipline", "contests")
    newer = json.loads(VOCABULARY)
    newer["conceptSet"].append(concept("20009999", "rowing", "20000822"))
    for each in newer["conceptSet"]:
        each["prefLabel"] = {"fr": f"fr {each['prefLabel']['en-GB']}"}
    result = import_media_topics(session, json.dumps(newer).encode(), "en", "a test")
    assert (result.new, result.languages) == (1, 1)
    codes = {"medtop:20001065", "medtop:20000999", "medtop:20009999"}
    assert topic_codes.paths_of(session, codes) == {
        "medtop:20001065": "contests/sailing",
        "medtop:20000999": "contests",
        "medtop:20009999": "contests/20009999",
    }
    sailing = topics.by_paths(session, ["contests/sailing"])["contests/sailing"]
    assert labels_in(session, [sailing], "fr-CA")[0].label == "Fr sailing"


def test_a_code_follows_its_topic_when_that_moves_and_when_it_is_merged(session):
    import_media_topics(session, VOCABULARY, "en", "a test")
    topic_moves.move(session, "sport/competition-discipline/sailing", "boats")
    assert topic_codes.paths_of(session, {"medtop:20001065"}) == {"medtop:20001065": "boats"}
    topics.ensure(session, ["ships"])
    topic_moves.move(session, "boats", "ships")
    assert topic_codes.paths_of(session, {"medtop:20001065"}) == {"medtop:20001065": "ships"}
