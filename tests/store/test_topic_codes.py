"""Media Topics become topics of ours, and their codes go on standing for them."""

import json

from service.actions.topics.media_topic_import import ImportedTopics, import_media_topics
from service.store.stories import topic_codes, topic_moves, topics

URI = "http://cv.iptc.org/newscodes/mediatopic/"


def concept(code, label, parent=None, **members):
    labels = {"en-GB": label, "de": f"{label} (de)"}
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
    assert again == ImportedTopics(0, first.codes)
    paths = topic_codes.paths_of(session, {"medtop:20001065", "medtop:20000999", "medtop:1"})
    assert paths == {
        "medtop:20001065": "sport/competition-discipline/sailing",
        "medtop:20000999": "sport/competition-discipline",
    }
    sailing = topics.by_paths(session, [paths["medtop:20001065"]])[paths["medtop:20001065"]]
    assert sailing.label == "Sailing (de)"


def test_a_code_follows_its_topic_when_that_moves_and_when_it_is_merged(session):
    import_media_topics(session, VOCABULARY, "en", "a test")
    topic_moves.move(session, "sport/competition-discipline/sailing", "boats")
    assert topic_codes.paths_of(session, {"medtop:20001065"}) == {"medtop:20001065": "boats"}
    topics.ensure(session, ["ships"])
    topic_moves.move(session, "boats", "ships")
    assert topic_codes.paths_of(session, {"medtop:20001065"}) == {"medtop:20001065": "ships"}
