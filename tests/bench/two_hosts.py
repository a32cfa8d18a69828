"""Question k: workers on another host than PostgreSQL, Redis and the providers.

Each repetition measures one sending process here and on the other host, in turns.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.bench.bench_system import BenchSystem, print_progress
from tests.bench.report import Answer, Figure
from tests.hosts.second_host import NoSecondHost, SecondHost

TITLE = "A whole alert whose workers are on another host; one sending process"
REFERENCE = "the same alert with its workers on this host"
DELAY_MS = 5.0
NO_DELAY_MS = 0.001
"""What the link itself costs: one process copies its packets, on the same two cores."""
LOSS = 0.01
WARMING_UP = 1000
HOSTS = {
    "this host": None,
    "another host, the same link without delay": (NO_DELAY_MS, 0.0),
    f"another host, {DELAY_MS:g} ms each way": (DELAY_MS, 0.0),
    f"another host, {DELAY_MS:g} ms each way, {LOSS:.0%} lost": (DELAY_MS, LOSS),
}


def two_hosts(bench: BenchSystem) -> Answer:
    """Send the largest alert from every place in turns."""
    devices = max(bench.sizes)
    topic = bench.add_followers(devices)
    rates: dict[str, list[float]] = {name: [] for name in HOSTS}
    cpu: dict[str, list[float]] = {name: [] for name in HOSTS}
    try:
        for _ in range(bench.repeats):
            for name, link in HOSTS.items():
                print_progress(f"an alert to {devices:,} from {name}")
                with _workers_on(bench, link):
                    run = bench.measure(topic)
                rates[name].append(run.per_second)
                cpu[name].append(run.cpu["workers"] / run.devices * 1e6)
    except NoSecondHost as error:
        return Answer("k", TITLE, REFERENCE, [Figure("all", "", (), note=str(error))])
    here, *_ = HOSTS
    figures = [Figure(name, "pushes/s", rates[name], "more", rates[here]) for name in HOSTS]
    figures += [Figure(name, "CPU s/million", cpu[name], beside=cpu[here]) for name in HOSTS]
    return Answer("k", TITLE, REFERENCE, figures)


@contextmanager
def _workers_on(bench: BenchSystem, link: tuple[float, float] | None) -> Iterator[None]:
    """Run one sending process behind such a link, or here; it has sent something before."""
    with ExitStack() as stack:
        bench.run_senders(0)
        if link is not None:
            delay_ms, loss = link
            host = SecondHost(delay_ms=delay_ms, loss=loss)
            bench.system.second_host = stack.enter_context(host)
        try:
            bench.run_senders(1)
            bench.send_alert(bench.add_followers(WARMING_UP))
            yield
        finally:
            bench.run_senders(0)
            bench.system.second_host = None
