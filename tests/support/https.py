"""An HTTPS server on the loopback interface: answers go in by path; its CA and what it was asked come out."""

import http.server
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@dataclass
class HttpsServer:
    """One server; its certificate is for `name` alone."""

    name: str
    port: int
    ca: Path
    answers: dict[str, Answer]
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # path with query, headers
    names: list[str | None] = field(default_factory=list)  # as SNI told them

    def url(self, path: str, host: str | None = None) -> str:
        return f"https://{host or self.name}:{self.port}{path}"


def make_certificates(folder: Path, name: str) -> Path:
    """`ca.crt`, and `tls.crt` with `tls.key` of this CA for this one DNS name; returns the CA's path."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tests", "-keyout", "ca.key",
        "-out", "ca.crt", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "tls.key", "-out", "tls.csr")
    (folder / "names").write_text(f"subjectAltName=DNS:{name}\n")
    openssl(
        "x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
        "-out", "tls.crt", "-extfile", "names",
    )  # fmt: skip
    return folder / "ca.crt"


@contextmanager
def run_https_server(folder: Path, name: str) -> Iterator[HttpsServer]:
    """Until the end of the block."""
    ca = make_certificates(folder, name)
    server = HttpsServer(name, 0, ca, {})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, dict(self.headers)))
            answer = server.answers.get(self.path.partition("?")[0])
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

        def log_message(self, *_: object) -> None:
            """Not to stderr."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.sni_callback = lambda _socket, found, _context: server.names.append(found)
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    # In the request's own thread: a client that goes away in the handshake must not end the server.
    listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    server.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def body(content: bytes, length: int | None = -1, status: int = 200, **headers: str) -> Answer:
    """An answer with this body; `length` is what Content-Length says: the truth, another number, or nothing."""

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        if length is not None:
            request.send_header("Content-Length", str(len(content) if length == -1 else length))
        request.end_headers()
        request.wfile.write(content)

    return answer


def redirect(to: str, status: int = 302) -> Answer:
    return body(b"", status=status, Location=to)
