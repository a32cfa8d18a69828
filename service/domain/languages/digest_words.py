"""The words of a digest: how many alerts came while it was quiet, and their headlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.alert import Words
from service.domain.language import base_language
from service.domain.languages.language_lookup import index_texts, lookup_keys

LONGEST_HEADLINE = 90

_ENGLISH = "en"
_TITLES: Mapping[str, tuple[str, str]] = {
    "en": ("One alert while it was quiet", "{n} alerts while it was quiet"),
    "de": ("Eine Meldung während Ihrer Ruhezeit", "{n} Meldungen während Ihrer Ruhezeit"),
    "es": ("Una alerta durante sus horas de silencio", "{n} alertas durante sus horas de silencio"),
    "fr": ("Une alerte pendant vos heures calmes", "{n} alertes pendant vos heures calmes"),
    "hi": ("शांत समय में एक अलर्ट", "शांत समय में {n} अलर्ट"),
    "ar": ("تنبيه واحد خلال ساعات الهدوء", "تنبيهات خلال ساعات الهدوء: {n}"),
}
"""One alert, and several; each language that readers' pages are in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedAlert:
    """An alert that quiet hours kept away, with the words that it has now.

    `locales` are its translations, without the words in its `language`.
    """

    alert_id: int
    slug: str
    at: datetime
    title: str
    language: str
    locales: Mapping[str, str]

    def title_in(self, language: str) -> str:
        """Return its title in a language, or in its own."""
        tags = index_texts([*self.locales, self.language])
        tag = next((tags[key] for key in lookup_keys(language) if key in tags), self.language)
        return self.locales.get(tag, self.title)


def digest_words(alerts: Sequence[MissedAlert]) -> Mapping[str, Words]:
    """Return the words by language of alerts, of which there is at least one, the newest first.

    Under "" are those for devices that read none of these languages: in that of the newest alert.
    """
    locales = {tag for alert in alerts for tag in (alert.language, *alert.locales)}
    words = {tag: _words(alerts, tag) for tag in sorted({*_TITLES, *locales})}
    newest = alerts[0].language
    return {"": words[newest if base_language(newest) in _TITLES else _ENGLISH], **words}


def _words(alerts: Sequence[MissedAlert], language: str) -> Words:
    one, several = _TITLES.get(base_language(language), _TITLES[_ENGLISH])
    title = one if len(alerts) == 1 else several.format(n=len(alerts))
    return Words(title, "\n".join(_cut(alert.title_in(language)) for alert in alerts))


def _cut(headline: str) -> str:
    text = " ".join(headline.split())
    if len(text) <= LONGEST_HEADLINE:
        return text
    return text[: LONGEST_HEADLINE - 1].rstrip() + "…"
