"""HTTP/2 behind TLS, where a connection ends with a goodbye that may never come."""

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

import inferd
from fuzz.http2 import START, Reader, head, plain_fields
from inferd.server.embedded import Server
from tests.conftest import Models
from tests.lanes.conftest import Until

SOON = 4.0  # seconds; an event loop by itself would wait for an hour


@pytest.fixture
def secret(models: Models, tmp_path: Path) -> Iterator[Server]:
    """A server behind TLS, with little patience."""
    certificate = trustme.CA().issue_cert("localhost")
    chain = tmp_path / "chain.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(chain))
    with inferd.serve(models.iris, tls_cert=str(chain), keep_alive_seconds=1) as running:
        yield running


def connect(server: Server, protocol: str | None = "h2") -> ssl.SSLSocket:
    """A connection that has shaken hands."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocol:
        context.set_alpn_protocols([protocol])
    place = server.url.partition("://")[2].rpartition(":")
    plain = socket.create_connection((place[0], int(place[2])), 10)
    return context.wrap_socket(plain)


def ask(client: ssl.SSLSocket) -> None:
    """One request, answered well."""
    reader = Reader()
    client.sendall(START + head(1, plain_fields("GET", "/health"), end=True))
    while 1 not in reader.answers or not reader.answers[1].is_over:
        reader.feed(client.recv(65536))
    assert reader.answers[1].status == 200


@pytest.mark.parametrize("protocol", ["h2", "http/1.1", None])
def test_7301_the_protocol_that_was_agreed_on(secret: Server, protocol: str | None) -> None:
    """What a client offers that is spoken is taken; who offers nothing may still speak HTTP/2."""
    with connect(secret, protocol) as client:
        assert client.selected_alpn_protocol() == protocol
        ask(client)


@pytest.mark.parametrize("asks", [True, False])
def test_a_stop_waits_for_nobodys_goodbye(secret: Server, asks: bool) -> None:
    """A client that keeps silent when it is told to go does not hold the server up."""
    with connect(secret) as client:
        if asks:
            ask(client)
        began = time.monotonic()
        secret.stop()
        assert time.monotonic() - began < SOON


@pytest.mark.parametrize("asks", [True, False])
def test_an_idle_client_that_says_no_goodbye(secret: Server, asks: bool, until: Until) -> None:
    """It is seen off, whether it has ever asked for something or not."""
    connections = secret._worker._services["main"].connections
    with connect(secret) as client:
        if asks:
            ask(client)
        until(lambda: len(connections) == 1)
        until(lambda: not connections)
