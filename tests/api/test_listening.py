"""The API listens on IPv4 and on IPv6: a pod may have an address of one family only."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, Request
from tests.api.conftest import run_server

from pgimport.api.main import build_server_config
from pgimport.settings import ApiSettings

app = FastAPI()


@app.get("/client")
def read_client(request: Request) -> str:
    assert request.client is not None
    return request.client.host


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    settings = ApiSettings(namespace="system", api_secret_file="-", listen_port=port)
    with run_server(build_server_config(app, settings)):
        yield port


@pytest.mark.parametrize(("host", "client"), [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")])
def test_a_client_has_the_address_that_an_admin_would_write(port: int, host: str, client: str) -> None:
    """A socket for both families would show ::ffff:127.0.0.1, which is not in the list of trusted proxies."""
    if "::" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    assert httpx.get(f"http://{host}:{port}/client").json() == client
