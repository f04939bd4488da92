"""Sends one event to one receiver over HTTPS.

All addresses of the receiver's host are checked, and the request goes to the first one that answers ("pinned"). The
host name is used for SNI and the certificate. A redirect is a failure: the Project's admin has not checked its target.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pgimport import __version__
from pgimport.model.project_spec import AllowedSources
from pgimport.model.reasons import Failure
from pgimport.model.source_addresses import Resolve, decide_address
from pgimport.model.webhooks import DeliveryOutcome, WebhookDelivery
from pgimport.webhooks.signature import sign

PATIENCE = 15.0  # seconds for the whole request, after the name was resolved
GONE = 410  # the receiver wants no more events
DEFAULT_PORT = 443
MAX_ADDRESSES = 4  # of a host that are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where an event goes, and the key that signs it."""

    url: str = field(repr=False)  # path and query may contain a token
    key: bytes = field(repr=False)
    ca: str | None = None  # PEM; None: the public CAs
    sources: AllowedSources = field(default_factory=AllowedSources)


def resolve_host(host: str, port: int) -> list[str]:
    """Returns every address of a name. Raises OSError."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for _, _, _, _, address in addresses))


def send_event(
    receiver: Receiver,
    delivery: WebhookDelivery,
    body: bytes,
    at: int,
    resolve: Resolve = resolve_host,
    patience: float = PATIENCE,
) -> DeliveryOutcome:
    """Sends one request, and returns what became of it. Any status 2xx is a success."""
    parts = urlsplit(receiver.url)
    host = parts.hostname or ""
    try:
        port = parts.port or DEFAULT_PORT
        addresses = resolve(host, port)
    except (OSError, UnicodeError):
        return DeliveryOutcome(f"the host name {host} cannot be resolved")
    except ValueError:
        return DeliveryOutcome("the port in the URL of the webhook is not a number from 1 to 65535")
    address = decide_address(host, addresses, receiver.sources, role="receiver")
    if isinstance(address, Failure):
        return DeliveryOutcome(address.message)
    try:
        context = _build_tls_context(receiver.ca)
    except (ssl.SSLError, ValueError):
        return DeliveryOutcome("the Secret of caSecretRef does not hold a PEM certificate")
    connection = _PinnedConnection(host.rstrip("."), port, addresses, context, patience)  # as curl and browsers do
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "User-Agent": f"pgimport/{__version__}",
        "Content-Type": "application/json",
        "X-CapyDB-Event": delivery.event.value,
        "X-CapyDB-Delivery": delivery.id,
        "X-CapyDB-Signature": sign(receiver.key, body, at),
    }
    try:
        status = connection.post(target, body, headers)
    except (OSError, http.client.HTTPException) as error:
        return DeliveryOutcome(f"the receiver {host} {_describe(error, connection.late)}")
    except ValueError:  # whoever may write a status could write any ID there
        return DeliveryOutcome("the ID of the delivery cannot be sent in a header", final=True)
    return _judge(host, status)


def _build_tls_context(ca: str | None) -> ssl.SSLContext:
    """Raises SSLError or ValueError if there is no certificate in `ca`."""
    if ca is None:
        return ssl.create_default_context()
    # A file of certificates can have comments in any language, but Python takes ASCII only.
    certificates = ca.encode("ascii", "ignore").decode()
    if not certificates:  # create_default_context would trust the public CAs
        raise ValueError("empty")
    return ssl.create_default_context(cadata=certificates)


def _judge(host: str, status: int) -> DeliveryOutcome:
    if 200 <= status < 300:
        return DeliveryOutcome()
    if 300 <= status < 400:
        return DeliveryOutcome(f"the receiver {host} answered {status}: redirects are not followed")
    return DeliveryOutcome(f"the receiver {host} answered {status}", final=status == GONE)


def _describe(error: OSError | http.client.HTTPException, late: bool) -> str:
    if late or isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "does not speak TLS as it should"
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection"
    if isinstance(error, http.client.HTTPException | ConnectionError):
        return "closed the connection without an answer, or did not answer with HTTP"
    return f"cannot be reached: {error.strerror or type(error).__name__}"


class _PinnedConnection(http.client.HTTPSConnection):
    """Connects to a checked address, and ends a request that takes too long, however slowly bytes arrive."""

    def __init__(
        self, host: str, port: int, addresses: Sequence[str], context: ssl.SSLContext, patience: float
    ) -> None:
        super().__init__(host, port, timeout=patience, context=context)
        self._addresses, self._tls, self._patience = addresses[:MAX_ADDRESSES], context, patience
        self._raw: socket.socket | None = None
        self.late = False

    def connect(self) -> None:
        self._raw = self._open()
        try:
            self.sock = self._tls.wrap_socket(self._raw, server_hostname=self.host, do_handshake_on_connect=False)
            self._raw = self.sock
            if self.late:  # since before there was a socket to shut down
                raise TimeoutError
            self.sock.do_handshake()
        except BaseException:
            self._raw.close()
            raise

    def _open(self) -> socket.socket:
        """Connects to the first address that answers. Each has the same share of the time that is left."""
        end, last = time.monotonic() + self._patience, OSError("no address")
        for number, address in enumerate(self._addresses):
            share = max(end - time.monotonic(), 0.01) / (len(self._addresses) - number)
            try:
                opened = socket.create_connection((address, self.port), share)
            except OSError as error:
                last = error
            else:
                opened.settimeout(self._patience)
                return opened
        raise last

    def post(self, target: str, body: bytes, headers: dict[str, str]) -> int:
        """Sends the request and returns the status of the response. Raises OSError or HTTPException."""
        timer = threading.Timer(self._patience, self._end)
        timer.daemon = True
        timer.start()
        try:
            self.request("POST", target, body, headers)
            return self.getresponse().status
        finally:
            timer.cancel()
            self.close()

    def _end(self) -> None:
        self.late = True
        raw = self._raw
        if raw is not None:
            try:
                # Not SSLSocket.shutdown: it ends TLS first, and what the other thread sends then is not encrypted.
                socket.socket.shutdown(raw, socket.SHUT_RDWR)
            except OSError:  # it was closed meanwhile
                return
