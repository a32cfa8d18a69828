"""The commands that run the system's programs."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from service.commands.output import Failed, progress, say
from service.commands.settings import check_settings, read_settings
from service.demo import programs
from service.demo.child_processes import Child, ChildFailed
from service.demo.programs import Program
from service.demo.supervisor import Stop, Supervisor, stop_all, stoppable
from service.http.connections import listener
from service.logs import open_report
from service.metrics import process_files
from service.metrics.exposition import serve_counters

Folder = Annotated[Path, typer.Option("--data", envvar="DATA", help="Where its files are kept.")]
DEFAULT_FOLDER = Path(".newszop")
DRAIN_S = 10.0
"""Seconds the workers have to write down what they were doing."""


def demo(
    port: Annotated[
        int, typer.Option(envvar="PORT", help="Port of the site; 0: a free one.")
    ] = 8000,
    folder: Folder = DEFAULT_FOLDER,
    readers: Annotated[
        int, typer.Option(envvar="READERS", min=0, help="Readers made at the first start.")
    ] = 1000,
) -> None:
    """Run the whole system here, with its own PostgreSQL, Redis and stand-ins, until Ctrl-C."""
    from service.demo.servers import AlreadyRunning  # noqa: PLC0415 - a second that only it needs
    from service.demo.system import Demo, DemoFailed, DemoOptions  # noqa: PLC0415 - the same

    process_files.open_folder(folder / "metrics")
    with until_stopped():
        try:
            Demo(
                DemoOptions(port, folder, readers), programs.read_environment(), say, progress
            ).run()
        except AlreadyRunning as error:
            raise Failed(f"DATA: {error}") from None
        except DemoFailed as error:
            raise Failed(str(error)) from None


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
) -> None:
    """Serve the site and the API, and with NEWSZOP_INNER_PORT the newsroom beside it.

    Then the site's processes let the newsroom's, and the workers of the same machine, go first.
    """
    check_settings()
    process_files.open_folder()
    inner_port = read_settings().inner_port
    site = programs.service(host, port, workers=workers, gives_way=inner_port is not None)
    if inner_port is None:
        exec_program(site)
    require_free(host, port, inner_port)
    supervise((site, programs.service(host, inner_port, name="service-inner")))


def require_free(host: str, *ports: int) -> None:
    """Raise `Failed` for the first port that another program listens on."""
    for port in ports:
        try:
            listener.open_listener(host, port).close()
        except listener.PortInUse as error:
            raise Failed(str(error)) from None


def work(
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that push; one per processor.")
    ] = None,
    urgent_processes: Annotated[
        int, typer.Option(min=0, help="Processes kept free for breaking alerts; 0: none here.")
    ] = 1,
    stranger_processes: Annotated[
        int,
        typer.Option(min=0, help="Processes that push to servers that nobody named; 0: none here."),
    ] = 1,
    urgent_only: Annotated[
        bool, typer.Option("--urgent-only", help="Run only those for breaking alerts.")
    ] = False,
    strangers_only: Annotated[
        bool, typer.Option("--strangers-only", help="Run only those.")
    ] = False,
) -> None:
    """Run the workers: for breaking alerts, everything, servers that nobody named, and feeds.

    Servers that nobody named are those that only the `*` of WEBPUSH_ALLOWED_HOSTS lets in.
    """
    check_settings()
    members: list[Program] = []
    urgent, both = programs.workers(processes or os.cpu_count() or 1, urgent_processes or 1)
    if urgent_only or (urgent_processes and not strangers_only):
        members.append(urgent)
    if not (urgent_only or strangers_only):
        members += (both, programs.feed_poller())
    if strangers_only or (stranger_processes and not urgent_only):
        members.append(programs.strangers_worker(stranger_processes or 1))
    process_files.open_folder()
    _serve_counters()
    supervise(members)


def _serve_counters() -> None:
    """Let Prometheus read what the children count."""
    settings = read_settings()
    if settings.metrics_address is None:
        return
    try:
        serve_counters(settings.metrics_address, settings.metrics_token)
    except OSError as error:
        raise Failed(f"NEWSZOP_METRICS_LISTEN: {error.strerror}") from None


def supervise(members: Sequence[Program]) -> None:
    """Run programs side by side until SIGINT or SIGTERM; one that ends is started again."""
    environment = programs.environment(programs.read_environment())
    children = [Child(each.name, each.command, environment=environment) for each in members]
    report = open_report(read_settings().log_format, say)
    supervisor = Supervisor(report)
    with until_stopped(report):
        try:
            for child in children:
                child.start()
                supervisor.watch(child, child.start)
            supervisor.run_forever()
        finally:
            stop_all(children, DRAIN_S)


def sweep() -> None:
    """Send `sweep` every second, which finds what was lost, due or overdue. Run it once."""
    read_settings()
    process_files.open_folder()
    exec_program(programs.beat())


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: an object a line.")
    ] = False,
) -> None:
    """Look at every part that is configured and say what is wrong with it."""
    exec_program(programs.doctor(as_json=as_json))


def standins(
    port: Annotated[int, typer.Option(help="Port of the control API; 0: a free one.")] = 0,
    folder: Annotated[Path | None, typer.Option("--data", help="Where its keys are kept.")] = None,
) -> None:
    """Stand in for Apple, Google, Mozilla and Huawei; prints one JSON line about itself."""
    exec_program(programs.standins(port, folder))


@contextmanager
def until_stopped(report: Callable[[str], None] = say) -> Iterator[None]:
    """Run the block until SIGINT or SIGTERM, which end it without an error."""
    with stoppable():
        try:
            yield
        except Stop:
            report("Stopped.")
        except ChildFailed as error:
            raise Failed(str(error)) from None


def exec_program(program: Program) -> NoReturn:
    """Replace this process by the program, which keeps its process id and gets its signals."""
    environment = programs.environment(programs.read_environment())
    os.execve(program.command[0], program.command, environment)  # noqa: S606 - no shell is needed
