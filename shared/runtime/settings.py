"""What a service is told by its environment: read once, checked at once, passed down from there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class BadSettings(Exception):
    """The environment lacks something or holds nonsense: the message names the variables."""


class RuntimeSettings(BaseModel):
    """Addresses and limits of one service. Variables are the field names in capitals; those ending in the service's
    name are written with it, such as PG_DSN_INTAKE."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    service: str
    kafka_bootstrap: str
    pg_dsn: str
    keyring_dsn: str
    keyring_master_key_file: Path
    oidc_issuer: str
    topic_prefix: str = "complaints"
    host: str = "127.0.0.1"
    port: int
    pool_size: int = Field(default=12, ge=2)
    batch: int = Field(default=500, ge=1)
    most_parked: int = Field(default=1000, ge=1)
    otel_exporter_otlp_endpoint: str | None = None

    @classmethod
    def of(cls, service: str, environ: Mapping[str, str]) -> Self:
        """The service's settings from the environment. Raises BadSettings."""
        own = ("pg_dsn", "keyring_dsn")
        said: dict[str, str] = {}
        for field in cls.model_fields:
            name = f"{field}_{service}" if field in own else field
            if value := environ.get(name.upper()):
                said[field] = value
        if url := environ.get(f"{service.upper()}_URL"):
            said.setdefault("port", url.rpartition(":")[2].rstrip("/"))
        try:
            return cls.model_validate({**said, "service": service})
        except ValidationError as error:
            raise BadSettings(_complaint(service, own, error)) from None


def _complaint(service: str, own: tuple[str, ...], error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        field = str(fault["loc"][0])
        name = f"{field}_{service}" if field in own else field
        lines.append(f"{name.upper()}: {fault['msg']}")
    return "The environment is not complete: " + "; ".join(lines) + ". `redress up` writes it to .run/env."
