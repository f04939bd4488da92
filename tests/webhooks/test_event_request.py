"""Requests to receivers, over real TLS to a server of the test."""

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.https import HttpsServer, body, redirect, run_https_server
from tests.support.samples import NOW

from pgimport.model.project_spec import AllowedSources
from pgimport.model.webhooks import DeliveryOutcome, WebhookDelivery, WebhookEvent
from pgimport.webhooks.event_request import Receiver, send_event
from pgimport.webhooks.signature import sign

KEY, NAME = b"0123456789abcdef", "hooks.example.com"
LOOPBACK = AllowedSources(allowed_cidrs=["127.0.0.0/8"])
DELIVERY = WebhookDelivery(id="abc", webhook="ci", event=WebhookEvent.JOB_COMPLETED, occurred_at=NOW)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with run_https_server(tmp_path_factory.mktemp("receiver"), NAME) as running:
        yield running


def send(
    server: HttpsServer,
    path: str,
    sources: AllowedSources = LOOPBACK,
    url: str | None = None,
    ca: str | None = None,
    patience: float = 30.0,
    addresses: tuple[str, ...] = ("127.0.0.1",),
) -> DeliveryOutcome:
    receiver = Receiver(
        url=url or server.url(path), key=KEY, ca=server.ca.read_text() if ca is None else ca, sources=sources
    )
    return send_event(receiver, DELIVERY, b'{"job":{}}', 1700000000, lambda host, port: list(addresses), patience)


def test_an_event_arrives_with_its_headers_and_signature(server: HttpsServer) -> None:
    server.answers["/ok"] = body(b"thanks", status=202)
    assert send(server, "/ok?token=1") == DeliveryOutcome()
    post = server.posts[-1]
    assert (post.path, post.body) == ("/ok?token=1", b'{"job":{}}')
    assert post.headers["X-CapyDB-Event"] == "job.completed"
    assert post.headers["X-CapyDB-Delivery"] == "abc"
    assert post.headers["X-CapyDB-Signature"] == sign(KEY, post.body, 1700000000)
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["Host"] == f"{NAME}:{server.port}"
    assert server.server_names[-1] == NAME


@pytest.mark.parametrize(
    ("status", "final"), [(500, False), (503, False), (404, False), (401, False), (429, False), (410, True)]
)
def test_an_error_of_the_receiver_is_shown(server: HttpsServer, status: int, final: bool) -> None:
    server.answers["/error"] = body(b"secret text", status=status)
    assert send(server, "/error") == DeliveryOutcome(f"the receiver {NAME} answered {status}", final)


def test_an_id_that_a_tenant_wrote_adds_no_header(server: HttpsServer) -> None:
    forged = DELIVERY.model_copy(update={"id": "abc\r\nX-Other: 1"})
    receiver = Receiver(url=server.url("/ok"), key=KEY, ca=server.ca.read_text(), sources=LOOPBACK)
    before = len(server.posts)
    outcome = send_event(receiver, forged, b"{}", 0, lambda host, port: ["127.0.0.1"])
    assert outcome == DeliveryOutcome("the ID of the delivery cannot be sent in a header", final=True)
    assert len(server.posts) == before


def test_a_redirect_is_not_followed(server: HttpsServer) -> None:
    server.answers["/from"], server.answers["/to"] = redirect(server.url("/to"), status=307), body(b"")
    before = len(server.posts)
    outcome = send(server, "/from")
    assert outcome == DeliveryOutcome(f"the receiver {NAME} answered 307: redirects are not followed")
    assert [post.path for post in server.posts[before:]] == ["/from"]


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "fd00::1"])
def test_an_address_that_is_not_public_gets_no_request(server: HttpsServer, address: str) -> None:
    before = len(server.server_names)
    outcome = send(server, "/ok", AllowedSources(), addresses=("93.184.216.34", address))
    assert outcome.error is not None
    assert outcome.error.startswith(f"access to the receiver {NAME} is forbidden: ")
    assert len(server.server_names) == before


def test_the_certificate_is_checked(server: HttpsServer, tmp_path: Path) -> None:
    server.answers["/ok"] = body(b"")
    other = server.url("/ok", host="other.example.com")
    refused = send(server, "/ok", url=other)
    assert refused.error is not None
    assert refused.error.startswith("the receiver other.example.com has a certificate that is not trusted")


def test_a_dot_at_the_end_of_the_name_is_no_part_of_the_certificates_name(server: HttpsServer) -> None:
    """Such a name is resolved without the search domains of the operator's pod."""
    server.answers["/ok"] = body(b"")
    assert send(server, "/ok", url=server.url("/ok", host=f"{NAME}.")) == DeliveryOutcome()
    assert server.posts[-1].headers["Host"] == f"{NAME}:{server.port}"
    assert server.server_names[-1] == NAME


def test_a_file_of_certificates_may_have_comments_in_any_language(server: HttpsServer) -> None:
    server.answers["/ok"] = body(b"")
    assert send(server, "/ok", ca=f"# Főtanúsítvány\n{server.ca.read_text()}") == DeliveryOutcome()


@pytest.mark.parametrize("ca", ["", "é", "nonsense"])
def test_a_secret_without_certificate_does_not_make_the_public_cas_trusted(server: HttpsServer, ca: str) -> None:
    before = len(server.server_names)
    assert send(server, "/ok", ca=ca).error == "the Secret of caSecretRef does not hold a PEM certificate"
    assert len(server.server_names) == before


def test_a_receiver_that_does_not_listen_is_named(server: HttpsServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    outcome = send(server, "/ok", url=f"https://{NAME}:{port}/")
    assert outcome == DeliveryOutcome(f"the receiver {NAME} refused the connection")


def test_another_address_is_tried_if_the_first_one_refuses(server: HttpsServer) -> None:
    server.answers["/ok"] = body(b"")
    assert send(server, "/ok", addresses=("127.0.0.2", "127.0.0.1")) == DeliveryOutcome()


def test_a_name_without_address_is_named() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise OSError

    receiver = Receiver(url="https://nowhere.example.com/x", key=KEY)
    outcome = send_event(receiver, DELIVERY, b"", 0, resolve)
    assert outcome == DeliveryOutcome("the host name nowhere.example.com cannot be resolved")


def test_a_receiver_that_hangs_or_drips_ends_with_its_patience(server: HttpsServer) -> None:
    """One byte at a time keeps each read short, so only a limit for the whole request ends it."""
    release = threading.Event()

    def hang(request: http.server.BaseHTTPRequestHandler) -> None:
        release.wait()

    def drip(request: http.server.BaseHTTPRequestHandler) -> None:
        try:
            while not release.wait(0.02):
                request.wfile.write(b"H")
        except OSError:
            return

    server.answers["/hang"], server.answers["/drip"] = hang, drip
    try:
        for path in ("/hang", "/drip"):
            outcome = send(server, path, patience=1.0)
            assert outcome == DeliveryOutcome(f"the receiver {NAME} did not answer in time")
    finally:
        release.set()


def test_a_request_whose_time_is_over_before_it_has_a_socket_ends(
    server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer finds no socket to shut down then, and nothing else ends a receiver that drips."""

    class Immediately(threading.Timer):
        def start(self) -> None:
            self.function()

    server.answers["/ok"] = body(b"")
    monkeypatch.setattr(threading, "Timer", Immediately)
    assert send(server, "/ok") == DeliveryOutcome(f"the receiver {NAME} did not answer in time")


def test_a_receiver_that_never_speaks_tls_ends_with_its_patience(server: HttpsServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://{NAME}:{silent.getsockname()[1]}/"
        outcome = send(server, "/", url=url, patience=0.5)
    assert outcome == DeliveryOutcome(f"the receiver {NAME} did not answer in time")
