"""A payload by language, within the provider's limit: the kit on its own."""

import json

import pytest

from service.domain.alert import Words
from tests.providers.examples import alert_content
from workers.provider_kit.encoding import json_bytes
from workers.provider_kit.fitted_payload import (
    IDS_ROOM,
    ByLocale,
    FittedPayload,
    head_to_delivery_id,
)

LIMIT = 200


def render(words, language):
    return head_to_delivery_id(
        {"t": words.title, "b": words.body, "data": {"lang": language, "delivery_id": ""}}
    )


def test_a_form_is_made_once_a_language_however_many_locales_lead_to_it():
    languages = []
    content = alert_content(words={"": Words("a", "b"), "hi": Words("c", "d")})
    forms = ByLocale(content, lambda words, language: languages.append(language) or words.title)
    assert [forms[locale] for locale in ("hi", "hi-IN", "en", "fr", "hi")] == list("ccaac")
    assert languages == ["hi", "en"]


@pytest.mark.parametrize("length", [1, 20, 80, 81, 500])
def test_head_and_tail_are_within_the_limit(length):
    content = alert_content(title="Rain", body="x" * length)
    head = FittedPayload(content, render, limit=LIMIT).heads()[""]
    assert len(head) + IDS_ROOM <= LIMIT
    assert (b"x" * length in head) is (length <= 20)


def test_what_follows_the_head_takes_room_from_the_words():
    content = alert_content(body="x" * 500)
    heads = [
        FittedPayload(content, render, limit=LIMIT, tail_room=room).heads()[""] for room in (50, 90)
    ]
    assert len(heads[0]) - len(heads[1]) == 40


def test_the_preview_says_how_many_bytes_are_used_and_whether_words_were_shortened():
    long = FittedPayload(alert_content(body="x" * 500), render, limit=LIMIT).preview("")
    assert (long.bytes_used, long.bytes_limit, long.shortened) == (LIMIT, LIMIT, True)
    short = FittedPayload(alert_content(title="a", body="b"), render, limit=LIMIT).preview("")
    assert (short.title, short.body, short.shortened) == ("a", "b", False)
    assert short.bytes_used == len(render(Words("a", "b"), "en")) + IDS_ROOM


def test_the_words_alone_are_shortened_to_the_same_length():
    payload = FittedPayload(alert_content(body="x" * 500), render, limit=LIMIT)
    words = payload.words()["fr"]
    assert render(words, "en") == payload.heads()["fr"]


def test_the_head_ends_where_the_deliverys_id_begins():
    payload = {"delivery_id": "another", "data": {"text": '"delivery_id":""', "delivery_id": ""}}
    head = head_to_delivery_id(payload)
    assert json.loads(head + b'7"}}') == payload | {"data": payload["data"] | {"delivery_id": "7"}}
    assert json_bytes(payload).startswith(head)


def test_a_payload_without_a_delivery_id_is_a_fault_of_the_provider():
    with pytest.raises(ValueError, match="not found"):
        head_to_delivery_id({"title": "Rain"})
