"""What is wrong with a port that does not answer CONNECT: found out by a second connection to it, closed at once."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

from zkbridge.config.models import Mqtt as Settings
from zkbridge.mqtt.reasons import EXPECTS_PLAIN, EXPECTS_TLS, SILENT

#: How long each step of the second connection may take (seconds).
PATIENCE_S = 2.0
#: How long a refused client certificate may be on its way (seconds).
ALERT_S = 0.5
#: How long a finding is used again while the broker stays away (seconds).
GOOD_FOR_S = 300.0
#: CONNECT of MQTT 3.1.1 with an empty client id and clean session (section 3.1); a broker answers with CONNACK, 0x20.
_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
_CONNACK = 0x20
_WANTS_CERTIFICATE = (
    "CERTIFICATE_REQUIRED",
    "HANDSHAKE_FAILURE",
    "BAD_CERTIFICATE",
    "UNKNOWN_CA",
    "CERTIFICATE_EXPIRED",
)


def tls_context(settings: Settings) -> ssl.SSLContext:
    """The settings below `mqtt.tls` for the ssl module. Raises OSError for a file that is missing or no certificate."""
    tls = settings.tls
    context = ssl.create_default_context(cafile=str(tls.ca_file) if tls and tls.ca_file else None)
    if tls and tls.cert_file:
        context.load_cert_chain(str(tls.cert_file), str(tls.key_file) if tls.key_file else None)
    return context


class Diagnosis:
    """Diagnoses one broker.

    A finding is remembered for a while, so that a broker that stays away is not asked twice.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._found: dict[str, tuple[float, str]] = {}

    def of_silence(self) -> str:
        """Why a connection ended before CONNACK."""
        return self.once("silence", lambda: _of_silence(self._settings))

    def of_handshake(self) -> str | None:
        """Why the TLS handshake fails, or the broker refuses our certificate; None if nothing is wrong."""
        return None if self._settings.tls is None else _of_tls(self._settings)

    def of_error(self, error: Exception) -> str:
        """Why a connection could not be made."""
        words = getattr(error, "strerror", None) or str(error)
        return self.once(f"{type(error).__name__} {words}", lambda: _of_error(self._settings, error) or words)

    def once(self, key: str, find: Callable[[], str]) -> str:
        """The finding under this key, from `find` where there is no recent one."""
        found = self._found.get(key)
        if found is None or self._clock() > found[0] + GOOD_FOR_S:
            found = self._found[key] = (self._clock(), find())
        return found[1]


def _of_silence(settings: Settings) -> str:
    if settings.tls is None:
        return EXPECTS_TLS if _speaks_tls(settings) else SILENT
    return _of_tls(settings) or SILENT


def _of_tls(settings: Settings) -> str | None:
    """By TLS 1.3 a missing client certificate is refused only after the handshake, when something is read."""
    try:
        with _connection(settings) as plain, _wrapped(tls_context(settings), plain, settings) as secured:
            secured.settimeout(ALERT_S)  # before anything is written: a reset would take the alert away
            with suppress(TimeoutError):
                secured.recv(1)
    except OSError as error:
        return _of_error(settings, error)
    return None


def _of_error(settings: Settings, error: Exception) -> str | None:
    """What an error of the socket or of TLS means; None if its own text is enough."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not accepted: {error.verify_message} "
            f"(is it for {settings.host!r}, and of the authority in mqtt.tls.ca_file?)"
        )
    if isinstance(error, (ConnectionRefusedError, FileNotFoundError, socket.gaierror)) or settings.tls is None:
        return None
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if any(word in reason for word in _WANTS_CERTIFICATE):
        own = "does not accept the bridge's" if settings.tls.cert_file else "wants a client"
        return f"it {own} certificate (mqtt.tls.cert_file, key_file): {reason}"
    if _speaks_plain(settings):
        return EXPECTS_PLAIN
    return f"TLS failed: {reason}" if reason else None


def _speaks_tls(settings: Settings) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is said on this connection
    try:
        with _connection(settings) as plain, _wrapped(context, plain, settings):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


def _speaks_plain(settings: Settings) -> bool:
    try:
        with _connection(settings) as plain:
            plain.sendall(_CONNECT)
            return plain.recv(1) == bytes([_CONNACK])
    except OSError:
        return False


def _connection(settings: Settings) -> socket.socket:
    return socket.create_connection((settings.host, settings.port), PATIENCE_S)


def _wrapped(context: ssl.SSLContext, plain: socket.socket, settings: Settings) -> ssl.SSLSocket:
    return context.wrap_socket(plain, server_hostname=settings.host)
