"""``inferd serve|compile|check|doctor`` with models of scikit-learn: the terminal of a newcomer."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import httpx
import joblib
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from tests.cli.conftest import Run, Serve

ROW = {
    "sepal length (cm)": 5.1,
    "sepal width (cm)": 3.5,
    "petal length (cm)": 1.4,
    "petal width (cm)": 0.2,
}


@pytest.fixture(scope="module")
def fitted() -> dict[str, Any]:
    """Models by name, as they were dumped."""
    data = load_iris(as_frame=True)
    names = data.target_names[data.target]
    return {
        "forest": RandomForestClassifier(20, random_state=0).fit(data.data, data.target),
        "line": LogisticRegression(max_iter=500).fit(data.data.to_numpy(), names),
    }


@pytest.fixture(scope="module")
def files(fitted: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each model as a pickle."""
    folder = tmp_path_factory.mktemp("pickles")
    for name, model in fitted.items():
        joblib.dump(model, folder / f"{name}.pkl")
    return {name: folder / f"{name}.pkl" for name in fitted}


def test_the_classic_recipe(serve: Serve, files: dict[str, Path], fitted: dict[str, Any]) -> None:
    """A dumped forest answers as ``predict`` and ``predict_proba`` do, by row and by record; the
    banner says how far that was shown."""
    serving = serve(files["forest"], "--cache-dir", "none")
    assert "forest: compiled from scikit-learn (RandomForestClassifier): exact" in serving.banner
    row = list(ROW.values())
    first = load_iris(as_frame=True).data[:1]
    expected = {
        "prediction": 0,
        "probability": fitted["forest"].predict_proba(first)[0].tolist(),
        "model_version": "1",
    }
    answer = httpx.post(f"{serving.url}/predict", json={"features": row}).json()
    assert answer == expected
    assert httpx.post(f"{serving.url}/predict", json=ROW).json() == expected
    many = httpx.post(f"{serving.url}/predict", json=[ROW, ROW]).json()
    assert many["predictions"] == [0, 0]


def test_a_missing_number_is_refused_where_the_library_refuses_it(
    serve: Serve, files: dict[str, Path]
) -> None:
    """Compiled or not, the answer is 400 and names the column."""
    for options in ([], ["--no-compile"]):
        serving = serve(files["line"], "--cache-dir", "none", *options)
        answer = httpx.post(f"{serving.url}/predict", json={"features": [5.1, None, 1.4, 0.2]})
        assert answer.status_code == 400
        assert "a missing number in row 0, column 1" in answer.json()["error"]


def test_a_model_that_is_not_compiled_is_answered_by_its_library(
    serve: Serve, files: dict[str, Path]
) -> None:
    """The banner says which library, and why; labels that are strings stay strings."""
    serving = serve(files["line"], "--no-compile")
    assert "line: answered by scikit-learn, not compiled: compiling is turned off" in serving.banner
    answer = httpx.post(f"{serving.url}/predict", json={"features": list(ROW.values())}).json()
    assert answer["prediction"] == "setosa"


def test_a_second_start_opens_no_pickle(
    serve: Serve, files: dict[str, Path], tmp_path: Path
) -> None:
    """What the cache knows is served without unpickling: the very file, renamed, is no matter."""
    cache = tmp_path / "cache"
    first = serve(files["forest"], "--cache-dir", cache)
    first.process.terminate()
    assert first.end().code == 0
    kept = sorted(path.suffix for path in cache.iterdir())
    assert kept == [".json", ".onnx"]
    serving = serve(files["forest"], "--cache-dir", cache)
    imported = Path(f"/proc/{serving.process.pid}/maps").read_text()
    assert "sklearn" not in imported
    assert "exact" in serving.banner


def test_compile_writes_a_file_with_its_provenance(
    run: Run, serve: Serve, files: dict[str, Path], tmp_path: Path
) -> None:
    """The file is served without the pickle, and ``check`` reads its verdict from it."""
    ended = run("compile", files["forest"], "-o", tmp_path / "forest.onnx")
    assert (ended.code, ended.err) == (0, "")
    assert "verdict  exact" in ended.out
    told = run("check", tmp_path / "forest.onnx")
    assert "RandomForestClassifier (scikit-learn)" in told.out
    serving = serve(tmp_path / "forest.onnx")
    assert "exact" in serving.banner
    assert httpx.post(f"{serving.url}/predict", json=ROW).json()["prediction"] == 0


def test_check_shows_it_all(run: Run, files: dict[str, Path], tmp_path: Path) -> None:
    """Estimator, graph, probes, difference, versions and the speed of both; rows of one's own."""
    sample = tmp_path / "rows.csv"
    sample.write_text("5.1,3.5,1.4,0.2\n6.2,2.9,4.3,1.3\n")
    ended = run("check", files["line"], "--sample", sample)
    assert ended.code == 0
    told = ("LogisticRegression", "agrees on", "2 sample", "MatMul", "scikit-learn 1", "1,024")
    assert [each for each in told if each not in ended.out] == []
    report = json.loads(run("check", files["forest"], "--json").out)
    assert report["verdict"]["kind"] == "exact"
    assert set(report["native_us"]) == {"1", "64", "1024"}


def test_doctor_tells_what_is_here_and_who_wrote_a_model(
    run: Run, files: dict[str, Path], fitted: dict[str, Any], tmp_path: Path
) -> None:
    """A version that differs is told with the cure, and ends with 1."""
    assert run("doctor").code == 0
    assert run("doctor", files["forest"]).code == 0
    import sklearn

    old = pickle.dumps(fitted["line"]).replace(sklearn.__version__.encode(), b"1.0.0")
    (tmp_path / "old.pkl").write_bytes(old)
    ended = run("doctor", tmp_path / "old.pkl")
    assert ended.code == 1
    assert re.search(r"scikit-learn +1\.0\.0 wrote it", ended.out)


def test_a_pickle_that_would_run_a_program_does_not(run: Run, tmp_path: Path) -> None:
    """It is refused before anything ran, by name, and in one line."""

    class Program:
        def __reduce__(self) -> Any:
            import os

            return os.system, (f"touch {tmp_path}/ran",)

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Program()))
    for command in ("serve", "compile", "check"):
        ended = run(command, tmp_path / "evil.pkl")
        assert ended.code == 1
        assert "system" in ended.err
        assert "--trust-pickle" in ended.err
        assert not (tmp_path / "ran").exists()
