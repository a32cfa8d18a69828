"""Run one command that ends when the process that started it ends, even by kill -9.

Started by path as `python -I -S end_with_parent.py PARENT_PID SIGNAL UID command...`: the
standard library only, and nothing of ours. UID is a number, or `-` to keep the account. Only
Linux can end the command; elsewhere it runs on, and a later start finds it.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PARENT_ENDED = 125


def end_with(parent: int, signal: int) -> None:
    """Have `signal` sent to this process when the process `parent` ends; an exec keeps this."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call
        os._exit(PARENT_ENDED)


def main() -> None:
    """Become the command, as the account `uid` if one is given."""
    parent, signal, uid, *command = sys.argv[1:]
    if uid != "-":  # before end_with: a change of account clears its setting
        os.setgroups([])
        os.setgid(int(uid))
        os.setuid(int(uid))
    end_with(int(parent), int(signal))
    os.execv(command[0], command)  # noqa: S606 - no shell is what we want


if __name__ == "__main__":
    main()
