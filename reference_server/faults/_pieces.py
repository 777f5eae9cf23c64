"""A transport that sends each part of an answer with a system call of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Any, cast


class PiecewiseTransport:
    """Writes at once, part by part, where the transport below may gather what is written.

    `cut` says what the parts are. Everything but writing is left to the transport below.
    """

    __slots__ = ("_behind", "_cut", "_descriptor", "_transport")

    def __init__(
        self, transport: asyncio.Transport, cut: Callable[[bytes], Iterable[bytes]]
    ) -> None:
        self._transport = transport
        self._cut = cut
        self._descriptor: int = transport.get_extra_info("socket").fileno()
        self._behind = False

    def write(self, data: bytes) -> None:
        """Sends the parts, until the client does not take them as fast as they come."""
        for part in self._cut(data):
            if not self._behind:
                part = self._write_now(part)
            if part:
                # From here on the order has to be kept: all goes through the transport below.
                self._behind = True
                self._transport.write(part)

    def _write_now(self, part: bytes) -> bytes:
        """What could not be written."""
        try:
            return part[os.write(self._descriptor, part) :]
        except OSError:
            # The transport below finds out again what is wrong, and deals with it.
            return part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def is_plain(transport: asyncio.BaseTransport) -> bool:
    """Whether bytes may be written beside the transport, which under TLS they may not."""
    return transport.get_extra_info("sslcontext") is None


def piecewise(
    transport: asyncio.BaseTransport, cut: Callable[[bytes], Iterable[bytes]]
) -> asyncio.Transport:
    """The transport, writing part by part unless it encrypts."""
    below = cast("asyncio.Transport", transport)
    if not is_plain(transport):
        return below
    return cast("asyncio.Transport", PiecewiseTransport(below, cut))
