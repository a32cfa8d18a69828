"""The settings of what is watched: metrics, logs, and signs of life."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from service.logs import LogFormat

LAST_PORT = 65_535


class MonitoringSettings(BaseModel):
    """What Prometheus and people read of the processes."""

    metrics_token: str = Field(
        "", description="What Prometheus sends as a Bearer token to /metrics; open when empty."
    )
    metrics_listen: str = Field(
        "",
        description="host:port at which newszop work and sweep answer /metrics; off when empty. "
        "newszop serve answers it on its own port.",
    )
    canary_minutes: int = Field(
        10, ge=1, description="Minutes without a finished canary alert until that is a warning."
    )
    alive_file: Path | None = Field(
        None, description="A file that workers and the sweep touch while they work; off when empty."
    )
    log_format: LogFormat = Field(
        "text", description="text, or json: one JSON object a line, with the ids."
    )
    log_requests: Literal["off", "failures", "all"] = Field(
        "failures",
        description="Which requests get a line (method, route, status, ms): off, failures or all.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severity that is logged."
    )

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Where workers and beat answer Prometheus; None for nowhere."""
        host, _, port = self.metrics_listen.rpartition(":")
        return (host.strip("[]"), int(port)) if port else None

    @field_validator("alive_file", mode="before")
    @classmethod
    def _no_file_when_empty(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("metrics_listen")
    @classmethod
    def _check_address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value and not (host and port.isdecimal() and 0 < int(port) <= LAST_PORT):
            msg = "give host:port, such as 127.0.0.1:9100"
            raise ValueError(msg)
        return value
