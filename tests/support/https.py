"""Runs an HTTPS server on the loopback interface, whose answers a test sets by path."""

import http.server
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@dataclass(frozen=True, slots=True)
class Post:
    """A POST request that the server has received."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpsServer:
    """A running server. Its certificate is valid for `name` only."""

    name: str
    port: int
    ca: Path
    answers: dict[str, Answer]
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # path with query, headers
    posts: list[Post] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)  # as clients sent them (SNI)

    def url(self, path: str, host: str | None = None) -> str:
        return f"https://{host or self.name}:{self.port}{path}"


def make_certificates(folder: Path, name: str) -> Path:
    """Creates `ca.crt`, and `tls.crt` with `tls.key` signed by it for one DNS name or address.

    Returns the path of the CA.
    """

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=tests",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "tls.key", "-out", "tls.csr")
    kind = "IP" if name.replace(".", "").isdigit() else "DNS"
    (folder / "names").write_text(f"subjectAltName={kind}:{name}\n")
    openssl(
        "x509",
        "-req",
        "-in",
        "tls.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-out",
        "tls.crt",
        "-extfile",
        "names",
    )
    return folder / "ca.crt"


@contextmanager
def run_https_server(folder: Path, name: str) -> Iterator[HttpsServer]:
    """Runs the server until the end of the block."""
    ca = make_certificates(folder, name)
    server = HttpsServer(name, 0, ca, {})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append((self.path, dict(self.headers)))
            self._answer()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.posts.append(Post(self.path, dict(self.headers), body))
            self._answer()

        def _answer(self) -> None:
            answer = server.answers.get(self.path.partition("?")[0])
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

        def log_message(self, *_: object) -> None:
            """Keeps requests out of standard error."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.sni_callback = lambda _socket, name, _context: server.server_names.append(name)
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    # The handshake runs in the request's own thread, so that a client that disconnects in it does not end the server.
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
    """Builds an answer with this body.

    `length` is the value of Content-Length: -1 for the real length, None for no header.
    """

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
