"""How much memory the bodies of requests may take in one process while they are received.

A connection may hold a body for a minute, and there may be thousands of connections: each body is
small enough, all together are not. What all callers' small bodies take is not counted, so those who
fill the rest refuse nobody but others with large bodies.
"""

FREE_BYTES = 8 * 1024
"""Of each body: 32 MiB for all connections that a process may hold."""
MOST_BYTES = 256 * 1024 * 1024
MOST_BYTES_OF_STRANGERS = 32 * 1024 * 1024


class BodyMemory:
    """The bytes of all bodies of one process beyond `FREE_BYTES` of each."""

    def __init__(self) -> None:
        self.strangers = 0
        self.known = 0

    def has_room(self, *, is_known: bool) -> bool:
        """Whether a body may grow."""
        if not is_known and self.strangers > MOST_BYTES_OF_STRANGERS:
            return False
        return self.strangers + self.known <= MOST_BYTES


class HeldBody:
    """What one body takes, and gives back when its request has been answered."""

    def __init__(self, memory: BodyMemory) -> None:
        self._memory = memory
        self._size = 0
        self._is_known = False

    def hold(self, size: int, *, is_known: bool) -> bool:
        """Hold so many bytes in all; returns whether there is room for them."""
        self.release()
        self._size, self._is_known = max(0, size - FREE_BYTES), is_known
        self._count(self._size)
        return not self._size or self._memory.has_room(is_known=is_known)

    def release(self) -> None:
        """Give the bytes back."""
        self._count(-self._size)
        self._size = 0

    def _count(self, size: int) -> None:
        if self._is_known:
            self._memory.known += size
        else:
            self._memory.strangers += size
