"""The self-signed certificate of the TLS port, made once by the openssl program."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

from reference_server.made_once import cache_directory, made_once

DAYS = 3650
KEY, CERTIFICATE = "key.pem", "certificate.pem"
OPENSSL_SECONDS = 10.0


def make_certificate(directory: Path) -> None:
    """Writes a key and a certificate for localhost.

    Raises: OSError when there is no openssl program, or it fails.
    """
    directory.mkdir(mode=0o700)
    command = ["openssl", "req", "-x509", "-nodes", "-days", str(DAYS), "-subj", "/CN=localhost"]
    # A handshake with P-256 costs the server a small part of one with RSA.
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"]
    command += ["-keyout", str(directory / KEY), "-out", str(directory / CERTIFICATE)]
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=OPENSSL_SECONDS,
            check=True,
        )
    except FileNotFoundError as error:
        raise OSError("TLS needs the openssl program, once, to make a certificate") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = error.stderr or str(error)
        raise OSError(f"openssl made no certificate: {said!r}") from error


def tls_context(protocol: str) -> ssl.SSLContext:
    """What a TLS connection is accepted with; `protocol` as ALPN names it: http/1.1 or h2.

    It is made before the workers are forked, so that they have the same key for session tickets:
    a client resumes its session whichever worker it reaches.

    Raises: OSError when there is no certificate and none can be made.
    """
    directory = made_once(cache_directory() / "certificate", make_certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / CERTIFICATE, directory / KEY)
    context.set_alpn_protocols([protocol])
    return context
