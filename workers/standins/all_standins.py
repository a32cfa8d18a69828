"""All stand-ins together, each at an origin of its own, over the same store and the same sky."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.standins import accounts, certificates
from workers.standins.accounts import Accounts
from workers.standins.ports import Ports
from workers.standins.providers.apns import Apns, ProviderTokens
from workers.standins.providers.expo import Expo
from workers.standins.providers.fcm import Fcm
from workers.standins.providers.grants import AccessTokens, JwtGrants
from workers.standins.providers.hms import Hms
from workers.standins.providers.standin import Standin
from workers.standins.providers.webpush import WebPush
from workers.standins.received import Pushes
from workers.standins.servers.door import Door
from workers.standins.servers.steady_server import HOST
from workers.standins.traffic import Traffic
from workers.standins.weather import Sky
from workers.standins.weather_request import read_front


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
        self.tokens = {
            "fcm": AccessTokens(self.accounts.seed("fcm"), "ya29."),
            "hms": AccessTokens(self.accounts.seed("hms"), "DQ"),
        }
        self._grants = JwtGrants(self.accounts.fcm_key, accounts.FCM_EMAIL, self.tokens["fcm"])
        self.webpush = WebPush(self.pushes, self.sky, self.accounts.seed("webpush"))
        both = (self.pushes, self.sky)
        made: list[Standin] = [
            Apns(*both, self._apple_tokens, accounts.APNS_TOPIC),
            Fcm(*both, accounts.FCM_PROJECT, self._grants, self.tokens["fcm"]),
            self.webpush,
            Hms(*both, accounts.HMS_APP_ID, owned.hms_app_secret, self.tokens["hms"]),
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
            self.sky.put(read_front(asked))
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
