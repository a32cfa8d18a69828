"""All stand-ins together: each at its own origin, all with one record of received pushes."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.standins.data_folder import accounts, certificates
from workers.standins.data_folder.accounts import Accounts
from workers.standins.data_folder.ports import Ports
from workers.standins.misbehaviour.settings import MisbehaviourSettings
from workers.standins.misbehaviour.weather_request import read_misbehaviour
from workers.standins.providers.apns import Apns, ProviderTokens
from workers.standins.providers.expo import Expo
from workers.standins.providers.fcm import Fcm
from workers.standins.providers.grants import AccessTokens, JwtGrants
from workers.standins.providers.hms import Hms
from workers.standins.providers.standin import Standin
from workers.standins.providers.webpush import WebPush
from workers.standins.received_pushes import ReceivedPushes
from workers.standins.servers.steady_server import HOST
from workers.standins.servers.switching_server import SwitchingServer
from workers.standins.traffic import Traffic


class AllStandins:
    """Builds the stand-ins from the accounts of one folder, serves them, makes them misbehave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.accounts = Accounts(folder)
        certificates.prepare(folder)
        self.pushes, self.misbehaviour = ReceivedPushes(), MisbehaviourSettings()
        self.traffic = Traffic()
        secrets = self.accounts.secrets
        self._apple_tokens = ProviderTokens(
            self.accounts.apns_key, secrets.apns_key_id, accounts.APNS_TEAM_ID
        )
        self.tokens = {
            "fcm": AccessTokens(self.accounts.seed("fcm"), "ya29."),
            "hms": AccessTokens(self.accounts.seed("hms"), "DQ"),
        }
        self._grants = JwtGrants(self.accounts.fcm_key, accounts.FCM_EMAIL, self.tokens["fcm"])
        shared = (self.pushes, self.misbehaviour)
        self.webpush = WebPush(*shared, self.accounts.seed("webpush"))
        standins: list[Standin] = [
            Apns(*shared, self._apple_tokens, accounts.APNS_TOPIC),
            Fcm(*shared, accounts.FCM_PROJECT, self._grants, self.tokens["fcm"]),
            self.webpush,
            Hms(*shared, accounts.HMS_APP_ID, secrets.hms_app_secret, self.tokens["hms"]),
            Expo(*shared, secrets.expo_access_token, self.accounts.seed("expo")),
        ]
        self.by_name: Mapping[str, Standin] = {standin.name: standin for standin in standins}
        self._servers: dict[str, SwitchingServer] = {}
        self._change_lock = asyncio.Lock()

    @property
    def origins(self) -> dict[str, str]:
        """Return the origin of each stand-in, by name."""
        return {name: f"https://{HOST}:{server.port}" for name, server in self._servers.items()}

    @property
    def ca_file(self) -> Path:
        """Return the certificate of the authority that signed the stand-ins' own."""
        return self.folder / "ca.pem"

    async def open(self) -> None:
        """Serve every stand-in, at the port that it had last time if that is free."""
        ports = Ports(self.folder / "ports.json")
        for name, standin in self.by_name.items():
            self._servers[name] = SwitchingServer(
                standin, ports.choose(name), self.folder, self.misbehaviour, self.traffic
            )
        ports.save()
        self.webpush.origin = self.origins["webpush"]
        self._grants.token_uri = f"{self.origins['fcm']}/token"
        await asyncio.gather(*(server.open() for server in self._servers.values()))

    async def close(self) -> None:
        """Stop serving."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    async def put_weather(self, body: Mapping[str, Any]) -> None:
        """Add misbehaviour; it is in force on return. Raises `InvalidWeather`."""
        async with self._change_lock:
            self.misbehaviour.put(read_misbehaviour(body))
            await self._switch_servers()

    async def clear_weather(self) -> None:
        """Let every stand-in behave, and forget which provider tokens Apple's has seen."""
        async with self._change_lock:
            self.misbehaviour.clear()
            self._apple_tokens.forget()
            await self._switch_servers()

    def deafen(self) -> None:
        """Send nothing more on present connections, as far as they are such as can break."""
        for server in self._servers.values():
            server.deafen()

    async def _switch_servers(self) -> None:
        await asyncio.gather(*(server.switch() for server in self._servers.values()))

    def forget_pushes(self) -> None:
        """Forget every push and every count."""
        self.pushes.forget()
        self.traffic.forget()
