"""No provider at all: accepts everything and sends nothing. For dry runs and first steps."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic_settings import BaseSettings, SettingsConfigDict

from service.domain.device import MAX_ADDRESS, Registration
from service.domain.errors import Invalid
from service.domain.verdict import Accepted, Verdict
from workers.provider import AlertContent, Answer, Credential, Position, Preview, Request, Target
from workers.provider_kit.alert_text import choose, json_size, words_in

LIMIT = 4096
_LONG = timedelta(days=3650)


class Settings(BaseSettings):
    """Nothing needs to be set."""

    model_config = SettingsConfigDict(
        env_prefix="CONSOLE_", env_file=".env", extra="ignore", frozen=True
    )


class Provider:
    """Says yes."""

    name = "console"
    window = 1000
    per_minute: int | None = None
    ramp_seconds = 0
    guard = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def check(self, registration: Registration) -> Registration:
        """Take any printable text as an address."""
        address = registration.address.strip()
        if not address or len(address) > MAX_ADDRESS or not address.isprintable():
            raise Invalid("address", f"An address is 1 to {MAX_ADDRESS} printable characters.")
        return replace(registration, address=address, kind="console", p256dh=None, auth=None)

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Return a credential that proves nothing and lasts."""
        yield from ()
        return Credential("", minted_at=now, fresh_until=now + _LONG)

    def credential_key(self) -> str:
        """Return the one name there is."""
        return "console"

    def pushes(self, content: AlertContent, credential: Credential) -> "Pushes":
        """Return what accepts every device."""
        del content, credential
        return Pushes()

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Accept: there is never an answer to read."""
        del answer
        return [Accepted()] * len(positions)

    def probe(self, credential: Credential, now: datetime) -> None:
        """Return None: there is nobody to ask."""
        del credential, now

    def preview(self, content: AlertContent, locale: str) -> Preview:
        """Return the words as they are."""
        words, _ = words_in(choose(locale, content), content)
        used = json_size(words.title) + json_size(words.body)
        return Preview(words.title, words.body, used, LIMIT, shortened=False)


class Pushes:
    """Accepts every device without a request."""

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield a yes for each target."""
        del now
        for target in targets:
            yield target.position, Accepted()
