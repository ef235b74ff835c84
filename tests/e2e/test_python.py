"""``inferd.load`` and ``inferd.serve`` as in a notebook or a script."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper

import inferd
from tests.conftest import FEATURES, ROW, Models


def test_load_predicts_what_the_file_says(models: Models, answers: Any) -> None:
    """Lists, numpy and pandas: the same rows, ONNX Runtime's own answers."""
    label, probability = answers(models.iris, {"X": models.rows}).values()
    model = inferd.load(models.iris)
    table = pd.DataFrame(models.rows, columns=FEATURES)
    records = [dict(zip(FEATURES, row, strict=True)) for row in models.rows.tolist()]
    for rows in (models.rows, models.rows.tolist(), table, records, models.rows.astype(float)):
        result = model.predict(rows)
        np.testing.assert_array_equal(np.asarray(result), label)
        np.testing.assert_array_equal(result.probability, probability)


def test_load_and_serve_agree(models: Models) -> None:
    """The server answers what the loaded model answers."""
    with inferd.serve(models.species) as server:
        document = {"features": models.rows.tolist()}
        served = httpx.post(f"{server.url}/predict", json=document).json()
    loaded = inferd.load(models.species).predict(models.rows)
    assert served["predictions"] == list(loaded)


def test_predict_one_bare_row(models: Models) -> None:
    """One row needs no list around it."""
    assert list(inferd.load(models.iris).predict(ROW)) == [0]


def test_predict_rows_of_numpy(models: Models) -> None:
    """A list of numpy rows, and tuples of numpy scalars, are rows like others."""
    model = inferd.load(models.iris)
    expected = list(model.predict(models.rows))
    assert list(model.predict(list(models.rows))) == expected
    assert list(model.predict([tuple(row) for row in models.rows])) == expected


def test_predict_a_table_of_columns(models: Models) -> None:
    """A DataFrame with a column a input is matched by the columns' names."""
    model = inferd.load(models.columns)
    table = pd.DataFrame({"colour": ["red", "blue"], "size": [1.0, 5.0]})
    expected = model.predict([["red", 1.0], ["blue", 5.0]])
    assert list(model.predict(table)) == list(expected)
    assert list(model.predict(table[["size", "colour"]])) == list(expected)


def test_predict_a_table_with_its_columns_in_another_order(models: Models) -> None:
    """A DataFrame whose columns are the model's features, shuffled, means the same rows."""
    table = pd.DataFrame(models.rows, columns=FEATURES)
    model = inferd.load(models.iris)
    shuffled = model.predict(table[FEATURES[::-1]])
    np.testing.assert_array_equal(shuffled.probability, model.predict(table).probability)


def test_predict_a_whole_table(models: Models) -> None:
    """Columns that the model does not know are left aside; one that it needs is missed."""
    model = inferd.load(models.iris)
    table = pd.DataFrame(models.rows, columns=FEATURES)
    whole = table.assign(species="unknown", number=range(len(table)))[
        ["number", *FEATURES[::-1], "species"]
    ]
    np.testing.assert_array_equal(
        model.predict(whole).probability, model.predict(table).probability
    )
    with pytest.raises(
        inferd.errors.InvalidInput, match=r"Did you mean 'sepal length' by 'sepal l"
    ):
        model.predict(table.rename(columns={"sepal length": "sepal lenght"}))


def test_predict_a_record(models: Models) -> None:
    """A record, alone, in a list, or a row of a DataFrame, is the row that it names."""
    record = dict(reversed(list(zip(FEATURES, ROW, strict=True))))
    model = inferd.load(models.iris)
    expected = model.predict(ROW).probability
    for rows in (record, [record], pd.Series(record), pd.DataFrame([record])):
        np.testing.assert_array_equal(model.predict(rows).probability, expected)
    named = inferd.load(models.columns)
    assert list(named.predict({"size": 2.5, "colour": "red"})) == list(named.predict(["red", 2.5]))


def test_predict_missing_values_and_categories(models: Models) -> None:
    """A DataFrame of categories, booleans, and missing values in every spelling."""
    model = inferd.load(models.columns)
    table = pd.DataFrame({"size": [True, False], "colour": pd.Categorical(["red", "blue"])})
    expected = model.predict([["red", 1], ["blue", 0]])
    np.testing.assert_array_equal(model.predict(table).probability, expected.probability)
    with pytest.raises(inferd.errors.InvalidInput, match="strings, which cannot be missing"):
        model.predict(pd.DataFrame({"size": [1, 2], "colour": ["red", None]}))


def test_predict_in_double_precision(tmp_path: Path) -> None:
    """A model of FP64 gets every digit, whatever holds the rows."""
    path = tmp_path / "double.onnx"
    values = [
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 2]) for name in ("X", "Y")
    ]
    node = helper.make_node("Identity", ["X"], ["Y"])
    graph = helper.make_graph([node], "double", values[:1], values[1:])
    opset = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=9)
    helper.set_model_props(made, {"inferd.features": '["a", "b"]'})
    path.write_bytes(made.SerializeToString())
    model, row = inferd.load(path), [1 / 3, 2**53 + 1]
    expected = [[1 / 3, float(2**53 + 1)]]
    table = pd.DataFrame({"b": [2**53 + 1], "a": [1 / 3], "c": ["?"]})
    for rows in (row, [row], {"b": row[1], "a": row[0]}, table, np.array([row])):
        assert np.asarray(model.predict(rows)).tolist() == expected
    with inferd.serve(path) as server:
        for sent in ({"features": row}, {"b": row[1], "a": row[0]}):
            answer = httpx.post(f"{server.url}/predict", json=sent).json()
            assert answer["prediction"] == expected[0]


@pytest.mark.parametrize("rows", [[], [[1.0, 2.0]], [["a"] * 4], np.zeros((2, 3)), [[None, "x"]]])
def test_rows_that_do_not_fit(models: Models, rows: Any) -> None:
    """What does not fit is told with what was expected."""
    with pytest.raises(inferd.errors.InferdError, match="expected"):
        inferd.load(models.iris).predict(rows)


def test_repr_is_a_table(models: Models) -> None:
    """The result prints as a table, a line a row; a long one is shortened."""
    model = inferd.load(models.species)
    lines = repr(model.predict(models.rows[:2])).splitlines()
    assert lines[0].split()[:2] == ["row", "prediction"]
    assert lines[1].split()[:2] == ["0", "setosa"]
    assert len({len(line) for line in lines}) == 1
    assert len(repr(model.predict(models.rows)).splitlines()) < 30


def test_html_is_a_table(models: Models) -> None:
    """A notebook shows a table, with what is in it escaped."""
    html = inferd.load(models.species).predict(models.rows[:2])._repr_html_()
    assert html.count("<tr>") == 3
    assert len(re.findall("<td>", html)) == 2 * 5


def test_model_repr(models: Models) -> None:
    """A loaded model says what it is."""
    text = repr(inferd.load(models.iris))
    assert "iris" in text
    assert "sepal length" in text
    assert "FP32[?, 4]" in text


def test_serve_as_a_context(models: Models) -> None:
    """A server lives as long as its block."""
    with inferd.serve(models.iris) as server:
        url = server.url
        assert httpx.post(f"{url}/predict", json={"features": ROW}).json()["prediction"] == 0
        assert "serving" in repr(server)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_a_stopped_server_can_still_be_shown(models: Models) -> None:
    """The repr and the URL of a server outlive it: a notebook shows it again."""
    server = inferd.serve(models.iris)
    url = server.url
    server.stop()
    assert server.url == url
    assert "stopped" in repr(server)


def test_serve_under_a_running_loop(models: Models) -> None:
    """It works where a loop runs already, as in a notebook."""

    async def use() -> Any:
        with inferd.serve(models.iris) as server:
            async with httpx.AsyncClient() as client:
                answer = await client.post(f"{server.url}/predict", json={"features": ROW})
                return answer.json()["prediction"]

    assert asyncio.run(use()) == 0


def test_two_servers_side_by_side(models: Models) -> None:
    """Two servers in one process have their own ports and models."""
    with inferd.serve(models.iris) as one, inferd.serve(models.prices) as two:
        assert one.url != two.url
        assert httpx.get(f"{one.url}/v2/models/prices").status_code == 404
        assert httpx.get(f"{two.url}/v2/models/prices").status_code == 200


def test_serve_tells_what_is_wrong(models: Models, tmp_path: Path) -> None:
    """A missing file, a wrong setting and a taken port are raised where the server is started."""
    with pytest.raises(inferd.errors.InferdError, match="no model"):
        inferd.serve(tmp_path / "nothing.onnx")
    with pytest.raises(inferd.errors.InferdError, match="prot"):
        inferd.serve(models.iris, prot=1)
    with inferd.serve(models.iris) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(inferd.errors.InferdError, match="taken"):
            inferd.serve(models.iris, port=port)
