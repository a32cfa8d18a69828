"""An alert's payload in a provider's form: by language, and shortened to the provider's limit.

A payload is a head, which all devices of one language share, and a tail, which holds what belongs
to one device. A head is encoded once per alert and language; the words in it are shortened so that
head and tail together stay within the limit.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from service.domain.alert import Words
from workers.provider import DELIVERY_ID_ROOM, RECEIPT_ROOM, AlertContent, Preview
from workers.provider_kit.alert_text import choose_language, fit_words, words_for
from workers.provider_kit.encoding import json_bytes

Form = TypeVar("Form")

TO_DELIVERY_ID = b'"delivery_id":"'
IDS_ROOM = DELIVERY_ID_ROOM + RECEIPT_ROOM + len('","receipt":""}')
"""The most bytes of a delivery's id, its receipt and what closes the object they are in."""


class ByLocale(dict[str, Form]):
    """What `make(words, language)` returns, by a device's locale.

    It is called once for each language of the alert, however many locales lead to it.
    """

    def __init__(self, content: AlertContent, make: Callable[[Words, str], Form]) -> None:
        super().__init__()
        self._content = content
        self._make = make
        self._by_language: dict[str, Form] = {}

    def __missing__(self, locale: str) -> Form:
        tag = choose_language(locale, self._content)
        if tag not in self._by_language:
            self._by_language[tag] = self._make(*words_for(tag, self._content))
        self[locale] = form = self._by_language[tag]
        return form


class FittedPayload:
    """The payload of one alert at one provider.

    `render(words, language)` returns the head. `tail_room` is the most bytes that follow a head,
    `limit` the most bytes that the provider takes. `extra(words, language)` returns a head that
    says the same in one more form, and is used where it fits.
    """

    def __init__(
        self,
        content: AlertContent,
        render: Callable[[Words, str], bytes],
        *,
        limit: int,
        tail_room: int = IDS_ROOM,
        extra: Callable[[Words, str], bytes] | None = None,
    ) -> None:
        self._content = content
        self._extra = extra
        self._render = render
        self._limit = limit
        self._tail_room = tail_room

    def heads(self) -> ByLocale[bytes]:
        """Return the head by locale."""
        return ByLocale(
            self._content,
            lambda words, language: self._head(self._fit(words, language), language),
        )

    def words(self) -> ByLocale[Words]:
        """Return the words that fit, by locale."""
        return ByLocale(self._content, self._fit)

    def preview(self, locale: str) -> Preview:
        """Return the words that fit a device of this locale, and the bytes that its push takes."""
        words, language = words_for(choose_language(locale, self._content), self._content)
        words_shown = self._fit(words, language)
        size = len(self._head(words_shown, language)) + self._tail_room
        return Preview(
            words_shown.title, words_shown.body, size, self._limit, shortened=words_shown != words
        )

    def _head(self, words: Words, language: str) -> bytes:
        if self._extra is not None:
            head = self._extra(words, language)
            if len(head) + self._tail_room <= self._limit:
                return head
        return self._render(words, language)

    def _fit(self, words: Words, language: str) -> Words:
        placeholder = Words("", "-")  # a payload without any body has no field for it
        frame = len(self._render(placeholder, language)) - 1 + self._tail_room
        return fit_words(words, self._limit - frame)


def head_to_delivery_id(payload: Mapping[str, object]) -> bytes:
    """Return the payload's JSON up to the value of `delivery_id`, which must be its last field.

    The delivery's id follows, and `","receipt":"`, the receipt and `"}`: providers write that
    inline, for it is done for every push.
    """
    text = json_bytes(payload)
    return text[: text.rindex(TO_DELIVERY_ID) + len(TO_DELIVERY_ID)]
