"""grpcio's channels to a running server: what they do with a connection, and what a caller gets of
it."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import trustme

import inferd
from inferd.server.embedded import Server
from tests.conftest import Models
from tests.grpc.asking import PATIENCE, channel_to
from tests.grpc.inferring import Client, address_of, outputs, request
from tests.unit import onnx_files

BUSY = 100_000  # turns: about half a second of one core
LARGE = 64 * 1024 * 1024  # bytes that a message may have


@pytest.fixture(scope="module")
def running(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that runs every model in a thread."""
    echo = onnx_files.identity(tmp_path_factory.mktemp("echo") / "echo.onnx", [None, None])
    with inferd.serve(models.iris, models.spin, echo, inline_limit_microseconds=0) as server:
        yield server


@pytest.fixture
def client(running: Server) -> Iterator[Client]:
    """A client with a connection of its own."""
    with channel_to(address_of(running)) as channel:
        yield Client(channel)


def connections(server: Server) -> list[Any]:
    """The main listener's HTTP/2 connections."""
    held: Any = server._worker._services["main"].connections
    return [each for each in tuple(held) if hasattr(each, "h2")]


def queue_of(server: Server, model: str) -> Any:
    """What waits and runs of *model*, now."""
    scheduler: Any = server._worker.manager.lookup(model).infer
    return scheduler.__self__.statistics()


def occupy(server: Server, client: Client, until: Any) -> tuple[list[Any], int]:
    """Calls that keep all instances of the slow model busy, and how often it was run before."""
    until(lambda: queue_of(server, "spin").running == 0)
    instances = server._worker.manager.lookup("spin").instances
    before = client.runs("spin")
    calls = [client.spin(BUSY) for _ in range(instances)]
    until(lambda: queue_of(server, "spin").running == instances)
    return calls, before


@pytest.mark.parametrize("compression", grpc.Compression)
def test_compression(
    running: Server, models: Models, answers: Any, compression: grpc.Compression
) -> None:
    """A channel that packs its messages gets what others get."""
    rows = np.tile(models.rows, (40, 1))
    own = answers(models.iris, {"X": rows})
    with channel_to(address_of(running), compression=compression) as channel:
        got = outputs(Client(channel).infer(request("iris", "X", rows), timeout=PATIENCE))
    assert got.keys() == own.keys()
    for name, expected in own.items():
        np.testing.assert_array_equal(got[name], expected)


def test_a_deadline_passes_while_the_model_runs(client: Client) -> None:
    """The caller is told in time, although the model goes on."""
    call = client.spin(BUSY, timeout=0.1)
    assert call.exception().code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_deadline_passes_in_the_queue(running: Server, client: Client, until: Any) -> None:
    """Who waits behind a slow model is told in time, and the model is not run for it."""
    busy, before = occupy(running, client, until)
    waiting = client.spin(1, timeout=0.1)
    assert waiting.exception().code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert not any(call.done() for call in busy)
    for call in busy:
        call.result()
    until(lambda: queue_of(running, "spin").waiting_requests == 0)
    assert client.runs("spin") == before + len(busy)


def test_a_cancelled_call_leaves_the_queue(running: Server, client: Client, until: Any) -> None:
    """A call that is given up while it waits is not run."""
    busy, before = occupy(running, client, until)
    waiting = client.spin(1)
    until(lambda: queue_of(running, "spin").waiting_requests == 1)
    waiting.cancel()
    (connection,) = connections(running)
    until(lambda: len(connection.h2.streams) == len(busy))
    assert not any(call.done() for call in busy)
    for call in busy:
        call.result()
    until(lambda: queue_of(running, "spin").waiting_requests == 0)
    assert client.runs("spin") == before + len(busy)


def test_a_lost_connection_leaves_the_queue(running: Server, client: Client, until: Any) -> None:
    """A client that goes away gives all its calls up."""
    busy, before = occupy(running, client, until)
    with channel_to(address_of(running)) as channel:
        others = [Client(channel).spin(1) for _ in range(10)]
        until(lambda: queue_of(running, "spin").waiting_requests == 10)
    assert all(call.code() == grpc.StatusCode.CANCELLED for call in others)
    for call in busy:
        call.result()
    until(lambda: queue_of(running, "spin").waiting_requests == 0)
    assert client.runs("spin") == before + len(busy)


def test_a_request_id_comes_back(client: Client, models: Models) -> None:
    """The caller's own id is in the head of the answer; other metadata is for nobody."""
    asked = request("iris", "X", models.rows[:1], id="seven")
    more = ("x-request-id", "abc-123"), ("authorization", "none"), ("x-bin", b"\x00\xff")
    answer, call = client.infer.with_call(asked, metadata=more, timeout=PATIENCE)
    assert answer.id == "seven"
    assert ("x-request-id", "abc-123") in list(call.initial_metadata())
    assert {key for key, _ in call.initial_metadata()} == {"x-request-id"}


def test_large_metadata(client: Client, models: Models) -> None:
    """As much as a head may have is taken; more is refused, and the connection lives on."""
    asked = request("iris", "X", models.rows[:1])
    client.infer(asked, metadata=[("x-large", "a" * 50_000)], timeout=PATIENCE)
    with pytest.raises(grpc.RpcError) as caught:
        client.infer(asked, metadata=[("x-large", "a" * 65_000)], timeout=PATIENCE)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    client.infer(asked, timeout=PATIENCE)


def test_keepalive(running: Server, until: Any) -> None:
    """Pings of an idle client are answered, and the connection is kept for them."""
    options = (
        ("grpc.keepalive_time_ms", 20),
        ("grpc.keepalive_timeout_ms", 5000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    )
    with channel_to(address_of(running), *options) as channel:
        client = Client(channel)
        client.spin(1).result()
        (connection,) = connections(running)
        ticks = running._worker._services["main"].now + 2
        until(lambda: running._worker._services["main"].now > ticks)
        client.spin(1).result()
        assert connections(running) == [connection]


def test_sixty_megabytes(client: Client) -> None:
    """Almost the largest message goes both ways, and comes back as it was."""
    rows = np.arange((LARGE - 4096) // 4, dtype=np.float32).reshape(1, -1)
    answer = client.infer(request("echo", "X", rows), timeout=PATIENCE)
    np.testing.assert_array_equal(outputs(answer)["Y"], rows)


def test_too_large_a_message(client: Client) -> None:
    """A larger one is refused, and the connection lives on."""
    asked = request("echo", "X", np.zeros((1, LARGE // 4), np.float32))
    with pytest.raises(grpc.RpcError) as caught:
        client.infer(asked, timeout=PATIENCE)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.spin(1).result()


def test_two_hundred_calls_at_once(running: Server, client: Client, models: Models) -> None:
    """More calls than a connection may have under way wait for each other, and each gets its own
    answer."""
    calls = [
        client.infer.future(
            request("echo", "X", np.full((3, 500), at, np.float32)), timeout=PATIENCE
        )
        for at in range(200)
    ]
    for at, call in enumerate(calls):
        np.testing.assert_array_equal(outputs(call.result())["Y"], np.full((3, 500), at))
    assert len(connections(running)) == 1


def test_a_stream(client: Client) -> None:
    """Requests of a stream are answered in their order, and a wrong one in its place."""
    asked = [request("echo", "X", np.full((1, 4), at, np.float32), id=str(at)) for at in range(100)]
    asked[50].model_name = "nobody"
    answers = list(client.stream(iter(asked), timeout=PATIENCE))
    assert [bool(each.error_message) for each in answers] == [at == 50 for at in range(100)]
    for at, each in enumerate(answers):
        if at != 50:
            np.testing.assert_array_equal(outputs(each.infer_response)["Y"], np.full((1, 4), at))
            assert each.infer_response.id == str(at)


def test_drain(models: Models, until: Any) -> None:
    """A server that stops answers what is under way; its client is told to go elsewhere."""
    server = inferd.serve(models.spin, inline_limit_microseconds=0)
    with channel_to(address_of(server)) as channel:
        client = Client(channel)
        call = client.spin(BUSY)
        until(lambda: queue_of(server, "spin").running == 1)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        until(lambda: not connections(server) or connections(server)[0].h2.is_leaving)
        later = client.spin(1)
        assert later.exception().code() == grpc.StatusCode.UNAVAILABLE
        assert outputs(call.result())
        stopping.join(PATIENCE)
        assert not stopping.is_alive()


def test_a_restart(models: Models) -> None:
    """A channel outlives its server: it finds the next one on the same port."""
    asked = request("iris", "X", models.rows[:1])
    server = inferd.serve(models.iris)
    with channel_to(address_of(server), ("grpc.initial_reconnect_backoff_ms", 100)) as channel:
        client = Client(channel)
        client.infer(asked, timeout=PATIENCE)
        server.stop()
        with inferd.serve(models.iris, port=int(server.url.rpartition(":")[2])):
            assert outputs(client.infer(asked, timeout=PATIENCE, wait_for_ready=True))


def test_the_age_of_a_connection(models: Models, until: Any) -> None:
    """An old connection is left when its calls are answered, and its client takes another."""
    with (
        inferd.serve(
            models.spin,
            models.iris,
            inline_limit_microseconds=0,
            max_connection_age_seconds=0.01,
        ) as server,
        channel_to(address_of(server)) as channel,
    ):
        client = Client(channel)
        client.spin(1).result()
        (first,) = connections(server)
        call = client.spin(BUSY * 2)
        until(lambda: queue_of(server, "spin").running == 1)
        server._worker.pipeline.home.post(first.tick, first.service.now + 1)
        until(lambda: first.h2.is_leaving)
        client.infer(request("iris", "X", models.rows[:1]), timeout=PATIENCE)
        assert not call.done()
        assert call.result()
        until(lambda: first not in connections(server))


def test_calls_go_on_while_connections_age(models: Models) -> None:
    """A busy client is never cut off: what it sent to a connection that is left, it sends again."""
    asked = request("iris", "X", models.rows[:1])
    done, failed = [0], []
    with (
        inferd.serve(models.iris, max_connection_age_seconds=0.01) as server,
        channel_to(address_of(server)) as channel,
    ):
        client, service = Client(channel), server._worker._services["main"]
        end = service.now + 3  # once a second all connections are left

        def ask() -> None:
            while service.now < end:
                try:
                    client.infer(asked, timeout=PATIENCE)
                    done[0] += 1
                except grpc.RpcError as error:
                    failed.append(error.details())

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for each in askers:
            each.start()
        for each in askers:
            each.join()
    # grpcio sends again but once.
    assert not [text for text in failed if "GOAWAY received; Error code: 0" not in text]
    assert len(failed) * 200 < done[0]


def test_a_unix_socket(models: Models, tmp_path: Path) -> None:
    """A channel to a Unix socket."""
    place = tmp_path / "inferd.socket"
    with inferd.serve(models.iris, unix=str(place)), channel_to(f"unix:{place}") as channel:
        asked = request("iris", "X", models.rows[:1])
        assert outputs(Client(channel).infer(asked, timeout=PATIENCE))


def test_tls(models: Models, tmp_path: Path) -> None:
    """A secure channel agrees on h2 by ALPN, knows the server by its authority, and refuses one
    that it does not know."""
    ca = trustme.CA()
    issued = ca.issue_cert("localhost", "127.0.0.1")
    chain = tmp_path / "cert.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(chain))
    asked = request("iris", "X", models.rows[:1])
    with inferd.serve(models.iris, tls_cert=str(chain)) as server:
        trusted = grpc.ssl_channel_credentials(ca.cert_pem.bytes())
        with grpc.secure_channel(address_of(server), trusted) as channel:
            assert outputs(Client(channel).infer(asked, timeout=PATIENCE))
        stranger = grpc.ssl_channel_credentials(trustme.CA().cert_pem.bytes())
        with grpc.secure_channel(address_of(server), stranger) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                Client(channel).infer(asked, timeout=PATIENCE)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
