"""A host full of pictures on loopback, in every mood a server can be in."""

import asyncio
from dataclasses import dataclass, field

from loopback import Network, Reply, Request


@dataclass
class PictureHost:
    """Serves what `put` put there; `moods` are answers by path, `slow` paths never answer."""

    network: Network
    asked: list[str] = field(default_factory=list)
    moods: dict[str, Reply] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._host = self.network.host("pictures.example", self._answer)

    def url(self, name: str) -> str:
        return f"{self._host.url}/{name}"

    def put(self, name: str, body: bytes, content_type: str = "application/octet-stream") -> str:
        """Serve a picture and return its URL."""
        self.moods[f"/{name}"] = Reply(200, body, {"Content-Type": content_type})
        return self.url(name)

    async def _answer(self, request: Request) -> Reply:
        self.asked.append(request.path.removeprefix("/"))
        if request.path in self.slow:
            await asyncio.sleep(60)
        return self.moods.get(request.path, Reply(404, b"nothing here"))
