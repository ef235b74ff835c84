"""``inferd serve`` with doors, with TLS and on a Unix socket: banner, curl line, end."""

import argparse
import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
import trustme

from inferd.cli import serve as command
from tests.cli.conftest import Run, Serve, Serving
from tests.conftest import Models


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates with their keys in the same file, by what they name."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    names = {"here": ["localhost"], "address": ["127.0.0.1"], "elsewhere": ["models.example.com"]}
    for name, hosts in names.items():
        made = ca.issue_cert(*hosts).private_key_and_cert_chain_pem
        made.write_to_path(str(folder / name))
    return {name: folder / name for name in names}


def _paste(serving: Serving) -> float:
    """Run the banner's curl line in a shell; its prediction."""
    line = next(line for line in serving.banner.splitlines() if line.strip().startswith("curl"))
    done = subprocess.run(
        ["sh", "-c", line.strip() + " --silent --show-error --fail-with-body"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    prediction: float = json.loads(done.stdout)["prediction"]
    return prediction


def test_the_banner_lists_the_doors(serve: Serve, models: Models) -> None:
    """Each door stands in the banner with its URL, where its dialect answers."""
    serving = serve(models.iris, "--tfserving", "0", "--triton", "0", "--kserve", "0")
    doors = dict(
        re.findall(r"^  (tfserving|triton|kserve) +(http://[\d.:]+)$", serving.banner, re.M)
    )
    assert set(doors) == {"tfserving", "triton", "kserve"}
    assert httpx.get(doors["tfserving"] + "/v1/models/iris").status_code == 200
    assert httpx.get(doors["triton"] + "/v2/models/iris").status_code == 200
    assert httpx.get(doors["kserve"] + "/v1/models").status_code == 200


def test_a_door_can_be_opened_by_the_environment(
    serve: Serve, models: Models, environment: dict[str, str]
) -> None:
    """INFERD_TRITON is --triton."""
    environment["INFERD_TRITON"] = "0"
    assert re.search(r"^  triton +http://", serve(models.iris).banner, re.M)


@pytest.mark.parametrize(
    ("flag", "number"), [("--tfserving", 8501), ("--triton", 8000), ("--kserve", 8080)]
)
def test_a_door_without_a_number_has_the_other_servers(flag: str, number: int) -> None:
    """The bare flag is the port that the server's clients expect; -1 opens none."""
    parser = argparse.ArgumentParser()
    command.add_to(parser.add_subparsers())
    name = flag.strip("-")
    assert getattr(parser.parse_args(["serve", "m", flag]), name) == number
    assert getattr(parser.parse_args(["serve", flag, "--port", "0", "m"]), name) == number
    assert int(getattr(parser.parse_args(["serve", "m", flag, "9"]), name)) == 9
    assert int(getattr(parser.parse_args(["serve", "m", f"{flag}=-1"]), name)) == -1
    assert not hasattr(parser.parse_args(["serve", "m"]), name)


def test_a_path_that_a_bare_flag_swallows(run: Run, models: Models) -> None:
    """The error says how to write it."""
    ended = run("serve", "--tfserving", models.iris)
    assert ended.code == 2
    assert "Put the models before it, or write --tfserving=8501." in " ".join(ended.err.split())


def test_a_door_on_the_main_port(run: Run, models: Models) -> None:
    """Two listeners on one port are refused in a line, with a number to use."""
    ended = run("serve", models.iris, "--triton")
    assert ended.code == 1
    assert ended.err.startswith("inferd: --port and --triton are both 8000. ")
    assert "--port 9000" in ended.err


@pytest.mark.parametrize("name", ["here", "address", "elsewhere"])
def test_the_curl_line_over_tls_works_when_pasted(
    serve: Serve, models: Models, certificates: dict[str, Path], name: str
) -> None:
    """By whichever name the certificate has, with the certificate itself to trust."""
    serving = serve(models.iris, "--tls-cert", certificates[name])
    assert serving.url.startswith("https://")
    assert _paste(serving) == 0


def test_a_stop_waits_for_no_handshake(
    serve: Serve, models: Models, certificates: dict[str, Path]
) -> None:
    """A client that stopped amid its handshake holds nobody up, and leaves no word."""
    serving = serve(models.iris, "--tls-cert", certificates["address"])
    with socket.create_connection(("127.0.0.1", int(serving.url.rpartition(":")[2]))) as knocking:
        knocking.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert _paste(serving) == 0
        serving.process.send_signal(signal.SIGTERM)
        ended = serving.end()
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("tls", [False, True])
def test_a_unix_socket_lives_as_long_as_its_server(
    serve: Serve, models: Models, tmp_path: Path, certificates: dict[str, Path], tls: bool
) -> None:
    """The banner names it, its curl line works when pasted, and SIGTERM removes the file."""
    place = tmp_path / "iris.sock"
    options = ["--tls-cert", certificates["here"]] if tls else []
    serving = serve(models.iris, "--unix", "iris.sock", *options)
    assert f"inferd serves 1 model on {place} " in serving.banner
    assert _paste(serving) == 0
    serving.process.send_signal(signal.SIGTERM)
    ended = serving.end()
    assert (ended.code, ended.err) == (0, "")
    assert not place.exists()


def test_a_taken_socket_names_who_has_it(
    run: Run, serve: Serve, models: Models, tmp_path: Path
) -> None:
    """A second server on the same path says which process has it, and how to go on; one that was
    killed is replaced."""
    first = serve(models.iris, "--unix", "iris.sock")
    ended = run("serve", models.iris, "--unix", tmp_path / "iris.sock")
    assert ended.code == 1
    assert f"pid {first.process.pid}" in ended.err
    assert "--unix" in ended.err
    first.process.kill()
    first.process.wait()
    assert (tmp_path / "iris.sock").exists()
    assert _paste(serve(models.iris, "--unix", "iris.sock")) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--tls-cert", "none.pem"), "cannot read none.pem: No such file"),
        (("--tls-key", "none.pem"), "--tls-cert"),
    ],
)
def test_tls_faults(run: Run, models: Models, options: tuple[str, ...], told: str) -> None:
    """A file that is missing is named in one line."""
    ended = run("serve", models.iris, *options)
    assert ended.code == 1
    assert told in ended.err
    assert ended.err.count("\n") == 1
