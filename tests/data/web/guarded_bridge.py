"""Runs `fedibridge` with a guard that forbids every outgoing connection and writes down who tried.

Usage: guarded_bridge.py LOG ARGUMENTS…
"""

import socket
import sys

OUTGOING = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")


def _guard(log: str) -> None:
    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event not in OUTGOING or getattr(arguments[0], "family", None) == socket.AF_UNIX:
            return
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{event} {arguments[1:]!r}\n")
        raise PermissionError(f"the web process makes no outgoing request: {event}")

    sys.addaudithook(watch)  # the server's own processes are forked and keep it


if __name__ == "__main__":
    _guard(sys.argv.pop(1))
    from bridge.cli import main

    main()
