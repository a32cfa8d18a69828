"""One stand-in's public origin, at the same port for life, served as the weather demands.

In fair weather granian serves it; when connections are to suffer, the rough server takes its place
on the same port. Clients see their connections closed once, as when a provider restarts.
"""

import asyncio
from pathlib import Path

from workers.standins.providers.standin import Standin
from workers.standins.servers import breaking_server, steady_server
from workers.standins.traffic import Traffic
from workers.standins.weather import Roughness, Sky

TRIES = 100
BETWEEN_TRIES_S = 0.02


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
        self._running: steady_server.Running | breaking_server.Running | None = None
        self._roughness: Roughness | None = None

    async def open(self) -> None:
        """Begin to serve, in fair weather."""
        await self._serve(None)

    async def close(self) -> None:
        """Stop serving."""
        if self._running is not None:
            await self._running.stop()
            self._running = None

    async def suit(self) -> None:
        """Serve as the weather now demands; nothing changes if it demands nothing new."""
        name = self._standin.name
        wanted = self._sky.roughness(name) if self._sky.is_rough(name) else None
        if wanted != self._roughness:
            await self.close()
            await self._serve(wanted)

    async def _serve(self, roughness: Roughness | None) -> None:
        """Serve; the port may take a moment to be free of the server before."""
        self._roughness = roughness
        for attempt in range(TRIES):
            try:
                self._running = await self._start(roughness)
            except OSError:
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(BETWEEN_TRIES_S)
            else:
                return

    async def _start(
        self, roughness: Roughness | None
    ) -> steady_server.Running | breaking_server.Running:
        standin, folder = self._standin, self._folder
        if roughness is not None:
            return await breaking_server.serve(standin, self._traffic, self.port, folder, roughness)
        target = steady_server.target_of(standin, self._traffic)
        return await steady_server.serve(target, self.port, folder, http1=standin.http1)
