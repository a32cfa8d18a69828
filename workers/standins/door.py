"""One stand-in's public origin, served as the weather demands, at the same port for life."""

from pathlib import Path

from workers.standins import fair
from workers.standins.standin import Standin
from workers.standins.traffic import Traffic
from workers.standins.weather import Sky


class Door:
    """Where one stand-in is reached."""

    def __init__(
        self, standin: Standin, port: int, folder: Path, sky: Sky, traffic: Traffic
    ) -> None:
        self.port = port
        self._standin = standin
        self._folder = folder
        self._sky = sky
        self._traffic = traffic
        self._running: fair.Running | None = None

    async def open(self) -> None:
        """Begin to serve."""
        target = fair.target_of(self._standin, self._traffic)
        http1 = self._standin.name != "apns"  # Apple speaks HTTP/2 alone
        self._running = await fair.serve(target, self.port, self._folder, http1=http1)

    async def close(self) -> None:
        """Stop serving."""
        if self._running is not None:
            await self._running.stop()
            self._running = None

    async def suit(self) -> None:
        """Serve as the weather now demands."""
