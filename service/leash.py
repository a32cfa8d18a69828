"""Run one command that ends when the process that started it ends, however that one dies.

Started by path as `python -I -S leash.py PARENT_PID SIGNAL UID command...`: the standard library
only, and nothing of ours. UID is a number, or `-` to stay who we are. Linux keeps the leash; on
other systems the command runs without one, and a later start finds what was left behind.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
NO_LONGER_HELD = 125


def main() -> None:
    """Become the command. Whoever may take `uid` alone (root) does so first."""
    parent, signal, uid, *command = sys.argv[1:]
    if uid != "-":
        os.setgroups([])
        os.setgid(int(uid))
        os.setuid(int(uid))
    if sys.platform == "linux":  # after setuid, which would clear it; an exec keeps it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal), 0, 0, 0)
        if os.getppid() != int(parent):  # it died before the leash was on
            sys.exit(NO_LONGER_HELD)
    os.execv(command[0], command)  # noqa: S606 - no shell is what we want


main()
