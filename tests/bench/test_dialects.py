"""Tests of bench/dialects.py: bodies that are sent and answers that are read."""

import json

import pytest

from bench import dialects
from bench.dialects import Answer, Dialect

ROWS = [[5.1, 3.5], [6.2, 2.9]]


@pytest.mark.parametrize(
    ("dialect", "rows", "expected"),
    [
        ("plain", ROWS[:1], {"features": [5.1, 3.5]}),
        ("plain", ROWS, {"features": [[5.1, 3.5], [6.2, 2.9]]}),
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
    ids=["plain-one", "plain-many", "oip"],
)
def test_a_body_is_the_rows_in_the_dialects_words(
    dialect: Dialect, rows: list[list[float]], expected: object
) -> None:
    """The same rows become each dialect's document, without spaces."""
    text = dialects.body(dialect, rows)
    assert json.loads(text) == expected
    assert " " not in text


@pytest.mark.parametrize(
    ("dialect", "reply", "expected"),
    [
        ("plain", {"prediction": 2, "probability": [0.0, 0.1, 0.9]}, Answer([2], 3)),
        (
            "plain",
            {"predictions": [0, 2], "probabilities": [[0.9, 0.1], [0.2, 0.8]]},
            Answer([0, 2], 4),
        ),
        ("oip", {"outputs": [{"data": [0, 2]}, {"data": [0.9, 0.1, 0.2, 0.8]}]}, Answer([0, 2], 4)),
    ],
    ids=["plain-one", "plain-many", "oip"],
)
def test_an_answer_is_labels_and_a_number_of_probabilities(
    dialect: Dialect, reply: object, expected: Answer
) -> None:
    """Answers of both dialects are read into one record, so that they can be compared."""
    assert dialects.read(dialect, json.dumps(reply).encode()) == expected
