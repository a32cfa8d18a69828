import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.topic import MAX_PATH, parse_path
from service.formats.incoming import MalformedDocument, Subject
from service.formats.media_topic_roots import LANGUAGES, ROOT_LABELS, ROOT_PATHS
from service.formats.media_topics import parse_media_topics
from service.formats.subjects import built_in_aliases, make_subject, subject_code, topic_paths

CV = "http://cv.iptc.org/newscodes/mediatopic/"


def concept(code, label, broader=None, **more):
    entry = {"uri": CV + code, "qcode": f"medtop:{code}", "prefLabel": {"en-GB": label}, **more}
    return entry | ({"broader": [CV + broader]} if broader else {})


def vocabulary(*concepts, **more):
    return parse_media_topics(json.dumps({"conceptSet": concepts, **more}).encode())


SPORT = concept("15000000", "sport")
DISCIPLINE = concept("20000822", "competition discipline", "15000000")
TENNIS = concept("20001085", "tennis", "20000822")


def test_the_seventeen_roots_are_built_in_with_their_labels():
    assert sorted(ROOT_PATHS) == [f"{n:02}000000" for n in range(1, 18)]
    assert all(parse_path(path) == path for path in ROOT_PATHS.values())
    assert len(set(ROOT_PATHS.values())) == 17
    assert all(tuple(labels) == LANGUAGES for labels in ROOT_LABELS.values())
    assert ROOT_LABELS["15000000"]["pt-BR"] == "esporte"
    assert ROOT_LABELS["17000000"]["sv"] == "V\u00e4der"
    assert built_in_aliases()["medtop:11000000"] == "politics"


def test_topics_have_paths_below_their_root_and_labels_by_language():
    tennis = concept("20001085", "tennis", "20000822")
    tennis["prefLabel"] |= {
        "en-US": "tennis",
        "se": "Tennis",
        "dk": "tennis (dk)",
        "no-NB": "tennis (nb)",
        "no-NN": "tennis (nn)",
        "zh-Hans": "\u7f51\u7403",
        "x y": "no language",
        "de": " ",
    }
    read = vocabulary(tennis, SPORT, DISCIPLINE, dateReleased="2026-07-02T12:00:00+00:00")
    assert read.released_at == datetime(2026, 7, 2, 12, tzinfo=UTC)
    assert [topic.path for topic in read.topics] == [
        "sport",
        "sport/competition-discipline",
        "sport/competition-discipline/tennis",
    ]
    last = read.topics[-1]
    assert (last.code, last.parent, last.retired) == ("20001085", "20000822", False)
    assert last.labels == {
        "en-GB": "tennis",
        "en-US": "tennis",
        "sv": "Tennis",
        "da": "tennis (dk)",
        "nb": "tennis (nb)",
        "nn": "tennis (nn)",
        "zh-Hans": "\u7f51\u7403",
    }


@pytest.mark.parametrize(
    ("note", "path"),
    [
        ("Duplicate of medtop:20001085, added in error.", "sport/competition-discipline/tennis"),
        (f"Use {CV}20001085 instead.", "sport/competition-discipline/tennis"),
        ("Merged into 20001085 and 20000822.", "sport/competition-discipline"),
        ("No longer used.", "sport/competition-discipline"),
    ],
)
def test_a_retired_code_leads_to_what_replaces_it_or_to_what_stands_above(note, path):
    old = concept(
        "20009999",
        "lawn tennis",
        "20000822",
        retired="2024-07-01T12:00:00+00:00",
        changeNote={"en-GB": note},
    )
    read = vocabulary(SPORT, DISCIPLINE, TENNIS, old)
    assert read.aliases["medtop:20009999"] == path
    retired = next(topic for topic in read.topics if topic.retired)
    assert (retired.path, read.topics[-1]) == (path, retired)


def test_retired_codes_that_point_at_one_another_end_at_their_root():
    notes = {"retired": "2024-07-01", "changeNote": "see medtop:20000002"}
    one = concept("20000001", "one", "15000000", **notes)
    two = concept("20000002", "two", "15000000", **(notes | {"changeNote": "see 20000001"}))
    aliases = vocabulary(SPORT, one, two).aliases
    assert aliases["medtop:20000001"].split("/")[0] in {"sport", "retired-media-topics"}


def test_two_topics_never_share_a_path():
    twins = [concept(f"2000000{n}", "Cup!", "15000000") for n in range(1, 4)]
    paths = [topic.path for topic in vocabulary(SPORT, *twins).topics]
    assert paths == ["sport", "sport/cup", "sport/20000002", "sport/20000003"]


def test_no_topic_stands_under_the_paths_of_single_stories():
    (topic,) = vocabulary(concept("20000001", "Story")).topics
    assert topic.path == "20000001"


def test_a_path_is_never_longer_than_a_topic_path_may_be():
    chain = [SPORT]
    above = "15000000"
    for n in range(1, 9):
        code = f"2000010{n}"
        chain.append(concept(code, "a very long label of a topic " * 2, above))
        above = code
    paths = [topic.path for topic in vocabulary(*chain).topics]
    assert all(len(path) <= MAX_PATH and parse_path(path) == path for path in paths)
    assert len(set(paths)) == len(chain)


def test_topics_above_themselves_are_cut_loose():
    one = concept("20000001", "one", "20000002")
    two = concept("20000002", "two", "20000001")
    paths = {topic.path for topic in vocabulary(one, two).topics}
    assert paths <= {"one", "two", "two/one", "one/two"}


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({}, "$.conceptSet"),
        ({"conceptSet": []}, "$.conceptSet"),
        ({"conceptSet": [SPORT, {"uri": "urn:x"}]}, "$.conceptSet[1].uri"),
        ({"conceptSet": [SPORT | {"prefLabel": {}}]}, "$.conceptSet[0].prefLabel"),
        ({"conceptSet": "x"}, "$.conceptSet"),
        ([], "$"),
    ],
)
def test_what_is_no_vocabulary_is_malformed_and_says_where(document, place):
    with pytest.raises(MalformedDocument) as refusal:
        parse_media_topics(json.dumps(document).encode())
    assert refusal.value.flaws[0].place == place


@pytest.mark.parametrize(
    ("code", "scheme", "known"),
    [
        ("medtop:15000000", "", "medtop:15000000"),
        ("MEDTOP:15000000", "", "medtop:15000000"),
        ("mediatopic:20000344", "", "medtop:20000344"),
        (CV + "20000344", "", "medtop:20000344"),
        ("https://cv.iptc.org/newscodes/mediatopic/20000344/", "", "medtop:20000344"),
        ("http://cv.iptc.org/newscodes/subjectcode/15054000", "", "subj:15054000"),
        ("15000000", CV, "medtop:15000000"),
        ("15000000", "medtop", "medtop:15000000"),
        ("15054000", "", "subj:15054000"),
        ("20000344", "", "medtop:20000344"),
        ("99000000", "", "99000000"),
        ("x1", "desk", "desk:x1"),
        ("x1", "https://a.example/cv/", "https://a.example/cv/x1"),
        ("http://www.wikidata.org/entity/Q1", "", "http://www.wikidata.org/entity/Q1"),
        ("", "desk", ""),
    ],
)
def test_codes_of_many_spellings_have_one(code, scheme, known):
    assert subject_code(code, scheme) == known


def test_a_subject_reaches_a_topic_by_its_code_its_name_or_its_root():
    aliases = built_in_aliases() | {"medtop:20000344": "economy/media", "m\u00fcller": "people/m"}
    subjects = [
        Subject("medtop:20000344"),
        Subject("", "M\u00dcLLER"),
        Subject("subj:15054000"),
        Subject("medtop:20009999"),
        Subject("medtop:15000000"),
    ]
    assert topic_paths(subjects, aliases) == ("economy/media", "people/m", "sport")


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=20))
def test_any_code_name_and_scheme_make_a_subject_or_none(code, name, scheme):
    subject = make_subject(code, name, scheme)
    assert subject is None or subject.code or subject.name


@given(
    st.lists(
        st.tuples(
            st.sampled_from([f"200000{n:02}" for n in range(12)]),
            st.text(min_size=1, max_size=20),
            st.none() | st.sampled_from([f"200000{n:02}" for n in range(12)] + ["15000000"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
        unique_by=lambda row: row[0],
    )
)
def test_any_tree_of_topics_has_sound_paths(rows):
    concepts = [
        concept(code, label, above, **({"retired": "2024-01-01"} if retired else {}))
        for code, label, above, retired in rows
    ]
    try:
        read = vocabulary(SPORT, *concepts)
    except MalformedDocument:
        return
    live = [topic.path for topic in read.topics if not topic.retired]
    assert len(set(live)) == len(live)
    assert all(parse_path(topic.path) == topic.path for topic in read.topics)
