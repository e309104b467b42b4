"""Calls an application in this process, without a socket, the way a client over the network would see it."""

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
from starlette.types import ASGIApp


class Caller:
    """A client that speaks from the given address."""

    def __init__(self, app: ASGIApp, host: str = "192.0.2.7") -> None:
        self.app = app
        self.host = host

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._request(method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)

    def post_chunks(self, path: str, pieces: Iterable[bytes], media: str) -> httpx.Response:
        async def stream() -> Any:
            for piece in pieces:
                yield piece

        return self.post(path, content=stream(), headers={"Content-Type": media})

    async def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(self.host, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **more)
