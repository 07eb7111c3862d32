"""Certificates for a broker on the loopback interface, good for a day."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files: one authority, a server of its for localhost and 127.0.0.1, and a client of its."""

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path


def make_certificates(folder: Path) -> Certificates:
    """Write an authority and what it signed to *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(
        ca=folder / "ca.crt",
        server_cert=folder / "server.crt",
        server_key=folder / "server.key",
        client_cert=folder / "client.crt",
        client_key=folder / "client.key",
    )
    ca_key = folder / "ca.key"
    _openssl("req", "-x509", *_new_key(ca_key), "-subj", "/CN=zkbridge test authority", "-days", 1, "-out", made.ca)
    sign_server(made)
    _sign(made, made.client_cert, made.client_key, "zkbridge", days=1)
    return made


def sign_server(made: Certificates, *, days: int = 1) -> None:
    """Write a new certificate of the server, with a new key; one of no days has expired."""
    _sign(made, made.server_cert, made.server_key, "localhost", days=days)


def _sign(made: Certificates, cert: Path, key: Path, name: str, *, days: int) -> None:
    request = cert.with_suffix(".csr")
    extensions = cert.with_suffix(".ext")
    extensions.write_text(
        dedent("""\
            subjectAltName = DNS:localhost, IP:127.0.0.1
            basicConstraints = CA:FALSE
        """)
    )
    _openssl("req", *_new_key(key), "-subj", f"/CN={name}", "-out", request)
    signed_by = ("-CA", made.ca, "-CAkey", made.ca.with_suffix(".key"), "-CAcreateserial")
    _openssl("x509", "-req", "-in", request, *signed_by, "-days", days, "-extfile", extensions, "-out", cert)


def _new_key(path: Path) -> tuple[object, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path)


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
