"""The application that the fuzzer attacks."""

from fastapi import FastAPI

from service.app import create_app
from service.settings import Settings

NAMES = ("apns", "fcm", "webpush")
PROVIDERS = {"NEWSZOP_PROVIDERS": ",".join(NAMES)}
"""What the environment has beside the providers' own settings."""


def build_application(database_url: str, redis_url: str) -> FastAPI:
    settings = Settings(
        _env_file=None,
        database_url=database_url,
        redis_url=redis_url,
        secret_key="a secret that only the fuzzer knows",
        public_url="https://news.example",
        providers=NAMES,
        db_pool=4,
    )
    return create_app(settings)
