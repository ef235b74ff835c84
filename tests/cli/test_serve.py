"""``inferd serve`` from its start to its end."""

import re
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Run, Serve
from tests.conftest import Models


def test_banner(serve: Serve, models: Models) -> None:
    """The banner shows models, versions, runtime, signature, URLs with the bound address, and how
    long it took."""
    serving = serve(models.iris)
    assert re.search(r"iris\s+1\s+onnx\s+\(X: FP32\[\?, 4\]\) -> ", serving.banner)
    assert re.match(r"inferd serves 1 model on http://127.0.0.1:\d+ \(ready in \d", serving.banner)
    for path in ("/docs", "/predict", "/v2"):
        assert f"{serving.url}{path}" in serving.banner


def test_what_the_banner_names_is_there(serve: Serve, models: Models) -> None:
    """Every page of the banner exists."""
    serving = serve(models.iris)
    for url in re.findall(r"http://\S+", serving.banner):
        assert httpx.get(url, timeout=10).status_code in (
            200,
            307,
            404 if url == serving.url else 405,
        )


@pytest.mark.parametrize(
    "names", [("iris",), ("species",), ("columns",), ("prices",), ("iris", "columns", "prices")]
)
def test_the_curl_line_works_when_pasted(
    serve: Serve, models: Models, names: tuple[str, ...]
) -> None:
    """The banner's curl line, pasted into a shell, gets a prediction."""
    serving = serve(*(getattr(models, name) for name in names))
    line = next(line for line in serving.banner.splitlines() if line.strip().startswith("curl"))
    done = subprocess.run(
        ["sh", "-c", line.strip() + " --silent --show-error --fail-with-body"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"prediction":' in done.stdout


def test_a_name_for_one_model(serve: Serve, models: Models) -> None:
    """``--name`` renames a model, so that its URL has that name."""
    serving = serve(models.iris, "--name", "flowers")
    assert httpx.get(f"{serving.url}/v2/models/flowers").status_code == 200
    assert httpx.get(f"{serving.url}/v2/models/iris").status_code == 404


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_clean(serve: Serve, models: Models, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it with code 0, without a word on standard error, the port free."""
    serving = serve(models.iris)
    assert httpx.get(f"{serving.url}/health").status_code == 200
    serving.process.send_signal(number)
    ended = serving.end()
    assert (ended.code, ended.err) == (0, "")
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", int(serving.url.rpartition(":")[2])))


def test_a_taken_port_names_who_has_it(run: Run, serve: Serve, models: Models) -> None:
    """A second server on the same port says which process has it, and how to go on."""
    serving = serve(models.iris)
    port = serving.url.rpartition(":")[2]
    ended = run("serve", models.iris, "--port", port)
    assert ended.code == 1
    assert f"pid {serving.process.pid}" in ended.err
    assert "--port" in ended.err
    assert httpx.get(f"{serving.url}/health").status_code == 200


def test_another_host_needs_a_word(run: Run, serve: Serve, models: Models) -> None:
    """Listening beyond this machine is refused until it is said to be meant."""
    ended = run("serve", models.iris, "--host", "0.0.0.0", "--port", "0")
    assert ended.code == 1
    assert "--insecure-no-auth" in ended.err
    serving = serve(models.iris, "--host", "0.0.0.0", "--insecure-no-auth")
    port = serving.url.rpartition(":")[2]
    assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200


def test_missing_file(run: Run, models: Models) -> None:
    """A missing file is said to be missing, with what lies beside it."""
    ended = run("serve", models.iris.with_name("iriss.onnx"), "--port", "0")
    assert ended.code == 1
    assert "iriss.onnx" in ended.err
    assert "columns.onnx" in ended.err
    _assert_one_line(ended.err)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.onnx", b"this is no ONNX"),
        ("empty.onnx", b""),
        ("half.onnx", None),
        ("model.txt", b"x"),
        ("model", b"x"),
    ],
)
def test_what_is_no_model(
    run: Run, models: Models, tmp_path: Path, name: str, content: bytes | None
) -> None:
    """A file that no runtime can load is named, with the reason."""
    whole = models.iris.read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    ended = run("serve", name, "--port", "0")
    assert ended.code == 1
    assert name in ended.err
    _assert_one_line(ended.err)


def test_a_folder(run: Run, tmp_path: Path) -> None:
    """A folder that is no model is told so."""
    (tmp_path / "folder").mkdir()
    ended = run("serve", "folder", "--port", "0")
    assert ended.code == 1
    assert "folder" in ended.err
    _assert_one_line(ended.err)


def test_two_models_of_one_name(run: Run, models: Models, tmp_path: Path) -> None:
    """Two files that would have the same name are refused."""
    (tmp_path / "iris.onnx").write_bytes(models.iris.read_bytes())
    ended = run("serve", models.iris, "iris.onnx", "--port", "0")
    assert ended.code == 1
    assert "'iris'" in ended.err
    _assert_one_line(ended.err)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--name", "both"), "--name"),
        (("--default-model", "nobody"), "'nobody'"),
    ],
)
def test_names_that_do_not_fit(
    run: Run, models: Models, arguments: tuple[str, ...], told: str
) -> None:
    """One name for two models, or a default that is none of them, is refused."""
    ended = run("serve", models.iris, models.prices, *arguments, "--port", "0")
    assert ended.code == 1
    assert told in ended.err
    _assert_one_line(ended.err)


def test_a_name_that_fits_no_url(run: Run, models: Models) -> None:
    """A name that would need escaping is refused, with what names may be."""
    ended = run("serve", models.iris, "--name", "a/b", "--port", "0")
    assert ended.code == 1
    assert "letters" in ended.err


def test_an_unknown_host(run: Run, models: Models) -> None:
    """A host that does not exist is a plain error."""
    ended = run("serve", models.iris, "--host", "nowhere.invalid", "--insecure-no-auth")
    assert ended.code == 1
    _assert_one_line(ended.err)


def _assert_one_line(text: str) -> None:
    """An error is a sentence, and never a stack trace."""
    assert text.startswith("inferd: ")
    assert "Traceback" not in text
    assert text.count("\n") == 1
