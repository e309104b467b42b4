"""What a stack consists of; a new service is one line in `SERVICES`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Part:
    """A Python process of the stack, with its documented port."""

    name: str
    port: int
    module: str
    kind: Literal["service", "issuer"] = "service"


def _service(name: str, port: int) -> Part:
    return Part(name, port, f"services.{name}")


SERVICES = (
    _service("intake", 8101),
    _service("processing", 8102),
    _service("reporting", 8105),
)
ISSUER = Part("issuer", 8100, "redress.issuer", "issuer")
KAFKA = "kafka"
KAFKA_CONTROLLER = "kafka-controller"
POSTGRES = "postgres"

SERVER_PORTS = {KAFKA: 9092, KAFKA_CONTROLLER: 9093, POSTGRES: 5432}
PART_PORTS = {part.name: part.port for part in (ISSUER, *SERVICES)}
