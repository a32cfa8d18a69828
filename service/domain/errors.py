"""Every refusal the product knows, HTTP-free; `service.http.problems` gives each its status.

Refusal
├── Invalid            a field of the request is wrong: names the field
├── NotFound           no such thing, or not for this caller
├── Unauthenticated    we do not know who is calling
├── Forbidden          we know, and the caller may not
├── Conflict           the request is sound, the state of things is against it
│   ├── AlreadyAlerted the story has its first alert: names it
│   └── AddressGone    the address that registers is known to be dead
├── KeyReused          the same Idempotency-Key came with another body
├── TooLarge           more bytes than we take
├── TooSlow            the request did not arrive in time
├── TooMany            a limit of ours: says how long to wait
└── Unavailable        a part we need is away: names it
"""

from typing import TypeVar

Thing = TypeVar("Thing")


class Refusal(Exception):
    """A request that changed nothing, with a sentence for the person who made it."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Invalid(Refusal):
    """`field` (a dotted path into the body, or a parameter's name) is wrong because of `detail`."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field

    @property
    def faults(self) -> tuple[tuple[str, str], ...]:
        """Every field that is wrong, with what is wrong with it."""
        return ((self.field, self.detail),)


class NotFound(Refusal):
    """There is no such thing, or it is not this caller's to see."""


def no_such(kind: str) -> NotFound:
    """Return the refusal for a thing of this kind, such as "story", that does not exist."""
    return NotFound(f"There is no such {kind}.")


def require(thing: Thing | None, kind: str) -> Thing:
    """Return `thing`, or raise `no_such(kind)` when it is None."""
    if thing is None:
        raise no_such(kind)
    return thing


class Unauthenticated(Refusal):
    """No credentials came, or they are unknown, revoked or run out."""


class Forbidden(Refusal):
    """The caller is known and lacks the right."""


class Conflict(Refusal):
    """The request is sound but the present state of things refuses it."""


class AlreadyAlerted(Conflict):
    """The story's one first alert exists: `first_id`."""

    def __init__(self, first_id: int) -> None:
        super().__init__('This story already has its alert; send "update": true to correct it.')
        self.first_id = first_id


class AddressGone(Conflict):
    """The device's address is dead for good: a browser must unsubscribe and subscribe again."""

    def __init__(self) -> None:
        super().__init__(
            "Its push service has ended this subscription: unsubscribe, subscribe again and "
            "register the new address."
        )


class KeyReused(Refusal):
    """An Idempotency-Key was used before with another body."""


class TooLarge(Refusal):
    """The request has more bytes than we take."""


class TooSlow(Refusal):
    """The request's body stopped on its way."""


class TooMany(Refusal):
    """A limit was reached; try again after `retry_after` seconds."""

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


DATABASE_AWAY = "The database does not answer just now: try again."


class Unavailable(Refusal):
    """A part that this request needs is away; try again after `retry_after` seconds."""

    def __init__(self, detail: str, retry_after: int = 2) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
