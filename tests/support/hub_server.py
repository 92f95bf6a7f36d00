"""A WebSub hub on loopback: takes subscriptions, calls back, and pushes with a signature."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from loopback import Network, Reply, Request

Call = Callable[[str, str, Mapping[str, str], bytes | None], tuple[int, bytes]]
"""(method, URL, headers, body) → status and body of the subscriber's answer; blocks."""


@dataclass
class Hub:
    """A hub. `verifies` says when it calls back: before it answers, after, or only when a test says so."""

    network: Network
    call: Call
    verifies: str = "by hand"  # "before", "after"
    status: int = 202
    lease: int = 864_000
    algorithm: str = "sha256"
    needs: tuple[str, ...] = ()  # parameters without which it refuses
    asked: list[dict[str, str]] = field(default_factory=list)
    verified: list[tuple[int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._host = self.network.host("hub.example", self._answer)
        self.url = f"{self._host.url}/hub"
        self._background: set[asyncio.Future[None]] = set()

    def go_down(self) -> None:
        self._host.go_down()

    async def _answer(self, request: Request) -> Reply:
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        if request.path == "/moved":
            return Reply(308, headers={"Location": "/hub"})
        self.asked.append(dict(parse_qsl(request.body.decode())))
        if any(not self.asked[-1].get(name) for name in self.needs):
            return Reply(400)
        if self.verifies == "before":
            await asyncio.to_thread(self.verify)
        if self.verifies == "after":
            task = asyncio.ensure_future(asyncio.to_thread(self.verify))
            self._background.add(task)
        return Reply(self.status)

    def verify(self, challenge: str = "a challenge", **changed: str) -> tuple[int, bytes]:
        """Ask whether the last request was meant."""
        wanted = self.asked[-1]
        query = {
            "hub.mode": wanted["hub.mode"],
            "hub.topic": wanted["hub.topic"],
            "hub.challenge": challenge,
            "hub.lease_seconds": str(self.lease),
        }
        query |= {name.replace("_", ".", 1): value for name, value in changed.items()}
        answer = self.call("GET", f"{wanted['hub.callback']}?{urlencode(query)}", {}, None)
        self.verified.append(answer)
        return answer

    def deny(self, reason: str) -> tuple[int, bytes]:
        return self.verify(hub_mode="denied", hub_reason=reason)

    def push(
        self, body: bytes, content_type: str = "application/rss+xml", *, secret: str | None = None
    ) -> int:
        """Send what a topic published; `secret` other than the subscriber's forges it."""
        wanted = self.asked[-1]
        key = (secret or wanted["hub.secret"]).encode()
        signature = hmac.new(key, body, getattr(hashlib, self.algorithm)).hexdigest()
        headers = {"Content-Type": content_type, "X-Hub-Signature": f"{self.algorithm}={signature}"}
        return self.call("POST", wanted["hub.callback"], headers, body)[0]
