"""`python -m workers.standins --port N [--data DIR]`: serve until told to stop."""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from workers.standins.all_standins import Stage
from workers.standins.control import Control
from workers.standins.ports import Ports
from workers.standins.servers import steady_server

LOOK_FOR_PARENT_S = 1.0


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="standins", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="control port; 0 chooses one")
    parser.add_argument("--data", type=Path, help="folder for keys; a passing one without")
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when the starting process is gone"
    )
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = asked.data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        parent = os.getppid() if asked.with_parent else None
        asyncio.run(_serve(folder.resolve(), asked.port, parent))
    # granian's threads outlive its embedded servers, and abort in an interpreter that is ending
    os._exit(0)


async def _serve(folder: Path, port: int, parent: int | None) -> None:
    stage = Stage(folder)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    await stage.open()
    port = port or Ports(folder / "control.json").settle("control")
    control = await steady_server.serve(Control(stage).target, port, None, http1=True)
    announced = {
        "control": f"http://{steady_server.HOST}:{port}",
        "providers": stage.origins,
        "ca_file": str(stage.ca_file),
        "credentials": stage.accounts.credentials(stage.origins),
    }
    sys.stdout.write(json.dumps(announced) + "\n")
    sys.stdout.flush()
    await _until(ending, parent)
    await asyncio.gather(control.stop(), stage.close())


async def _until(ending: asyncio.Event, parent: int | None) -> None:
    """Wait for a signal, or for the parent's end where that is wanted."""
    while parent is None or os.getppid() == parent:
        try:
            await asyncio.wait_for(ending.wait(), None if parent is None else LOOK_FOR_PARENT_S)
        except TimeoutError:
            continue
        return


if __name__ == "__main__":
    main()
