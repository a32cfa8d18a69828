"""`python -m workers.standins --port N [--data DIR]`: serve until a signal comes."""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from workers.standins.all_standins import AllStandins
from workers.standins.control import Control
from workers.standins.data_folder.ports import Ports
from workers.standins.servers import steady_server

PARENT_CHECK_S = 1.0


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="standins", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="control port; 0 chooses one")
    parser.add_argument("--data", type=Path, help="folder for keys; a temporary one if left out")
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when the starting process is gone"
    )
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        parent = os.getppid() if options.with_parent else None
        asyncio.run(_serve(folder.resolve(), options.port, parent))
    # granian's threads outlive its embedded servers, and abort while the interpreter shuts down
    os._exit(0)


async def _serve(folder: Path, port: int, parent: int | None) -> None:
    standins = AllStandins(folder)
    end_signal = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end_signal.set)
    await standins.open()
    port = port or Ports(folder / "control.json").choose_and_save("control")
    control = await steady_server.serve(Control(standins).target, port, None, http1=True)
    announcement = {
        "control": f"http://{steady_server.HOST}:{port}",
        "providers": standins.origins,
        "ca_file": str(standins.ca_file),
        "credentials": standins.accounts.credentials(standins.origins),
    }
    sys.stdout.write(json.dumps(announcement) + "\n")
    sys.stdout.flush()
    await _wait_for_end(end_signal, parent)
    await asyncio.gather(control.stop(), standins.close())


async def _wait_for_end(end_signal: asyncio.Event, parent: int | None) -> None:
    """Wait for a signal, or for the end of the parent process if there is one to watch."""
    interval = None if parent is None else PARENT_CHECK_S
    while parent is None or os.getppid() == parent:
        try:
            await asyncio.wait_for(end_signal.wait(), interval)
        except TimeoutError:
            continue
        return


if __name__ == "__main__":
    main()
