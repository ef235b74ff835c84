"""``inferd models`` and ``inferd reload``: what a person sees who changes a running server."""

import json
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Serve
from tests.conftest import Models


@pytest.fixture
def environment(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """No other server's socket is found."""
    (tmp_path / "run").mkdir()
    own = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "TMPDIR": str(tmp_path)}
    return {**environment, **own}


def test_a_model_is_loaded_listed_and_unloaded(run: Run, serve: Serve, models: Models) -> None:
    """Each command says what holds now, and exits 0."""
    url = serve(models.iris, "--port", "0").url
    told = [
        run("models", "load", models.species, "--name", "flowers"),
        run("models", "label", "flowers", "1", "stable"),
        run("models", "list"),
        run("models", "unload", "flowers"),
        run("models", "list"),
    ]
    assert [(each.code, each.err) for each in told] == [(0, "")] * 5
    loaded, labelled, listed, unloaded, left = [each.out for each in told]
    assert loaded == "Every worker serves species.onnx.\n"
    assert labelled == "In every worker stable is version 1 of flowers.\n"
    assert unloaded == "No worker serves flowers any more.\n"
    head, _, columns, flowers, iris = listed.splitlines()
    assert head == url
    assert columns.split() == ["model", "version", "labels", "answered", "failed", "path"]
    assert flowers.split() == ["flowers", "1", "stable", "0", "0", str(models.species)]
    assert iris.split() == ["iris", "1", "-", "0", "0", str(models.iris)]
    assert "flowers" not in left


def test_what_cannot_be_done_is_told(run: Run, serve: Serve, models: Models) -> None:
    """With the reason and what there is, and exit code 1; the server goes on."""
    serve(models.iris, "--port", "0")
    folder = models.iris.parent
    refused = [
        run("models", "load", folder / "nope.onnx"),
        run("models", "unload", "nobody"),
        run("models", "unload", "iris", "7"),
        run("models", "label", "iris", "7", "stable"),
        run("models", "list", "--pid", "1"),
    ]
    assert [(each.code, each.out) for each in refused] == [(1, "")] * 5
    absent, unknown, unloaded, labelled, other = [each.err for each in refused]
    assert absent.startswith(f"inferd: there is no model at {folder}/nope.onnx. Beside it: ")
    assert unknown == "inferd: unknown model 'nobody': expected one of the models 'iris'\n"
    no_version = "inferd: model 'iris' has no version '7': expected one of the versions '1'\n"
    assert unloaded == labelled == no_version
    assert other.startswith("inferd: no inferd server of this user is process 1: expected ")


def test_a_reload_reads_the_settings_again(
    run: Run, serve: Serve, models: Models, tmp_path: Path
) -> None:
    """When the command ends, the new ones hold; a wrong one is refused and changes nothing."""
    file = tmp_path / "inferd.toml"
    file.write_text("max_body_bytes = 1000\n")
    url = serve(models.iris, "--port", "0").url

    def status(size: int) -> int:
        body = json.dumps({"features": [5.1, 3.5, 1.4, 0.2], "id": "x" * size}).encode()
        try:
            with urllib.request.urlopen(f"{url}/predict", body) as answer:
                code: int = answer.status
        except urllib.error.HTTPError as error:
            with error:
                code = error.code
        return code

    before = status(2000)
    file.write_text("max_body_bytes = 4000\n")
    done = run("reload")
    after = status(2000)
    file.write_text("max_body_bytes = -1\n")
    refused = run("reload")
    assert (done.code, done.out, done.err) == (0, "New workers answer.\n", "")
    assert (before, after != 413) == (413, True)
    assert (refused.code, refused.out) == (1, "")
    assert "max_body_bytes" in refused.err
    assert status(2000) == after


@pytest.mark.parametrize("command", [("reload",), ("models", "list")])
def test_without_a_server_the_cure_is_told(run: Run, command: tuple[str, ...]) -> None:
    """Nothing is waited for."""
    ended = run(*command)
    assert ended.code == 1
    assert ended.err.startswith("inferd: no inferd server of this user runs. Start one with")


@pytest.mark.parametrize("command", [("reload",), ("models",), ("models", "load")])
def test_help_teaches(run: Run, command: tuple[str, ...]) -> None:
    """The commands are described; the examples and exit codes stand below."""
    ended = run(*command, "--help")
    assert ended.code == 0
    assert ("examples:" in ended.out and "Exit codes:" in ended.out) or len(command) == 2
