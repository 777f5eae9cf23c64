"""TLS towards a server whose certificate nobody signed."""

from __future__ import annotations

import ssl

from diagnose.tls import client_context


def hello(context: ssl.SSLContext) -> bytes:
    """What a client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a server")


def test_no_certificate_is_refused() -> None:
    context = client_context()
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


def test_http_1_1_is_what_it_offers() -> None:
    """Source: RFC 7301, 3.1: each name with its length before it, and the length of all."""
    said = hello(client_context())
    assert b"\x00\x09\x08http/1.1" in said
    assert b"\x02h2" not in said


def test_other_protocols_in_their_order() -> None:
    assert b"\x00\x0c\x02h2\x08http/1.1" in hello(client_context(("h2", "http/1.1")))


def test_every_context_is_its_own() -> None:
    assert client_context() is not client_context()
