"""Expo push: 100 devices a request. Its yes is a ticket; the receipt is asked for later.

https://docs.expo.dev/push-notifications/sending-notifications/
"""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.domain.alert import Words
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.domain.subscription import Urgency
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    FollowUp,
    Scope,
    SenderRejected,
    TryLater,
    Verdict,
)
from workers.provider import (
    ANSWER_LIMIT,
    DELIVERY_ID_ROOM,
    RECEIPT_ROOM,
    AlertContent,
    Answer,
    Credential,
    Position,
    Preview,
    Request,
    Target,
)
from workers.provider_kit.alert_text import ByLocale, choose, fit, words_in
from workers.provider_kit.answers import (
    Setback,
    as_word,
    is_success,
    named,
    parse_object,
    read_status,
    retry_after,
)
from workers.provider_kit.encoding import (
    Addressed,
    Origin,
    collapse_form,
    image_of,
    json_bytes,
    json_inside,
)

LIMIT = 4096
SPACES_ROOM = 64
"""Expo counts the message, not our bytes: it may write it with spaces."""
ADDRESS_ROOM = 220
DEVICES_AT_ONCE = 100
LONGEST_COLLAPSE_ID = 64
RECEIPT_AFTER = timedelta(minutes=15)
IMPOSSIBLE_ADDRESS = "an-address-that-cannot-exist"
TICKET_BYTES = 512
_FOREVER = timedelta(days=3650)
_TOKEN = re.compile(r"Expo(?:nent)?PushToken\[[A-Za-z0-9_:.-]{1,200}\]")


class Settings(BaseSettings):
    """What reaching Expo takes."""

    model_config = SettingsConfigDict(
        env_prefix="EXPO_", env_file=".env", extra="ignore", frozen=True
    )

    url: Origin = Field("https://exp.host", description="Expo's server.")
    access_token: str = Field(
        "", description="The project's access token, where enhanced push security is on."
    )


_CREDENTIALS = SenderRejected(
    "Expo cannot push to Apple or Google for the project: set up its push credentials with EAS"
)
_ADMISSION = SenderRejected("Expo does not let us in: check EXPO_ACCESS_TOKEN")

REASONS: Mapping[str, Setback] = {
    "DeviceNotRegistered": DeviceGone("the app is gone from the device"),
    "MessageTooBig": AlertRejected("Expo says that the alert is too large"),
    "MessageRateExceeded": TryLater(""),
    "MismatchSenderId": _CREDENTIALS,
    "InvalidCredentials": _CREDENTIALS,
    "UNAUTHORIZED": _ADMISSION,
    "TOO_MANY_REQUESTS": TryLater("", scope=Scope.PROVIDER, blameless=True),
    "PUSH_TOO_MANY_EXPERIENCE_IDS": DeviceRefused("addresses of several projects in one request"),
    "PUSH_TOO_MANY_NOTIFICATIONS": DeviceRefused("Expo takes fewer addresses at once than we sent"),
}
"""What each documented error means, in a ticket, in a receipt or for a whole request."""


class Provider:
    """Builds requests for Expo and reads its answers."""

    name = "expo"
    window = 6
    per_minute: int | None = 36_000
    ramp_seconds = 0
    guard = None
    follow_ups_at_once = 1000

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def check(self, registration: Registration) -> Registration:
        """Take an Expo push token."""
        address = registration.address.strip()
        if not _TOKEN.fullmatch(address):
            raise Invalid("address", "An Expo address looks like ExponentPushToken[...].")
        return replace(registration, address=address, kind="token", p256dh=None, auth=None)

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Return the access token; no request is needed."""
        yield from ()
        return Credential(self.settings.access_token, minted_at=now, fresh_until=now + _FOREVER)

    def credential_key(self) -> str:
        """Return a name that changes with the access token and does not tell it."""
        return f"expo:{sha256(self.settings.access_token.encode()).hexdigest()[:16]}"

    def pushes(self, content: AlertContent, credential: Credential) -> "Pushes":
        """Prepare the alert: all that devices share is encoded once."""
        return Pushes(self.settings, content, credential)

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Read one ticket for each device, in their order."""
        if not is_success(answer.status):
            return _read_refusal(answer, positions)
        tickets = parse_object(answer.body).get("data")
        told = tickets if isinstance(tickets, list) else []
        verdicts = [_read_ticket(ticket) for ticket in islice(told, len(positions))]
        unread = TryLater("Expo's answer lacks a ticket for it", unknown=True)
        return verdicts + [unread] * (len(positions) - len(verdicts))

    def follow_ups(self, tickets: Sequence[str], credential: Credential) -> Request:
        """Ask for the receipts of up to 1,000 tickets."""
        return Request(
            f"{self.settings.url}/--/api/v2/push/getReceipts",
            _headers(credential),
            json_bytes({"ids": list(tickets)}),
            answer_limit=ANSWER_LIMIT + TICKET_BYTES * len(tickets),
        )

    def read_follow_ups(self, answer: Answer, tickets: Sequence[str]) -> Sequence[Verdict]:
        """Read one receipt for each ticket; those that are not there yet are asked for again."""
        if not is_success(answer.status):
            return [_read_request(answer)] * len(tickets)
        told = parse_object(answer.body).get("data")
        receipts = told if isinstance(told, dict) else {}
        return [_read_receipt(receipts.get(ticket)) for ticket in tickets]

    def probe(self, credential: Credential, now: datetime) -> Request:
        """Push to an address that cannot exist."""
        del now
        body = json_bytes([{"to": IMPOSSIBLE_ADDRESS, "title": "-"}])
        return Request(_send_url(self.settings), _headers(credential), body)

    def preview(self, content: AlertContent, locale: str) -> Preview:
        """Return the words as they fit, and the message's size."""
        words, _ = words_in(choose(locale, content), content)
        fitted, shortened = _fit(words, content)
        used = len(_head(fitted, content)) + _TAIL_ROOM
        return Preview(fitted.title, fitted.body, used, LIMIT, shortened)


def _send_url(settings: Settings) -> str:
    return f"{settings.url}/--/api/v2/push/send"


def _headers(credential: Credential) -> Sequence[str]:
    own = (f"authorization: Bearer {credential.value}",) if credential.value else ()
    return (*own, "content-type: application/json", "accept: application/json")


def _error_of(told: object) -> str:
    details = told.get("details") if isinstance(told, dict) else None
    return as_word(details.get("error")) if isinstance(details, dict) else ""


def _read_ticket(ticket: object) -> Verdict:
    if isinstance(ticket, dict) and ticket.get("status") == "ok":
        number = str(ticket.get("id", ""))
        return Accepted(FollowUp(number, RECEIPT_AFTER) if number else None)
    return _read_error(_error_of(ticket))


def _read_receipt(receipt: object) -> Verdict:
    if receipt is None:
        return TryLater("Expo has no receipt yet", after=RECEIPT_AFTER)
    if isinstance(receipt, dict) and receipt.get("status") == "ok":
        return Accepted()
    return _read_error(_error_of(receipt))


def _read_error(error: str) -> Verdict:
    verdict = REASONS.get(error) or DeviceRefused("Expo gives a reason that we do not know")
    if isinstance(verdict, TryLater):
        return replace(verdict, why=f"Expo answered {error}")
    return named(verdict, error)


def _read_refusal(answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
    """Read the refusal of a whole request.

    When addresses of other projects were in it, those of the largest one are tried again.
    """
    verdict = _read_request(answer)
    error = _first_error(answer)
    groups = error.get("details")
    if error.get("code") != "PUSH_TOO_MANY_EXPERIENCE_IDS" or not isinstance(groups, dict):
        return [verdict] * len(positions)
    lists = [{str(item) for item in group} for group in groups.values() if isinstance(group, list)]
    ours = max(lists, key=len, default=set())
    addresses = positions.addresses if isinstance(positions, Addressed) else ()
    if len(addresses) != len(positions):
        return [verdict] * len(positions)
    again = TryLater("sent along with another project's address", after=timedelta(0))
    return [again if address in ours else verdict for address in addresses]


def _read_request(answer: Answer) -> Verdict:
    code = as_word(_first_error(answer).get("code"))
    verdict = REASONS.get(code) if answer.status else None
    verdict = verdict or read_status(answer, "Expo")
    if isinstance(verdict, TryLater) and answer.status:
        wait = retry_after(answer)
        return replace(verdict, why=f"Expo answered {answer.status} {code}", after=wait)
    return named(verdict, code)


def _first_error(answer: Answer) -> Mapping[str, Any]:
    errors = parse_object(answer.body).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    return first if isinstance(first, dict) else {}


class Pushes:
    """One alert in Expo's form: a message for each device, a hundred of them a request."""

    def __init__(self, settings: Settings, content: AlertContent, credential: Credential) -> None:
        self._url = _send_url(settings)
        self._headers = _headers(credential)
        self._heads = ByLocale(content, lambda words, _: _head(_fit(words, content)[0], content))

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield one request for up to 100 targets."""
        del now  # the deadline stands in the messages
        for start in range(0, len(targets), DEVICES_AT_ONCE):
            group = targets[start : start + DEVICES_AT_ONCE]
            body = b"[" + b",".join(self._payload(target) for target in group) + b"]"
            yield Request(
                self._url,
                self._headers,
                body,
                Addressed.of(group),
                answer_limit=ANSWER_LIMIT + TICKET_BYTES * len(group),
            )

    def _payload(self, target: Target) -> bytes:
        own = (
            f'{target.delivery_id}","receipt":"{target.receipt}"}},'
            f'"to":"{json_inside(target.address)}"}}'
        )
        return self._heads[target.locale] + own.encode()


_TAIL_ROOM = (
    DELIVERY_ID_ROOM + RECEIPT_ROOM + ADDRESS_ROOM + len('","receipt":""},"to":""}') + SPACES_ROOM
)


def _fit(words: Words, content: AlertContent) -> tuple[Words, bool]:
    return fit(words, LIMIT - len(_head(Words("", ""), content)) - _TAIL_ROOM)


def _head(words: Words, content: AlertContent) -> bytes:
    """Return a message up to the delivery's id."""
    quiet = content.silent or content.urgency is Urgency.QUIET
    level = "time-sensitive" if content.urgency is Urgency.BREAKING else "active"
    key = collapse_form(content.collapse_key, LONGEST_COLLAPSE_ID)
    image = image_of(content)
    payload = {
        "title": words.title,
        "body": words.body,
        **({} if quiet else {"sound": "default"}),
        **({"richContent": {"image": image}, "mutableContent": True} if image else {}),
        "expiration": int(content.expires_at.timestamp()),
        "priority": "normal" if quiet else "high",
        "channelId": "quiet" if content.silent else content.urgency.value,
        "interruptionLevel": "passive" if quiet else level,
        "collapseId": key,
        "tag": key,
        "threadId": content.collapse_key,
        "data": {
            "alert_id": content.alert_id,
            "story_id": content.story_id,
            "url": content.url,
            "delivery_id": "",
        },
    }
    return json_bytes(payload).removesuffix(b'"}}')
