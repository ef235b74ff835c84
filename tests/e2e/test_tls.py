"""HTTPS: what clients with a certificate's authority get, and what all others do."""

import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import trustme

import inferd
from inferd.errors import ConfigError
from inferd.server.embedded import Server
from tests.conftest import ROW, Models

PREDICT = json.dumps({"features": ROW}).encode()


class Authority(NamedTuple):
    """A certificate for this machine, and who issued it."""

    ca: trustme.CA
    trusted: Path
    cert: Path
    key: Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Made once: keys take a while."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    issued = ca.issue_cert("localhost", "127.0.0.1", "::1")
    made = Authority(ca, folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    ca.cert_pem.write_to_path(str(made.trusted))
    issued.private_key_pem.write_to_path(str(made.key))
    made.cert.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    return made


@pytest.fixture(scope="module")
def secure(authority: Authority, models: Models) -> Iterator[Server]:
    """A server with TLS, which takes bodies of 64 MiB."""
    with _serve(authority, models, triton=0) as running:
        yield running


def _serve(authority: Authority, models: Models, **settings: Any) -> Server:
    paths = (models.iris, models.spin, models.zeros)
    tls = {"tls_cert": str(authority.cert), "tls_key": str(authority.key)}
    return inferd.serve(
        *paths, default_model="iris", inline_limit_microseconds=0, **tls, **settings
    )


def _context(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.trusted)


def _address(url: str) -> tuple[str, int]:
    host, port = url.rpartition("/")[2].split(":")
    return host, int(port)


def _connect(authority: Authority, url: str, receive_buffer: int = 0) -> ssl.SSLSocket:
    raw = socket.socket()
    raw.settimeout(10)
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.connect(_address(url))
    return _context(authority).wrap_socket(raw, server_hostname="127.0.0.1")


def _request(body: bytes, path: str = "/predict", *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def _read_all(client: socket.socket) -> bytes:
    pieces = []
    while piece := client.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def test_requests_trusts_it_by_its_authority(secure: Server, authority: Authority) -> None:
    """Predictions, the documentation's app and a door are all behind HTTPS."""
    assert secure.url.startswith("https://127.0.0.1:")
    with requests.Session() as session:
        session.trust_env = False  # a bundle that is named there would win
        session.verify = str(authority.trusted)
        for _ in range(3):
            answer = session.post(f"{secure.url}/predict", data=PREDICT, timeout=10)
            assert answer.json()["prediction"] == 0
        assert session.get(f"{secure.url}/docs", timeout=10).status_code == 200
        door = session.get(f"{secure.urls['triton']}/v2/health/ready", timeout=10)
        assert door.status_code == 200


def test_the_app_is_told_that_it_is_https(secure: Server, authority: Authority) -> None:
    """An absolute URL that the app makes begins with https."""
    answer = requests.get(
        f"{secure.url}/docs/", timeout=10, verify=str(authority.trusted), allow_redirects=False
    )
    assert answer.headers["location"] == f"{secure.url}/docs"


def test_requests_without_the_authority_refuses_it(secure: Server) -> None:
    """A client that does not know who issued the certificate hears nothing."""
    with pytest.raises(requests.exceptions.SSLError, match="certificate verify failed"):
        requests.post(f"{secure.url}/predict", data=PREDICT, timeout=10)


def test_curl(secure: Server, authority: Authority) -> None:
    """curl gets a prediction over HTTP/2 or HTTP/1.1, which it agrees on by ALPN."""
    for way, agreed in (("--http2", b"h2"), ("--http1.1", b"http/1.1")):
        curl = ["curl", "-sSv", way, "--cacert", str(authority.trusted)]
        done = subprocess.run(
            [*curl, f"{secure.url}/predict", "-d", PREDICT], capture_output=True, check=True
        )
        assert json.loads(done.stdout)["prediction"] == 0
        assert b"ALPN: server accepted " + agreed in done.stderr


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["spdy/3"], None)],
)
def test_alpn(secure: Server, authority: Authority, offered: list[str], chosen: str | None) -> None:
    """HTTP/2 is chosen where the client offers it, then HTTP/1.1."""
    context = _context(authority)
    context.set_alpn_protocols(offered)
    with (
        socket.create_connection(_address(secure.url), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as client,
    ):
        assert client.selected_alpn_protocol() == chosen


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(secure: Server, authority: Authority) -> None:
    """A client that speaks at most TLS 1.1 gets no connection; 1.2 and 1.3 are spoken."""
    for version, accepted in (("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)):
        context = _context(authority)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = ssl.TLSVersion[version]
        with socket.create_connection(_address(secure.url), timeout=10) as raw:
            try:
                with context.wrap_socket(raw, server_hostname="127.0.0.1") as client:
                    assert client.version() == version.replace("_", ".")
            except ssl.SSLError:
                assert not accepted
            else:
                assert accepted


@pytest.mark.parametrize("sent", [_request(PREDICT), b"\x16\x03\x01\x02\x00\x01", b""])
def test_what_is_no_tls_is_closed(
    secure: Server, authority: Authority, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    """Plain HTTP, a handshake that breaks off and a mere knock are closed, and nothing is logged
    at warning level."""
    with socket.create_connection(_address(secure.url), timeout=10) as raw:
        raw.sendall(sent)
        raw.shutdown(socket.SHUT_WR)
        assert b"HTTP" not in _read_all(raw)
    with _connect(authority, secure.url) as client:  # so that the other one's end was handled
        client.sendall(_request(PREDICT, "/predict", "connection: close"))
        assert b" 200 OK" in _read_all(client)
    assert caplog.records == []


def test_a_large_body(secure: Server, authority: Authority) -> None:
    """Almost 64 MiB of spaces before a row arrive whole."""
    body = b" " * (64 * 1024 * 1024 - len(PREDICT)) + PREDICT
    answer = requests.post(
        f"{secure.url}/predict", data=body, timeout=15, verify=str(authority.trusted)
    )
    assert (answer.status_code, answer.json()["prediction"]) == (200, 0)


def test_too_large_a_body_is_told(secure: Server, authority: Authority) -> None:
    """A client that sends on after the refusal still reads it."""
    with _connect(authority, secure.url) as client:
        client.sendall(_request(b"", "/predict").replace(b": 0", b": 99999999999"))
        for _ in range(64):
            client.sendall(b" " * 65536)
        answer = _read_all(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer


def test_a_slow_reader_of_a_last_answer_gets_it_whole(secure: Server, authority: Authority) -> None:
    """An answer of some megabytes leaves to its end, although it is the connection's last and is
    read long after it was written."""
    tensor = {"name": "count", "shape": [1], "datatype": "INT64", "data": [3_000_000]}
    body = json.dumps({"inputs": [tensor]}).encode()
    service = secure._worker._services["main"]
    with _connect(authority, secure.url, receive_buffer=4096) as client:
        client.sendall(_request(body, "/v2/models/zeros/infer", "connection: close"))
        head = client.recv(4096)
        size = int(re.findall(rb"content-length: (\d+)", head)[0])
        written = service.now
        deadline = time.monotonic() + 10
        while service.now < written + 3:  # the clock looks for stalled clients meanwhile
            assert time.monotonic() < deadline
            time.sleep(0.01)
        answer = head + _read_all(client)
    assert size > 5_000_000
    assert len(answer.partition(b"\r\n\r\n")[2]) == size


def test_a_stop_waits_for_no_sleeping_client(
    authority: Authority, models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that keeps an idle connection, and does not look at it, holds a stopping server for
    a second at most."""
    server = _serve(authority, models)
    with _connect(authority, server.url) as idle:
        idle.sendall(_request(PREDICT))
        assert b" 200 OK" in idle.recv(4096)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 1.5
    assert caplog.records == []


def test_a_stop_waits_for_what_is_asked(authority: Authority, models: Models) -> None:
    """A request in progress is answered, as the last, before the server ends."""
    server = _serve(authority, models)
    with _connect(authority, server.url) as busy, _connect(authority, server.url) as other:
        busy.sendall(_request(b'{"features": [60000]}', "/v1/predict/spin"))
        other.sendall(_request(PREDICT))
        assert b" 200 OK" in other.recv(4096)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        answer = _read_all(busy)
        stopping.join()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in answer


def test_a_client_that_ends_amid_its_request_is_let_go(
    authority: Authority, models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    """TLS cannot end one way only: who says goodbye gets no answer, and nobody is warned."""
    with _serve(authority, models) as server, _connect(authority, server.url) as client:
        client.sendall(_request(b'{"features": [60000]}', "/v1/predict/spin"))
        raw = client.unwrap()
        assert _read_all(raw) == b""
    assert caplog.records == []


def _pem(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def test_faults_of_the_files_are_told_by_name(
    authority: Authority, models: Models, tmp_path: Path
) -> None:
    """A start with files that do not fit says which one is at fault, and why."""
    cert, key = str(authority.cert), str(authority.key)
    other = _pem(tmp_path, "other.pem", authority.ca.issue_cert("x").private_key_pem.bytes())
    torn = _pem(tmp_path, "torn.pem", authority.cert.read_bytes()[:300])
    text = _pem(tmp_path, "text.pem", b"hello")
    locked = str(tmp_path / "locked.pem")
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked], check=True
    )
    for tls_cert, tls_key, told in (
        (str(tmp_path / "none.pem"), key, "cannot read .*none.pem: No such file"),
        (cert, str(tmp_path / "none.pem"), "cannot read .*none.pem: No such file"),
        (cert, "", "cert.pem holds no private key"),
        ("", key, "a private key alone is no TLS"),
        (text, key, "text.pem holds no certificate in PEM"),
        (torn, key, "torn.pem cannot be used for TLS"),
        (cert, other, r"other.pem does not belong to the certificate in .*cert.pem"),
        (cert, locked, "locked.pem is encrypted"),
    ):
        with pytest.raises(ConfigError, match=told):
            inferd.serve(models.iris, tls_cert=tls_cert, tls_key=tls_key)


def test_an_expired_certificate_is_served_with_a_warning(
    authority: Authority, models: Models, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The start says that clients will refuse it."""
    from datetime import UTC, datetime

    past = datetime(2020, 1, 1, tzinfo=UTC)
    issued = authority.ca.issue_cert("localhost", not_before=past, not_after=past)
    old = _pem(tmp_path, "old.pem", issued.private_key_and_cert_chain_pem.bytes())
    with inferd.serve(models.iris, tls_cert=old):
        assert "old.pem has expired" in caplog.text
