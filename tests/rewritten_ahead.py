"""A second process rewrites the assertions of test modules while the first one collects them.

To rewrite them is half of what the collection costs, and the collection is one process. pytest
keeps what it has rewritten in a file beside each module, so what this process has done is found
there. It begins at the other end, and ends where the first one has been.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

ROOT = Path(__file__).parent
_children: list[int] = []


def begin_rewriting(config: pytest.Config) -> None:
    """Begin, where the whole suite is collected."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if not whole or sys.dont_write_bytecode:
        return
    child = os.fork()
    if child == 0:
        with suppress(BaseException):  # it is not needed: the first process does it all as well
            for path in sorted(ROOT.rglob("test_*.py"), reverse=True):
                if not rewrite_module(path, config):
                    break
        os._exit(0)
    _children.append(child)


def rewrite_module(path: Path, config: pytest.Config) -> bool:
    """Rewrite a module and keep it as pytest does; return whether nobody had done so.

    The functions are pytest's own; none of its public ones rewrites without loading.
    """
    state = config.stash[rewrite.assertstate_key]
    folder = rewrite.get_cache_dir(path)
    kept = folder / (path.name[:-3] + rewrite.PYC_TAIL)
    if rewrite._read_pyc(path, kept, state.trace) is not None:
        return False
    source_hash, code = rewrite._rewrite_test(path, config)
    return rewrite.try_makedirs(folder) and rewrite._write_pyc(state, code, source_hash, kept)


def await_rewriting() -> None:
    """Wait until the second process has ended."""
    while _children:
        os.waitpid(_children.pop(), 0)
