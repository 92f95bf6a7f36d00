"""Unpacks what servers send, in pieces of bounded size, and knows whether the end was seen.

aiohttp unpacks too, but takes half a gzip for a whole one, and half a feed looks like one whose other
half was deleted.
"""

import re
import zlib
from collections.abc import Iterator
from typing import Protocol

import brotli

ACCEPT_ENCODING = "gzip, br"
PIECE = 256 * 1024  # bytes; brotli rounds down to its own block size
MAX_MEMBERS = 16  # a gzip of many tiny ones costs a copy of the rest for each
_KNOWN = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"}


class Unpackable(Exception):
    """An answer that is packed in a way nobody asked for, or broken."""


class Unpacker(Protocol):
    """What turns packed bytes into plain ones. `complete` says whether the packing's end was seen."""

    complete: bool

    def unpack(self, packed: bytes) -> Iterator[bytes]: ...


def unpacker(encoding: str) -> Unpacker:
    """Choose by Content-Encoding; what is no packing (``utf-8``, on misconfigured servers) means nothing."""
    packings = [word for word in re.split(r"[\s,]+", encoding.lower()) if word in _KNOWN]
    match packings:
        case []:
            return Plain()
        case ["gzip" | "x-gzip"]:
            return Gunzip()
        case ["br"]:
            return Unbrotli()
    raise Unpackable(f"the answer is packed as {', '.join(packings)}, which was not asked for")


class Plain:
    """Passes on what is not packed."""

    complete = True

    def unpack(self, packed: bytes) -> Iterator[bytes]:
        """Yield these bytes."""
        yield packed


class Gunzip:
    """Unpacks gzip, one member after the other."""

    def __init__(self) -> None:
        self._members = 0
        self._begin_member()

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise Unpackable("the answer is packed in too many parts")
        self._inflate = zlib.decompressobj(wbits=31)
        self.complete = self._members == 1  # an empty body is whole

    def unpack(self, packed: bytes) -> Iterator[bytes]:
        """Yield what these bytes add, in pieces of at most `PIECE`."""
        while packed:
            if self._inflate.eof:
                self._begin_member()
            try:
                yield self._inflate.decompress(packed, PIECE)
            except zlib.error:
                raise Unpackable("the answer is not valid gzip") from None
            self.complete = self._inflate.eof
            packed = self._inflate.unused_data if self.complete else self._inflate.unconsumed_tail


class Unbrotli:
    """Unpacks brotli."""

    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()
        self.complete = True  # an empty body is whole

    def unpack(self, packed: bytes) -> Iterator[bytes]:
        """Yield what these bytes add, in pieces of about `PIECE`."""
        while packed or not self._decoder.can_accept_more_data():
            if self._decoder.is_finished():
                return  # whatever follows the end is none of it
            try:
                yield self._decoder.process(packed, output_buffer_limit=PIECE)
            except brotli.error:
                raise Unpackable("the answer is not valid brotli") from None
            self.complete = self._decoder.is_finished()
            packed = b""
