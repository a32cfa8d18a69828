"""All stand-ins together, each at an origin of its own, over the same store and the same sky."""

import asyncio
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.standins import accounts, certificates
from workers.standins.accounts import Accounts
from workers.standins.apns import Apns, ProviderTokens
from workers.standins.door import Door
from workers.standins.expo import Expo
from workers.standins.fair import HOST
from workers.standins.fcm import Fcm
from workers.standins.files import write_private
from workers.standins.grants import AccessTokens, JwtGrants
from workers.standins.hms import Hms
from workers.standins.pushes import Pushes
from workers.standins.standin import Standin
from workers.standins.traffic import Traffic
from workers.standins.weather import Sky
from workers.standins.webpush import WebPush


class Stage:
    """Builds the stand-ins from one folder's accounts, opens them, and changes their weather."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.accounts = Accounts(folder)
        certificates.prepare(folder)
        self.pushes, self.sky, self.traffic = Pushes(), Sky(), Traffic()
        owned = self.accounts.secrets
        self._apple_tokens = ProviderTokens(
            self.accounts.apns_key, owned.apns_key_id, accounts.APNS_TEAM_ID
        )
        google_tokens = AccessTokens(self.accounts.seed("fcm"), "ya29.")
        self._grants = JwtGrants(self.accounts.fcm_key, accounts.FCM_EMAIL, google_tokens)
        self.webpush = WebPush(self.pushes, self.sky, self.accounts.seed("webpush"))
        both = (self.pushes, self.sky)
        made: list[Standin] = [
            Apns(*both, self._apple_tokens, accounts.APNS_TOPIC),
            Fcm(*both, accounts.FCM_PROJECT, self._grants, google_tokens),
            self.webpush,
            Hms(
                *both,
                accounts.HMS_APP_ID,
                owned.hms_app_secret,
                AccessTokens(self.accounts.seed("hms"), "DQ"),
            ),
            Expo(*both, owned.expo_access_token, self.accounts.seed("expo")),
        ]
        self.standins: Mapping[str, Standin] = {standin.name: standin for standin in made}
        self._doors: dict[str, Door] = {}
        self._changing = asyncio.Lock()

    @property
    def origins(self) -> dict[str, str]:
        """Return where each stand-in is, by name."""
        return {name: f"https://{HOST}:{door.port}" for name, door in self._doors.items()}

    @property
    def ca_file(self) -> Path:
        """Return the certificate that vouches for the stand-ins' own."""
        return self.folder / "ca.pem"

    async def open(self) -> None:
        """Open every stand-in, at the port that it had last time if that is free."""
        ports = Ports(self.folder / "ports.json")
        for name, standin in self.standins.items():
            door = Door(standin, ports.choose(name), self.folder, self.sky, self.traffic)
            self._doors[name] = door
        ports.keep()
        self.webpush.origin = self.origins["webpush"]
        self._grants.own_uri = f"{self.origins['fcm']}/token"
        await asyncio.gather(*(door.open() for door in self._doors.values()))

    async def close(self) -> None:
        """Close every stand-in."""
        await asyncio.gather(*(door.close() for door in self._doors.values()))

    async def put_weather(self, asked: Mapping[str, Any]) -> None:
        """Change the weather; raises `BadWeather`. When this returns, it has changed."""
        async with self._changing:
            self.sky.put(asked)
            await self._suit()

    async def clear_weather(self) -> None:
        """Clear the sky, and forgive the sender its many provider tokens."""
        async with self._changing:
            self.sky.clear_up()
            self._apple_tokens.forgive()
            await self._suit()

    async def _suit(self) -> None:
        await asyncio.gather(*(door.suit() for door in self._doors.values()))

    def forget(self) -> None:
        """Forget every push and every count."""
        self.pushes.forget()
        self.traffic.forget()


class Ports:
    """The ports of one folder's stand-ins, the same from start to start while they are free."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, int] = json.loads(path.read_text()) if path.is_file() else {}
        self._held: list[socket.socket] = []

    def choose(self, name: str) -> int:
        """Return a port to serve `name` at; it is held until `keep`."""
        for port in (self._known.get(name, 0), 0):
            held = socket.socket()
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                held.bind((HOST, port))
            except OSError:
                held.close()
                continue
            self._held.append(held)
            self._known[name] = int(held.getsockname()[1])
            break
        return self._known[name]

    def settle(self, name: str) -> int:
        """Choose one port and keep it at once."""
        port = self.choose(name)
        self.keep()
        return port

    def keep(self) -> None:
        """Write the chosen ports down and let go of them."""
        write_private(self._path, json.dumps(self._known).encode())
        for held in self._held:
            held.close()
        self._held.clear()
