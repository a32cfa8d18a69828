"""Serves one stand-in at one port for life, with the server that its misbehaviour needs.

The steady server serves it; while connections have to break, the breaking server takes its place on
the same port. Clients see their connections closed once, as when a provider restarts.
"""

import asyncio
from pathlib import Path

from workers.standins.misbehaviour.faults import ConnectionFaults
from workers.standins.misbehaviour.settings import MisbehaviourSettings
from workers.standins.providers.standin import Standin
from workers.standins.servers import breaking_server, steady_server
from workers.standins.servers.breaking_server import BreakingServer
from workers.standins.servers.steady_server import SteadyServer
from workers.standins.traffic import Traffic

BIND_TRIES = 100
BIND_PAUSE_S = 0.02


class SwitchingServer:
    """The server of one stand-in."""

    def __init__(
        self,
        standin: Standin,
        port: int,
        folder: Path,
        misbehaviour: MisbehaviourSettings,
        traffic: Traffic,
    ) -> None:
        self.port = port
        self._standin = standin
        self._folder = folder
        self._misbehaviour = misbehaviour
        self._traffic = traffic
        self._server: SteadyServer | BreakingServer | None = None
        self._faults: ConnectionFaults | None = None
        """The faults of the breaking server; None while the steady server serves."""

    async def open(self) -> None:
        """Begin to serve with the steady server."""
        await self._serve(None)

    async def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def switch(self) -> None:
        """Serve with the server that is needed now; do nothing if that one serves already."""
        name = self._standin.name
        needs_breaking = self._misbehaviour.needs_breaking_server(name)
        faults = self._misbehaviour.connection_faults(name) if needs_breaking else None
        if faults != self._faults:
            await self.close()
            await self._serve(faults)

    def deafen(self) -> None:
        """Send nothing more on present connections, if they are such as can break."""
        if isinstance(self._server, BreakingServer):
            self._server.deafen()

    async def _serve(self, faults: ConnectionFaults | None) -> None:
        """Serve; it may take a moment until the previous server has released the port."""
        self._faults = faults
        for attempt in range(BIND_TRIES):
            try:
                self._server = await self._start(faults)
            except OSError:
                if attempt == BIND_TRIES - 1:
                    raise
                await asyncio.sleep(BIND_PAUSE_S)
            else:
                return

    async def _start(self, faults: ConnectionFaults | None) -> SteadyServer | BreakingServer:
        standin, folder = self._standin, self._folder
        if faults is not None:
            return await breaking_server.serve(standin, self._traffic, self.port, folder, faults)
        target = steady_server.make_target(standin, self._traffic)
        return await steady_server.serve(target, self.port, folder, http1=standin.http1)
