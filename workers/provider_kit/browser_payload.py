"""What a browser decrypts: what a service worker reads, and the same as a declarative push message.

Safari shows a declarative push message without a worker; a worker that is there gets it first, for
it is mutable (W3C Push API, declarative push messages).
"""

from service.domain.alert import Words
from service.domain.language import is_right_to_left
from workers.provider import AlertContent
from workers.provider_kit import presentation
from workers.provider_kit.fitted_payload import FittedPayload, head_to_delivery_id

LONGEST_TOPIC = 32
DECLARATIVE = 8030
"""What marks a declarative push message: the number of Web Push's RFC."""


def browser_payload(content: AlertContent, limit: int) -> FittedPayload:
    """Return the payload of an alert; the declarative form is in it where it fits."""
    return FittedPayload(
        content,
        lambda words, language: head_to_delivery_id(_fields(words, language, content)),
        limit=limit,
        extra=lambda words, language: head_to_delivery_id(
            _declared(words, language, content) | _fields(words, language, content)
        ),
    )


def push_topic(content: AlertContent) -> str:
    """Return the collapse key in a form that the `Topic` header and a screen's `tag` allow."""
    return presentation.fit_collapse_key(content.collapse_key, LONGEST_TOPIC, "-_")


def _fields(words: Words, language: str, content: AlertContent) -> dict[str, object]:
    """Return what the service worker reads, up to the delivery's id."""
    image = presentation.wide_image_url_of(content)
    return {
        **presentation.shown_words(words),
        "icon": content.icon_url,
        **({"image": image} if image else {}),
        "tag": push_topic(content),
        "url": content.url,
        "lang": language,
        "dir": _direction(language),
        **({"silent": True} if content.silent else {}),
        "urgency": content.urgency.value,
        "alert_id": content.alert_id,
        "story_id": content.story_id,
        "delivery_id": "",
    }


def _declared(words: Words, language: str, content: AlertContent) -> dict[str, object]:
    """Return the members of a declarative push message."""
    form = {
        **presentation.shown_words(words),
        "navigate": content.url,
        "tag": push_topic(content),
        "lang": language,
        "dir": _direction(language),
        **({"silent": True} if content.silent else {}),
    }
    return {"web_push": DECLARATIVE, "mutable": True, "notification": form}


def _direction(language: str) -> str:
    return "rtl" if is_right_to_left(language) else "ltr"
