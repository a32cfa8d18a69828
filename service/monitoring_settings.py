"""The settings of what is watched: metrics, traces, logs, and signs of life."""

from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from pydantic import BaseModel, Field, field_validator

from service.logs import LogFormat

LAST_PORT = 65_535
TracesSampler = Literal[
    "parentbased_traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "traceidratio",
    "always_on",
    "always_off",
]


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
    sender_folder: Path | None = Field(
        None,
        description="A folder of this host that survives a restart of the workers, for this "
        "installation only: each sending process keeps a locked file there, so when it dies its "
        "batches go on at once, not after NEWSZOP_LEASE_S; off when empty.",
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

    otlp_endpoint: str = Field(
        "",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Where traces go, as http://collector:4318 (OTLP over HTTP); off when empty.",
    )
    otlp_headers: str = Field(
        "",
        validation_alias="OTEL_EXPORTER_OTLP_HEADERS",
        description="Headers for the collector, as name=value,name=value.",
    )
    traces_sampler: TracesSampler = Field(
        "parentbased_traceidratio",
        validation_alias="OTEL_TRACES_SAMPLER",
        description="Which traces are kept: by share, always_on or always_off; a trace is kept as "
        "a whole.",
    )
    traces_ratio: float = Field(
        0.1,
        ge=0,
        le=1,
        validation_alias="OTEL_TRACES_SAMPLER_ARG",
        description="The share of traces that is kept: one in ten; 1 keeps every alert's.",
    )

    @property
    def otlp_header_values(self) -> dict[str, str]:
        """The headers for the collector, by name."""
        pairs = (part.partition("=") for part in self.otlp_headers.split(",") if "=" in part)
        return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Where workers and beat answer Prometheus; None for nowhere."""
        host, _, port = self.metrics_listen.rpartition(":")
        return (host.strip("[]"), int(port)) if port else None

    @field_validator("alive_file", "sender_folder", mode="before")
    @classmethod
    def _no_file_when_empty(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("otlp_endpoint")
    @classmethod
    def _check_collector(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            msg = "must begin with http:// or https://"
            raise ValueError(msg)
        return value.rstrip("/")

    @field_validator("metrics_listen")
    @classmethod
    def _check_address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value and not (host and port.isdecimal() and 0 < int(port) <= LAST_PORT):
            msg = "give host:port, such as 127.0.0.1:9100"
            raise ValueError(msg)
        return value
