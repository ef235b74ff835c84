"""The doors for other servers' clients, and the Unix socket: who answers where, and how long."""

import http.client
import json
import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import inferd
from inferd.errors import AddressTaken, ConfigError
from inferd.server.embedded import Server
from tests.conftest import ROW, Models

PREDICT = json.dumps({"features": ROW}).encode()


@pytest.fixture(scope="module")
def doors(models: Models) -> Iterator[Server]:
    """A server with every door."""
    with inferd.serve(models.iris, tfserving=0, triton=0, kserve=0) as running:
        yield running


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path for a Unix socket: the system allows about 100 characters."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="inferd") as folder:
        yield Path(folder) / "s"


class UnixConnection(http.client.HTTPConnection):
    """http.client's connection, to a path."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.host)


def _ask(path: Path, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = UnixConnection(str(path))
    connection.request(method, target, body)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


ASKED = {
    "plain": ("POST", "/predict", {"features": ROW}),
    "app": ("GET", "/docs", None),
    "oip": ("GET", "/v2/models/iris", None),
    "tfserving": ("POST", "/v1/models/iris:predict", {"instances": [ROW]}),
    "metadata of TensorFlow Serving": ("GET", "/v1/models/iris/metadata", None),
    "list of KServe": ("GET", "/v1/models", None),
    "mlflow": ("POST", "/invocations", {"inputs": [ROW]}),
}
SPOKEN = {
    "main": {*ASKED},
    "tfserving": {"tfserving", "metadata of TensorFlow Serving"},
    "triton": {"oip"},
    "kserve": {"oip", "list of KServe", "tfserving"},
}


@pytest.mark.parametrize("name", SPOKEN)
def test_each_door_answers_in_its_own_dialects_only(doors: Server, name: str) -> None:
    """The main port answers all; a door answers what its server's clients ask, and refuses
    all else."""
    answered = set()
    for what, (method, target, document) in ASKED.items():
        answer = requests.request(method, doors.urls[name] + target, json=document, timeout=10)
        if answer.status_code == 200:
            answered.add(what)
        else:
            # TensorFlow Serving misses the model's name in the path of KServe's list.
            assert answer.status_code in (400, 404), (what, answer.text)
    assert answered == SPOKEN[name]


def test_the_urls_tell_the_doors_that_are_open(doors: Server, server: Server) -> None:
    """Each listener is found by its name, the main one as ``url`` too."""
    assert set(doors.urls) == {"main", "tfserving", "triton", "kserve"}
    assert doors.urls["main"] == doors.url
    assert len({url.rpartition(":")[2] for url in doors.urls.values()}) == 4
    assert list(server.urls) == ["main"]


def test_a_taken_door_is_told_before_a_model_is_loaded(doors: Server, tmp_path: Path) -> None:
    """The error names the door's flag, and gives the other addresses back."""
    taken = int(doors.urls["triton"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(AddressTaken, match=f"127.0.0.1:{taken} is taken.*--triton"):
        inferd.serve(tmp_path / "none.onnx", port=port, tfserving=0, triton=taken)
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_stop_ends_every_listener(models: Models) -> None:
    """Nobody answers anywhere after it, and idle connections are closed at each."""
    server = inferd.serve(models.iris, triton=0)
    sessions = {name: requests.Session() for name in server.urls}
    for name, session in sessions.items():
        assert session.get(server.urls[name] + "/v2", timeout=10).status_code == 200
    server.stop()
    for name, session in sessions.items():
        with session, pytest.raises(requests.ConnectionError):
            session.get(server.urls[name] + "/v2", timeout=10)


def test_a_unix_socket_answers_http_client_and_curl(models: Models, place: Path) -> None:
    """Predictions and the app's pages, on a socket that is this user's alone; the stop removes
    it."""
    with inferd.serve(models.iris, unix=str(place), triton=0) as server:
        assert server.url == "http+unix://" + str(place).replace("/", "%2F")
        assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
        status, body = _ask(place, "POST", "/predict", PREDICT)
        assert (status, json.loads(body)["prediction"]) == (200, 0)
        assert _ask(place, "GET", "/docs")[0] == 200
        assert _ask(place, "GET", "/nothing")[0] == 404
        line = [
            "curl",
            "-sS",
            "--unix-socket",
            str(place),
            "http://localhost/predict",
            "-d",
            PREDICT.decode(),
        ]
        done = subprocess.run(line, capture_output=True, check=True)
        assert json.loads(done.stdout)["prediction"] == 0
        assert requests.get(server.urls["triton"] + "/v2", timeout=10).status_code == 200
    assert not place.exists()


def test_a_dead_servers_socket_is_replaced(models: Models, place: Path) -> None:
    """A file that nobody listens at any more keeps no server from starting."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
    assert place.exists()
    with inferd.serve(models.iris, unix=str(place)):
        assert _ask(place, "POST", "/predict", PREDICT)[0] == 200


def test_a_living_servers_socket_is_left_alone(models: Models, place: Path) -> None:
    """A second server on the same path is refused, and the first goes on answering."""
    with inferd.serve(models.iris, unix=str(place)):
        with pytest.raises(AddressTaken, match=f"{place} is taken.*--unix"):
            inferd.serve(models.iris, unix=str(place))
        assert _ask(place, "POST", "/predict", PREDICT)[0] == 200


def test_another_servers_socket_survives_the_stop(models: Models, place: Path) -> None:
    """A server removes its own file only: not one that took the path since."""
    with inferd.serve(models.iris, unix=str(place)):
        place.unlink()
        other = socket.socket(socket.AF_UNIX)
        other.bind(str(place))
    assert place.exists()
    other.close()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("x" * 200, "too long"),
        ("none/socket", "No such file"),
        ("file", "there already, and is no socket"),
    ],
)
def test_a_path_that_fits_no_socket(models: Models, tmp_path: Path, name: str, told: str) -> None:
    """The error says why, and how to go on; the file that was there stays."""
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ConfigError, match=f"{told}.*--unix"):
        inferd.serve(models.iris, unix=str(tmp_path / name))
    assert (tmp_path / "file").read_text() == "kept"


def test_a_failed_start_removes_its_socket(place: Path, tmp_path: Path) -> None:
    """A model that is missing leaves no file behind."""
    with pytest.raises(inferd.errors.LoadError):
        inferd.serve(tmp_path / "none.onnx", unix=str(place))
    assert not place.exists()
