"""Keys made for a test: what a configured provider finds in its environment."""

import json
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PROJECT = "newszop-test"
TEAM_ID, KEY_ID, TOPIC = "TEAM123456", "KEY1234567", "org.example.news"


def pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def a_p256_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def an_rsa_key() -> rsa.RSAPrivateKey:
    """Made once: it takes a while, and no test minds."""
    return rsa.generate_private_key(65537, 2048)


def a_service_account(**given: str) -> dict[str, str]:
    return {
        "project_id": PROJECT,
        "client_email": f"push@{PROJECT}.iam.gserviceaccount.com",
        "private_key": pem(an_rsa_key()).decode(),
        "private_key_id": "key-1",
        "token_uri": "https://oauth2.example/token",
    } | given


def provider_environment(folder: Path) -> dict[str, str]:
    """Write key files into the folder; return the settings of all providers."""
    (folder / "apns.p8").write_bytes(pem(a_p256_key()))
    (folder / "vapid.pem").write_bytes(pem(a_p256_key()))
    (folder / "fcm.json").write_text(json.dumps(a_service_account()))
    return {
        "APNS_KEY_FILE": str(folder / "apns.p8"),
        "APNS_KEY_ID": KEY_ID,
        "APNS_TEAM_ID": TEAM_ID,
        "APNS_TOPIC": TOPIC,
        "FCM_CREDENTIALS_FILE": str(folder / "fcm.json"),
        "WEBPUSH_VAPID_KEY_FILE": str(folder / "vapid.pem"),
        "WEBPUSH_SUBJECT": "mailto:push@news.example",
        "HMS_APP_ID": "100000001",
        "HMS_APP_SECRET": "a secret that only tests know",
        "EXPO_ACCESS_TOKEN": "a token that only tests know",
    }
