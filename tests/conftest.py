"""What many tests ask for: tiny ONNX models, made once a session, and a running server of them."""

import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import inferd
from inferd.server.embedded import Server

FEATURES = ["sepal length", "sepal width", "petal length", "petal width"]
ROW = [5.1, 3.5, 1.4, 0.2]


class Models(NamedTuple):
    """The files, and the rows that the trained ones may be asked with."""

    iris: Path
    """A forest over four numbers, without ZipMap: label INT64[?], probabilities FP32[?, 3]."""
    prices: Path
    """A regression over the same four numbers: FP32[?, 1]."""
    species: Path
    """A classifier whose labels are strings."""
    columns: Path
    """A classifier with one input a column: colour BYTES[?, 1], size FP32[?, 1]."""
    spin: Path
    """Turns as often as it is told (INT64[1]) and answers after that: slow on demand."""
    zeros: Path
    """Answers with as many zeros as it is told (INT64[1]): a large answer to a small request."""
    rows: npt.NDArray[np.float32]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """All the models."""
    folder = tmp_path_factory.mktemp("models")
    names = (name for name in Models._fields if name != "rows")
    made = Models(**{name: folder / f"{name}.onnx" for name in names}, rows=_iris()[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters' own, about their dependencies
        _write_trained(made)
    _write(made.spin, _spin())
    _write(made.zeros, _zeros())
    return made


@pytest.fixture(scope="session")
def server(models: Models) -> Iterator[Server]:
    """One running server of all models; ``/predict`` asks iris."""
    with inferd.serve(
        models.iris, models.prices, models.species, models.columns, default_model="iris"
    ) as running:
        yield running


@pytest.fixture(scope="session")
def answers() -> Any:
    """What ONNX Runtime itself answers: the outputs of a file, by name, for some inputs."""

    def ask(path: Path, inputs: dict[str, Any]) -> dict[str, Any]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # several add a forest's trees up in another order
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))

    return ask


def _iris() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    from sklearn.datasets import load_iris

    data = load_iris()
    return data.data.astype(np.float32), data.target


def _write_trained(made: Models) -> None:
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LinearRegression

    rows, labels = _iris()
    names = np.array(["setosa", "versicolor", "virginica"])[labels]
    forest = RandomForestClassifier(10, random_state=0).fit(rows, labels)
    by_name = RandomForestClassifier(5, random_state=0).fit(rows, names)
    line = LinearRegression().fit(rows, rows[:, 0] * 3)
    props = {"inferd.example": json.dumps(ROW), "inferd.features": json.dumps(FEATURES)}
    for path, model in ((made.iris, forest), (made.species, by_name)):
        graph = to_onnx(model, rows[:1], options={id(model): {"zipmap": False}})
        helper.set_model_props(graph, props)
        _write(path, graph)
    _write(made.prices, to_onnx(line, rows[:1]))
    _write(made.columns, _columns())


def _columns() -> Any:
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    table = pd.DataFrame({"colour": ["red", "green", "blue"] * 20, "size": np.arange(60) / 10})
    encode = ColumnTransformer(
        [("colour", OneHotEncoder(), ["colour"]), ("size", "passthrough", ["size"])]
    )
    model = make_pipeline(encode, LogisticRegression())
    model.fit(table, (table["size"] > 3).astype(int))
    graph = to_onnx(
        model,
        initial_types=[
            ("colour", StringTensorType([None, 1])),
            ("size", FloatTensorType([None, 1])),
        ],
        options={id(model): {"zipmap": False}},
    )
    helper.set_model_props(graph, {"inferd.example": json.dumps(["red", 2.5])})
    return graph


def _spin() -> onnx.ModelProto:
    """A loop of small matrix products that no optimiser can take out, as its result is used."""
    shape = [64, 64]
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "weight"], ["next"]),
            helper.make_node("Identity", ["going"], ["on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, shape),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, shape),
        ],
    )
    nodes = [
        helper.make_node("Squeeze", ["turns"], ["count"]),
        helper.make_node("Loop", ["count", "true", "weight"], ["last"], body=body),
        helper.make_node("ReduceSum", ["last"], ["sum"], keepdims=0),
        helper.make_node("Unsqueeze", ["sum", "axis"], ["done"]),
    ]
    values = {
        "weight": np.eye(64, dtype=np.float32),
        "true": np.array(True),
        "axis": np.array([0], np.int64),
    }
    return _graph(nodes, ("turns", TensorProto.INT64, [1]), ("done", [1]), values)


def _zeros() -> onnx.ModelProto:
    nodes = [helper.make_node("ConstantOfShape", ["count"], ["zeros"])]
    return _graph(nodes, ("count", TensorProto.INT64, [1]), ("zeros", ["n"]), {})


def _graph(
    nodes: Sequence[onnx.NodeProto],
    given: tuple[str, int, list[Any]],
    made: tuple[str, list[Any]],
    values: dict[str, npt.NDArray[Any]],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*given)],
        [helper.make_tensor_value_info(made[0], TensorProto.FLOAT, made[1])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _write(path: Path, graph: onnx.ModelProto) -> None:
    onnx.checker.check_model(graph)
    path.write_bytes(graph.SerializeToString())
