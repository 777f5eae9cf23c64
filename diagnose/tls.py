"""TLS as a load generator speaks it: any certificate is good."""

from __future__ import annotations

import ssl
from collections.abc import Sequence


def client_context(protocols: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
    """A context that trusts every server: entries under test sign their certificates themselves.

    protocols: what it offers by ALPN.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    return context
