"""A second host: a network namespace, with a link to this one that can be slow, lossy or cut.

Programs there reach every server of this host under its usual address on the loopback interface:
the namespace sends what is meant for 127.0.0.1 over the link. So a program moves by where it is
started, and nothing of its settings changes. It takes Linux, root, `ip`, `iptables` and `nsenter`;
a slow or lossy link takes /dev/net/tun and a C compiler too.
"""

import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from service.demo import child_processes

PROGRAMS = ("ip", "iptables", "nsenter", "sysctl")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
SOURCE = Path(__file__).with_name("slow_link.c")
NETWORK = "10.78"
"""Each link has four addresses of 10.78.0.0/16."""
LINKS = 1 << 14
SEED = 7
START_S = 10.0
MILLION = 1_000_000
_numbers = itertools.count()


class NoSecondHost(Exception):
    """This machine cannot have one; the message says why."""


class SecondHost:
    """A host that ends with this object's block.

    Each packet takes `delay_ms` and is lost with the probability `loss`, in both directions.
    """

    def __init__(self, *, delay_ms: float = 0.0, loss: float = 0.0) -> None:
        self._delay_ms, self._loss = delay_ms, loss
        number = next(_numbers)
        self.name = f"newszop{os.getpid()}-{number}"
        self._here, self._there = (f"nz{side}{os.getpid()}-{number}" for side in "ab")
        first = (os.getpid() + number) % LINKS * 4
        base = f"{NETWORK}.{first >> 8}"
        self._address = f"{base}.{(first & 255) + 1}"
        self._address_there = f"{base}.{(first & 255) + 2}"
        self._stack = ExitStack()
        self._cut: list[tuple[str, ...]] = []

    def __enter__(self) -> Self:
        _require(*PROGRAMS)
        _remove_leftovers()
        try:
            self._open()
            self._check()
        except subprocess.CalledProcessError as error:
            self.close()
            raise NoSecondHost(f"{error.cmd}: {error.stderr.strip()}") from None
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the host and the link."""
        self._stack.close()

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words before a command line that start it there, under the same process id."""
        return ("nsenter", f"--net=/run/netns/{self.name}")

    def cut(self, ports: Iterable[int]) -> None:
        """Lose every packet to and from these ports of this host; nothing is closed."""
        for port in ports:
            here = ("INPUT", "-i", self._here, "-p", "tcp", "--dport", str(port), "-j", "DROP")
            there = ("INPUT", "-p", "tcp", "--sport", str(port), "-j", "DROP")
            for rule in (("iptables", "-w", "-A", *here), self._in("iptables", "-w", "-A", *there)):
                _run(*rule)
                self._cut.append(rule)

    def heal(self) -> None:
        """Let everything through again."""
        while self._cut:
            _run(*_reverse(self._cut.pop()))

    # ---- how it is made ------------------------------------------------------------------------

    def _open(self) -> None:
        _run("ip", "netns", "add", self.name)
        self._stack.callback(_run, "ip", "netns", "del", self.name)
        self._stack.callback(self.heal)
        if self._delay_ms or self._loss:
            self._start_slow_link()
        else:
            peer = ("peer", "name", self._there, "netns", self.name)
            _run("ip", "link", "add", self._here, "type", "veth", *peer)
            self._stack.callback(_run, "ip", "link", "del", self._here)
        self._set_up((), self._here, self._address)
        self._set_up(self.prefix, self._there, self._address_there)
        _run(*self._in("ip", "link", "set", "lo", "up"))
        to_us = ("-d", "127.0.0.1", "-p", "tcp", "-j", "DNAT", "--to-destination", self._address)
        _run(*self._in("iptables", "-w", "-t", "nat", "-A", "OUTPUT", *to_us))
        as_we = ("-o", self._there, "-j", "SNAT", "--to-source", self._address_there)
        _run(*self._in("iptables", "-w", "-t", "nat", "-A", "POSTROUTING", *as_we))
        target = ("-d", self._address, "-p", "tcp", "-j", "DNAT", "--to-destination", "127.0.0.1")
        self._add_rule("PREROUTING", *target)
        # PostgreSQL lets in who comes from the loopback interface
        self._add_rule("INPUT", "-p", "tcp", "-j", "SNAT", "--to-source", "127.0.0.1")

    def _add_rule(self, chain: str, *words: str) -> None:
        """Add a rule for what comes over the link into this host."""
        rule = ("iptables", "-w", "-t", "nat", "-A", chain, "-i", self._here, *words)
        _run(*rule)
        self._stack.callback(_run, *_reverse(rule))

    def _set_up(self, prefix: tuple[str, ...], device: str, address: str) -> None:
        _run(*prefix, "ip", "address", "add", f"{address}/30", "dev", device)
        _run(*prefix, "ip", "link", "set", device, "mtu", "1500", "up")
        _run(*prefix, "sysctl", "-q", "-w", f"net/ipv4/conf/{device}/route_localnet=1")

    def _start_slow_link(self) -> None:
        _require("cc")
        if not Path("/dev/net/tun").exists():
            raise NoSecondHost("a slow link takes /dev/net/tun")
        folder = Path(tempfile.mkdtemp(prefix="newszop-link-"))
        self._stack.callback(shutil.rmtree, folder)
        program = folder / "slow_link"
        _run("cc", "-O2", "-o", str(program), str(SOURCE))
        link = child_processes.Child(
            "slow link",
            (
                *(str(program), self._here, f"/run/netns/{self.name}", self._there),
                *(str(round(self._delay_ms * 1000)), str(round(self._loss * MILLION)), str(SEED)),
            ),
            environment=dict(os.environ),
            log=folder / "log",
        )
        link.start(stdout=subprocess.PIPE)
        self._stack.callback(link.stop, 1.0)
        if link.output is None or not link.output.readline():
            raise NoSecondHost(f"no slow link: {(folder / 'log').read_text().strip()}")

    def _in(self, *words: str) -> tuple[str, ...]:
        return (*self.prefix, *words)

    def _check(self) -> None:
        """Raise `NoSecondHost` unless a program there reaches a server here."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            call = f"import socket; socket.create_connection(('127.0.0.1', {port}), {START_S})"
            answer = subprocess.run(
                self._in(sys.executable, "-ISc", call), capture_output=True, text=True, check=False
            )
            if answer.returncode:
                raise NoSecondHost(f"a host there reaches nothing here: {answer.stderr.strip()}")


@contextmanager
def second_host_if_possible() -> Iterator[SecondHost | None]:
    """Yield a second host, or None where this machine can have none, which is said aloud."""
    with ExitStack() as stack:
        host = None
        try:
            host = stack.enter_context(SecondHost())
        except NoSecondHost as error:
            sys.stderr.write(f"  no second host, so no partitions: {error}\n")
        yield host


def _require(*programs: str) -> None:
    if os.getuid() != 0:
        raise NoSecondHost("a second host takes root")
    for program in programs:
        if shutil.which(program, path=PATH) is None:
            raise NoSecondHost(f"a second host takes {program}")


def _remove_leftovers() -> None:
    """Remove what runs that were killed have left: their hosts, and the rules of their links."""
    for line in _run("iptables", "-w", "-t", "nat", "-S").splitlines():
        if (match := re.search(r" -i nza(\d+)-", line)) and not Path("/proc", match[1]).exists():
            _run("iptables", "-w", "-t", "nat", *_reverse(tuple(line.split())))
    for path in Path("/run/netns").glob("newszop*-*"):
        process = path.name.removeprefix("newszop").partition("-")[0]
        if not Path("/proc", process).exists():
            _run("ip", "netns", "del", path.name)


def _run(*words: str) -> str:
    environment = os.environ | {"PATH": PATH}
    answer = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    return answer.stdout


def _reverse(rule: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("-D" if word == "-A" else word for word in rule)
