"""Tests of bench/dialects.py: bodies that are sent and answers that are read."""

import json
import struct

import pytest
from tritonclient.grpc import service_pb2

from bench import dialects
from bench.dialects import Answer, Dialect

ROWS = [[5.1, 3.5], [6.2, 2.9]]


@pytest.mark.parametrize(
    ("dialect", "rows", "expected"),
    [
        ("plain", ROWS[:1], {"features": [5.1, 3.5]}),
        ("plain", ROWS, {"features": [[5.1, 3.5], [6.2, 2.9]]}),
        ("tfserving", ROWS, {"instances": ROWS}),
        ("kserve", ROWS[:1], {"instances": ROWS[:1]}),
        ("mlflow", ROWS, {"inputs": ROWS}),
        ("label", ROWS[:1], {"features": ROWS[0]}),
        ("labels", ROWS[:1], {"features": ROWS[:1]}),
        (
            "oip",
            ROWS,
            {
                "inputs": [
                    {
                        "name": "X",
                        "shape": [2, 2],
                        "datatype": "FP32",
                        "data": [5.1, 3.5, 6.2, 2.9],
                    }
                ]
            },
        ),
    ],
    ids=["plain-one", "plain-many", "tfserving", "kserve", "mlflow", "label", "labels", "oip"],
)
def test_a_body_is_the_rows_in_the_dialects_words(
    dialect: Dialect, rows: list[list[float]], expected: object
) -> None:
    """The same rows become each dialect's document, without spaces."""
    text = dialects.question(dialect, rows, "forest").body
    assert json.loads(text) == expected
    assert b" " not in text


@pytest.mark.parametrize(
    ("dialect", "reply", "expected"),
    [
        ("plain", {"prediction": 2, "probability": [0.0, 0.1, 0.9]}, Answer([2], 3)),
        (
            "plain",
            {"predictions": [0, 2], "probabilities": [[0.9, 0.1], [0.2, 0.8]]},
            Answer([0, 2], 4),
        ),
        (
            "tfserving",
            {"predictions": [{"label": 2, "probabilities": [0.0, 0.1, 0.9]}]},
            Answer([2], 3),
        ),
        ("kserve", {"predictions": [0, 2]}, Answer([0, 2], 0)),
        ("mlflow", {"predictions": [0, 2]}, Answer([0, 2], 0)),
        ("label", {"prediction": 2}, Answer([2], 0)),
        ("labels", [2], Answer([2], 0)),
        ("mlserver", {"outputs": [{"name": "predict", "data": [2]}]}, Answer([2], 0)),
        (
            "add-sub",
            {"outputs": [{"name": "OUTPUT1", "data": [2.0]}, {"name": "OUTPUT0", "data": [1.0]}]},
            Answer([1, 2], 0),
        ),
        ("oip", {"outputs": [{"data": [0, 2]}, {"data": [0.9, 0.1, 0.2, 0.8]}]}, Answer([0, 2], 4)),
    ],
    ids=[
        "plain-one",
        "plain-many",
        "tfserving",
        "kserve",
        "mlflow",
        "label",
        "labels",
        "mlserver",
        "add-sub",
        "oip",
    ],
)
def test_an_answer_is_labels_and_a_number_of_probabilities(
    dialect: Dialect, reply: object, expected: Answer
) -> None:
    """Answers of both dialects are read into one record, so that they can be compared."""
    assert dialects.read(dialect, json.dumps(reply).encode()) == expected


def test_a_binary_body_is_a_document_and_the_rows_memory() -> None:
    """The header tells where the document ends; what follows are the values in 32 bits each."""
    question = dialects.question("oip-binary", ROWS, "forest")
    length = int(question.headers[dialects.JSON_LENGTH])
    tensor = json.loads(question.body[:length])["inputs"][0]
    assert tensor["shape"] == [2, 2]
    assert tensor["parameters"] == {"binary_data_size": 16}
    assert struct.unpack("<4f", question.body[length:]) == pytest.approx((5.1, 3.5, 6.2, 2.9))


@pytest.mark.parametrize(("more", "probabilities"), [(b"", 4), (b"x", -1)], ids=["whole", "longer"])
def test_a_binary_answer_is_read_by_the_sizes_in_its_document(
    more: bytes, probabilities: int
) -> None:
    """Memory that no tensor claims is no right answer."""
    sizes = [{"parameters": {"binary_data_size": size}} for size in (16, 16)]
    blob = struct.pack("<2q4f", 0, 2, 0.9, 0.1, 0.2, 0.8)
    reply = json.dumps({"outputs": sizes}).encode() + blob + more
    assert dialects.read("oip-binary", reply) == Answer([0, 2], probabilities)


def test_a_message_is_the_rows_as_raw_contents_behind_its_prefix() -> None:
    """gRPC's five bytes say that it is not packed, and how long it is."""
    question = dialects.question("grpc", ROWS, "forest")
    assert question.headers["content-type"] == "application/grpc"
    assert struct.unpack_from(">BI", question.body) == (0, len(question.body) - 5)
    message = service_pb2.ModelInferRequest.FromString(question.body[5:])
    assert message.model_name == "forest"
    assert list(message.inputs[0].shape) == [2, 2]
    sent = struct.unpack("<4f", message.raw_input_contents[0])
    assert sent == pytest.approx((5.1, 3.5, 6.2, 2.9))


def test_a_message_that_answers_is_read_from_its_raw_contents() -> None:
    """As from a document: the labels, and how many probabilities came with them."""
    blobs = [struct.pack("<2q", 0, 2), struct.pack("<4f", 0.9, 0.1, 0.2, 0.8)]
    reply = service_pb2.ModelInferResponse(raw_output_contents=blobs)
    assert dialects.read("grpc", reply.SerializeToString()) == Answer([0, 2], 4)


@pytest.mark.parametrize("live", [True, False])
def test_an_empty_call_is_answered_right_by_a_server_that_lives(live: bool) -> None:
    """A server that says that it does not live has answered wrong."""
    assert dialects.question("grpc-live", ROWS, "forest").body == bytes(5)
    reply = service_pb2.ServerLiveResponse(live=live).SerializeToString()
    expected = dialects.expected("grpc-live", [0, 2], 3)
    assert (dialects.read("grpc-live", reply) == expected) == live


@pytest.mark.parametrize(("dialect", "probabilities"), [("tfserving", 6), ("mlflow", 0)])
def test_the_right_answer_has_probabilities_where_the_dialect_tells_them(
    dialect: Dialect, probabilities: int
) -> None:
    """Dialects of scikit-learn servers answer with labels alone."""
    assert dialects.expected(dialect, [0, 2], 3) == Answer([0, 2], probabilities)
