"""Probes tell the truth, and the state is for this machine only."""

import pytest
from prometheus_client import CollectorRegistry, Gauge

from shared.runtime.http.app import make_app
from shared.runtime.http.health import health_routes, is_loopback
from tests.unit.runtime.http_client import Caller


class Service:
    """What a service would say of itself."""

    alive = True
    reasons: tuple[str, ...] = ()
    broken = False

    async def ready(self) -> list[str]:
        if self.broken:
            raise ConnectionError("postgresql://user:secret@host")
        return list(self.reasons)

    async def state(self) -> dict[str, object]:
        return {"version": "1", "outbox": {"depth": 3}}

    def caller(self, host: str = "127.0.0.1") -> Caller:
        registry = CollectorRegistry()
        Gauge("redress_test_depth", "Test.", registry=registry).set(3)
        app = make_app("test", "1")
        app.include_router(health_routes(lambda: self.alive, self.ready, self.state, registry))
        return Caller(app, host)


def test_a_service_that_waits_says_for_what() -> None:
    service = Service()
    assert service.caller().get("/readyz").json() == {"status": "ready"}
    service.reasons = ("waits for Kafka at 127.0.0.1:9092", "2 partitions not claimed")
    answer = service.caller().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == list(service.reasons)
    assert answer.headers["retry-after"] == "1"


def test_a_service_that_cannot_even_ask_is_not_ready_and_quotes_nothing() -> None:
    service = Service()
    service.broken = True
    answer = service.caller().get("/readyz")
    assert answer.status_code == 503
    assert "ConnectionError" in answer.text
    assert "secret" not in answer.text


def test_a_dead_process_says_so() -> None:
    service = Service()
    assert service.caller().get("/healthz").json() == {"status": "ok"}
    service.alive = False
    assert service.caller().get("/healthz").status_code == 503


def test_metrics_are_those_of_the_registry() -> None:
    assert "redress_test_depth 3.0" in Service().caller().get("/metrics").text


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("192.0.2.7", {}, 403),
        ("unknown", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 403),
        ("127.0.0.1", {"Forwarded": "for=192.0.2.7"}, 403),
    ],
)
def test_the_state_is_shown_to_this_machine_only(host: str, headers: dict[str, str], status: int) -> None:
    answer = Service().caller(host).get("/v1/operations/state", headers=headers)
    assert answer.status_code == status
    assert ("depth" in answer.text) == (status == 200)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.example", ""])
def test_other_addresses_are_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


def test_probes_are_no_part_of_the_interface_description() -> None:
    assert Service().caller().get("/openapi.json").json()["paths"] == {}
