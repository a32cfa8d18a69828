import pytest

from service.domain import topic
from service.domain.errors import Invalid


@pytest.mark.parametrize(
    ("given", "spelt"),
    [
        ("world", "world"),
        ("World/Ukraine", "world/ukraine"),
        ("/sport/tennis/", "sport/tennis"),
        ("  sport ", "sport"),
        ("covid-19", "covid-19"),
        ("a/b/c/d", "a/b/c/d"),
    ],
)
def test_a_path_has_one_spelling(given, spelt):
    assert topic.parse_path(given) == spelt


@pytest.mark.parametrize(
    "given",
    ["", "/", "a//b", "a b", "-a", "a-", "a--b", "world/нов", "a/" * 120 + "a", "sport\0", "a/ b"],
)
def test_what_is_no_path_is_refused_by_the_name_of_its_field(given):
    with pytest.raises(Invalid) as refused:
        topic.parse_path(given, "parent")
    assert refused.value.field == "parent"


@pytest.mark.parametrize("given", ["story", "story/42", "Story/42"])
def test_stories_own_topics_are_reserved(given):
    with pytest.raises(Invalid, match="reserved"):
        topic.parse_path(given)


def test_a_lineage_climbs_from_the_topic_to_the_top():
    assert topic.lineage("a/b/c") == ("a/b/c", "a/b", "a")
    assert topic.lineage("a") == ("a",)


def test_ancestors_come_once_however_many_topics_share_them():
    found = topic.with_ancestors(["sport/tennis", "sport/golf", "world"])
    assert found == ("sport", "sport/golf", "sport/tennis", "world")


def test_a_topic_stands_above_its_descendants_only():
    assert topic.is_above("sport", "sport/tennis")
    assert topic.is_above("sport", "sport/tennis/wimbledon")
    assert not topic.is_above("sport", "sport")
    assert not topic.is_above("sport", "sports/tennis")
    assert not topic.is_above("sport/tennis", "sport")


def test_the_parent_of_the_top_is_nothing():
    assert topic.parent_of("a/b") == "a"
    assert topic.parent_of("a") is None


def test_a_new_topic_gets_a_label_people_can_read():
    assert topic.label_from("world/climate-change") == "Climate change"


def test_a_story_is_followed_by_its_own_path():
    assert topic.story_topic(42) == "story/42"
