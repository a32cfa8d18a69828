"""How much of the processors a process gets where they have more to do than they can."""

import os
from contextlib import suppress
from pathlib import Path

LOWER = 10
"""By so much a process that gives way is nicer: it gets about a tenth of what each other gets."""
_OWN_SESSION = Path("/proc/self/autogroup")


def give_way() -> None:
    """Let other processes go first from now on; what this one starts inherits it.

    Linux may share time out among sessions first, and then only a session's own value counts
    (sched(7), "The autogroup feature"), so that is set too: have a session for this process alone.
    """
    nice = os.nice(LOWER)
    with suppress(OSError):  # another system, a kernel without it, or a container's
        _OWN_SESSION.write_text(str(nice))
