"""The accounts that a sender has with the stand-ins: made once and kept in a folder."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from workers.standins.data_folder.key_files import encode_pem, write_private

APNS_TEAM_ID = "NEWSZOPTM1"
APNS_TOPIC = "app.newspoint.demo"
FCM_PROJECT = "newszop-demo"
FCM_EMAIL = f"pusher@{FCM_PROJECT}.iam.gserviceaccount.com"
HMS_APP_ID = "104729131"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Drawn at random once. All subscriptions and access tokens follow from `seed`."""

    apns_key_id: str
    hms_app_secret: str
    expo_access_token: str
    seed: str


class Accounts:
    """The keys and secrets of one folder; those that are missing are made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.secrets = self._load_secrets()

    def _load_secrets(self) -> Secrets:
        path = self.folder / "secrets.json"
        if path.is_file():
            return Secrets(**json.loads(path.read_text()))
        new_secrets = Secrets(
            apns_key_id="".join(secrets.choice(LETTERS) for _ in range(10)),
            hms_app_secret=secrets.token_hex(32),
            expo_access_token=secrets.token_urlsafe(30),
            seed=secrets.token_hex(32),
        )
        write_private(path, json.dumps(asdict(new_secrets)).encode())
        return new_secrets

    @cached_property
    def apns_key(self) -> ec.EllipticCurvePublicKey:
        """The key that verifies a sender's provider tokens."""
        return _load_p256_key(self.folder / "apns_key.p8").public_key()

    @cached_property
    def fcm_key(self) -> rsa.RSAPublicKey:
        """The key that verifies a sender's grants."""
        path = self.folder / "fcm_key.pem"
        if not path.is_file():
            new_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            write_private(path, encode_pem(new_key))
        key = load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)  # noqa: S101  # this file is ours
        return key.public_key()

    def seed(self, purpose: str) -> bytes:
        """Return the secret bytes from which everything of that purpose is derived."""
        return f"{purpose}:{self.secrets.seed}".encode()

    def credentials(self, origins: Mapping[str, str]) -> dict[str, str]:
        """Return every setting that a sender needs, by name, and write the files they name."""
        _load_p256_key(self.folder / "webpush_vapid.pem")
        self._write_service_account(origins["fcm"])
        return {
            "APNS_URL": origins["apns"],
            "APNS_KEY_FILE": str(self.folder / "apns_key.p8"),
            "APNS_KEY_ID": self.secrets.apns_key_id,
            "APNS_TEAM_ID": APNS_TEAM_ID,
            "APNS_TOPIC": APNS_TOPIC,
            "FCM_URL": origins["fcm"],
            "FCM_CREDENTIALS_FILE": str(self.folder / "fcm_service_account.json"),
            "WEBPUSH_VAPID_KEY_FILE": str(self.folder / "webpush_vapid.pem"),
            "WEBPUSH_SUBJECT": "mailto:push@newspoint.example.com",
            "WEBPUSH_ALLOWED_HOSTS": urlsplit(origins["webpush"]).netloc,
            "HMS_URL": origins["hms"],
            "HMS_TOKEN_URL": origins["hms"],
            "HMS_APP_ID": HMS_APP_ID,
            "HMS_APP_SECRET": self.secrets.hms_app_secret,
            "EXPO_URL": origins["expo"],
            "EXPO_ACCESS_TOKEN": self.secrets.expo_access_token,
        }

    def _write_service_account(self, origin: str) -> None:
        _ = self.fcm_key  # makes the file
        account = {
            "type": "service_account",
            "project_id": FCM_PROJECT,
            "private_key_id": secrets.token_hex(20),
            "private_key": (self.folder / "fcm_key.pem").read_text(),
            "client_email": FCM_EMAIL,
            "client_id": "104729131000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": f"{origin}/token",
            "universe_domain": "googleapis.com",
        }
        write_private(
            self.folder / "fcm_service_account.json", json.dumps(account, indent=2).encode()
        )


def _load_p256_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key of a file; a file that does not exist is made."""
    if not path.is_file():
        write_private(path, encode_pem(ec.generate_private_key(ec.SECP256R1())))
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101  # this file is ours
    return key
