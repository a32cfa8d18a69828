"""When a feed is asked for again."""

from dataclasses import dataclass

SHORTEST_S = 5 * 60
LONGEST_SENDER_WISH_S = 60 * 60
WITH_HUB_S = 60 * 60
"""While a WebSub hub tells us of changes, asking is only a safeguard."""
LONGEST_FAILURE_S = 24 * 60 * 60
_MOST_DOUBLINGS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class PollAnswer:
    """What a poll tells about the next one: the sender's wishes, and failures in a row."""

    failures: int = 0
    retry_after_s: int | None = None
    minutes_between_polls: int | None = None
    has_hub: bool = False


def next_wait(answer: PollAnswer) -> int:
    """Return the seconds until the next poll.

    Failures double the wait up to a day; a sender's `Retry-After` and `ttl` are kept, the latter
    up to an hour, because a feed of news that says a day does not mean it.
    """
    wait = SHORTEST_S << min(answer.failures, _MOST_DOUBLINGS)
    if answer.failures == 0:
        sender_wish = (answer.minutes_between_polls or 0) * 60
        wait = max(wait, min(sender_wish, LONGEST_SENDER_WISH_S))
        wait = max(wait, WITH_HUB_S if answer.has_hub else 0)
    wait = max(wait, answer.retry_after_s or 0)
    return min(wait, LONGEST_FAILURE_S)
