"""Where settings come from: the command line, then the environment, then inferd.toml."""

import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Serve
from tests.conftest import Models


def _free_ports(count: int) -> list[int]:
    """Ports that nobody had a moment ago."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def test_precedence(
    serve: Serve, models: Models, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The command line wins over the environment, and the environment over the file."""
    in_file, in_environment, given = _free_ports(3)
    (tmp_path / "inferd.toml").write_text(f"port = {in_file}\n")
    environment["INFERD_PORT"] = str(in_environment)
    assert serve(models.iris, "--port", given).url.endswith(f":{given}")
    assert serve(models.iris).url.endswith(f":{in_environment}")
    del environment["INFERD_PORT"]
    assert serve(models.iris, from_file=True).url.endswith(f":{in_file}")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("INFERD_PORT", "many", "port"),
        ("INFERD_PORT", "70000", "port"),
        ("INFERD_MAX_BODY_BYTES", "0", "max_body_bytes"),
        ("INFERD_LOG_LEVEL", "loud", "log_level"),
        ("INFERD_PROT", "8000", "INFERD_PORT"),
        ("INFERD_INSECURE_NO_AUTH", "perhaps", "insecure_no_auth"),
    ],
)
def test_environment_faults(
    run: Run, models: Models, environment: dict[str, str], name: str, value: str, told: str
) -> None:
    """A variable that is unknown or does not fit is named, with the source."""
    environment[name] = value
    ended = run("serve", models.iris)
    assert ended.code == 1
    assert "environment" in ended.err
    assert told in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 8000\n", "Did you mean 'port'?"),
        ("port = 'many'\n", "port"),
        ("port = \n", "is not TOML"),
        ("nothing_like_it = 1\n", "docs/settings.md"),
        ("[server]\nport = 1\n", "server"),
    ],
)
def test_file_faults(run: Run, models: Models, tmp_path: Path, text: str, told: str) -> None:
    """A fault in inferd.toml is told with the file's name and a suggestion."""
    (tmp_path / "inferd.toml").write_text(text)
    ended = run("serve", models.iris)
    assert ended.code == 1
    assert "inferd.toml" in ended.err
    assert told in ended.err
    assert "Traceback" not in ended.err


def test_a_file_that_is_named_and_missing(run: Run, models: Models) -> None:
    """A configuration that was asked for must be there."""
    ended = run("serve", models.iris, "--config", "missing.toml")
    assert ended.code == 1
    assert "missing.toml" in ended.err


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--port", "-1"), ("--port", "x"), ("--max-batch-size", "0"), ("--keep-alive-seconds", "0")],
)
def test_command_line_faults(run: Run, models: Models, flag: str, value: str) -> None:
    """A value that does not fit is told with the setting's name."""
    ended = run("serve", models.iris, flag, value)
    assert ended.code in (1, 2)
    assert flag.strip("-").replace("-", "_") in ended.err.replace("-", "_")
    assert "Traceback" not in ended.err
