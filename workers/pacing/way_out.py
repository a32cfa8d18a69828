"""Whether anything that this process sends leaves it, kept by provider for the process's life.

A process whose way to a provider is refused (a firewall, no name server, an untrusted certificate)
learns of each push at once that it was not sent. Were it to go on, it would take batch after batch
from the processes that can send. So after some such pushes in a row it claims nothing more, and
tries one push now and then until an answer of any kind comes.
"""

import multiprocessing
import time
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import SynchronizedString
from typing import Protocol, cast

NOT_SENT_THAT_CLOSE = 20
"""So many pushes in a row that did not leave close the way."""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
"""A closed way is tried again after the first wait, which doubles up to the longest."""
NOTE_S = 2 * LONGEST_WAIT_S
"""How long a note of a closed way counts: each try writes it again."""
LONGEST_NOTE = 300


@dataclass(slots=True)
class WayOut:
    """This process's way to one provider. `next_try_at` is of the monotonic clock."""

    not_sent: int = 0
    tries: int = 0
    next_try_at: float = 0.0

    @property
    def is_closed(self) -> bool:
        """Whether nothing but "not sent" was heard for a while."""
        return self.not_sent >= NOT_SENT_THAT_CLOSE

    def may_try(self, now: float) -> bool:
        """Whether a push may be tried now."""
        return now >= self.next_try_at

    def note_not_sent(self, now: float, pushes: int = 1) -> bool:
        """Note pushes that did not leave; whether that closes the way, or fails a try of it."""
        self.not_sent += pushes
        if not self.is_closed or now < self.next_try_at:
            return False
        self.next_try_at = now + min(FIRST_WAIT_S * 2**self.tries, LONGEST_WAIT_S)
        self.tries += 1
        return True

    def note_answer(self) -> bool:
        """Note that a push left; whether that opens the way again."""
        was_closed = self.is_closed
        self.not_sent = self.tries = 0
        self.next_try_at = 0.0
        return was_closed


class Note(Protocol):
    """Where a process writes that it cannot send."""

    def write(self, words: str) -> None:
        """Write it, over an earlier note."""
        ...

    def clear(self) -> None:
        """Take it back."""
        ...


class SharedNote:
    """One line in memory that a worker's processes share: its heartbeat tells the newsroom."""

    def __init__(self) -> None:
        self._words = cast("SynchronizedString", multiprocessing.Array("c", LONGEST_NOTE))
        self._until = multiprocessing.Value("d", 0.0)

    def write(self, words: str) -> None:
        """Write it, over an earlier note."""
        self._words.value = words.encode()[: LONGEST_NOTE - 1]
        self._until.value = time.monotonic() + NOTE_S

    def clear(self) -> None:
        """Take it back."""
        self._until.value = 0.0

    def read(self) -> str | None:
        """Return the note; None where there is none, or none that still counts."""
        if time.monotonic() > self._until.value:
            return None
        return self._words.value.decode(errors="replace")


@dataclass(slots=True)
class WaysOut:
    """The ways of one process, by provider, and where it writes that one is closed."""

    note: Note
    by_provider: dict[str, WayOut] = field(default_factory=dict)

    def to(self, provider: str) -> WayOut:
        """Return the way to a provider."""
        return self.by_provider.setdefault(provider, WayOut())
