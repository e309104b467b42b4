"""A TCP proxy that misbehaves on demand, for faults between a client and PostgreSQL or Kafka."""

import asyncio
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit, urlunsplit

Trigger = Callable[[bytes], bool]


def commits(sent: bytes) -> bool:
    """Whether a client of PostgreSQL has just asked to commit."""
    return b"COMMIT" in sent


def produces(sent: bytes) -> bool:
    """Whether a client of Kafka has just sent records: api key 0 behind the length of the request."""
    return sent[4:6] == b"\0\0" and len(sent) > 100


class Proxy:
    """Forwards to the target until it is told to refuse, to stall, to cut, or to swallow an answer and cut."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._trigger: Trigger | None = None
        self.swallowed = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        self._flows.set()
        self.cut()
        await self._server.wait_closed()

    def refuse(self) -> None:
        """Cuts everything and ends every new connection at once."""
        self._refuses = True
        self.cut()

    def heal(self) -> None:
        """Forwards again."""
        self._refuses, self._trigger = False, None
        self._flows.set()

    def stall(self) -> None:
        """Holds back whatever either side says: a network that has lost the way."""
        self._flows.clear()

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def swallow_answer(self, trigger: Trigger) -> None:
        """The next time that a client sends this: passes it on, keeps back the answer and cuts the connection."""
        self.swallowed.clear()
        self._trigger = trigger

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            there, away = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        mute = asyncio.Event()
        self._writers |= {writer, away}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forth(reader, away, mute))
                both.create_task(self._back(there, writer, mute))
        except* OSError:
            pass
        finally:
            self._writers -= {writer, away}
            for one in (writer, away):
                one.transport.abort()

    async def _forth(
        self, reader: asyncio.StreamReader, away: asyncio.StreamWriter, mute: asyncio.Event
    ) -> None:
        while sent := await reader.read(1 << 20):
            await self._flows.wait()
            if self._trigger and self._trigger(sent):
                self._trigger = None
                mute.set()
            away.write(sent)
            await away.drain()
        raise ConnectionResetError

    async def _back(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, mute: asyncio.Event
    ) -> None:
        while said := await there.read(1 << 20):
            await self._flows.wait()
            if mute.is_set():
                self.swallowed.set()
                raise ConnectionResetError
            writer.write(self.rewritten(said))
            await writer.drain()
        raise ConnectionResetError

    def rewritten(self, said: bytes) -> bytes:
        return said


class KafkaProxy(Proxy):
    """Also tells clients that the broker's address is the proxy's, or they would go round it."""

    def rewritten(self, said: bytes) -> bytes:
        place = self._host.encode()
        return said.replace(place + self._port.to_bytes(4, "big"), place + self.port.to_bytes(4, "big"))


def before_postgres(dsn: str) -> tuple[Proxy, Callable[[], str]]:
    """A proxy before the server of the address, and what the address is through it once it runs."""
    parts = urlsplit(dsn)
    proxy = Proxy(parts.hostname or "127.0.0.1", parts.port or 5432)

    def through() -> str:
        user = parts.netloc.rpartition("@")[0]
        return urlunsplit((parts.scheme, f"{user}@127.0.0.1:{proxy.port}", parts.path, parts.query, ""))

    return proxy, through


def before_kafka(bootstrap: str) -> KafkaProxy:
    """A proxy before the broker; its clients are given 127.0.0.1 and the proxy's port."""
    host, _, port = bootstrap.rpartition(":")
    return KafkaProxy(host, int(port))
