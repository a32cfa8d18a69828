"""No real provider: accepts everything and sends nothing. For first steps and tests."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from service.domain.device import MAX_ADDRESS, Registration
from service.domain.errors import Invalid
from service.domain.verdict import Accepted, Verdict
from workers.provider import AlertContent, Answer, Credential, Position, Preview, Request, Target
from workers.provider_kit.alert_text import choose_language, json_size, words_for
from workers.provider_kit.setting_types import ProviderSettings, settings_config

LIMIT = 4096
_LONG = timedelta(days=3650)


class Settings(ProviderSettings):
    """There are no settings."""

    model_config = settings_config("CONSOLE_")


class Provider:
    """Accepts every push."""

    name = "console"
    window = 1000
    per_minute: int | None = None
    ramp_seconds = 0
    guard = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def check(self, registration: Registration) -> Registration:
        """Accept any printable text as an address."""
        address = registration.address.strip()
        if not address or len(address) > MAX_ADDRESS or not address.isprintable():
            raise Invalid("address", f"An address is 1 to {MAX_ADDRESS} printable characters.")
        return replace(registration, address=address, kind="console", p256dh=None, auth=None)

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Return an empty credential that never ends."""
        yield from ()
        return Credential("", minted_at=now, fresh_until=now + _LONG)

    def credential_key(self) -> str:
        """Return a name that never changes."""
        return "console"

    def pushes(self, content: AlertContent, credential: Credential) -> "ConsolePushes":
        """Return pushes that are accepted without sending."""
        del content, credential
        return ConsolePushes()

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Accept every position; in fact no answer ever comes."""
        del answer
        return [Accepted()] * len(positions)

    def probe(self, credential: Credential, now: datetime) -> None:
        """Return None: there is no server to ask."""
        del credential, now

    def preview(self, content: AlertContent, locale: str) -> Preview:
        """Return the words as they are."""
        words, _ = words_for(choose_language(locale, content), content)
        used = json_size(words.title) + json_size(words.body)
        return Preview(words.title, words.body, used, LIMIT, shortened=False)


class ConsolePushes:
    """Accepts every device without a request."""

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield an acceptance for each target."""
        del now
        for target in targets:
            yield target.position, Accepted()
