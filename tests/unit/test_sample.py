"""compiling/sample: the user's own rows, from CSV."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from inferd.compiling.sample import read_sample
from inferd.errors import ConfigError
from inferd.estimators.fitted import Fitted

ROWS = [[1.5, 2.0], [3.0, -1.0], [0.0, 0.25]]


@pytest.fixture(scope="module")
def named() -> Fitted:
    """A model that was fitted with names."""
    table = pd.DataFrame(ROWS, columns=["width", "height"])
    return Fitted.of(LogisticRegression().fit(table, [0, 1, 0]))


@pytest.fixture(scope="module")
def unnamed() -> Fitted:
    """A model that was fitted without."""
    return Fitted.of(LogisticRegression().fit(ROWS, [0, 1, 0]))


def _file(folder: Path, text: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "width,height\n1.5,2\n3,-1\n",
        "height,id,width\n2,a,1.5\n-1,b,3\n",
        "1.5,2\n3,-1\n",
        "\ufeffwidth,height\r\n1.5,2\r\n\r\n3,-1\r\n",
    ],
)
def test_columns_are_found_by_name_or_by_place(named: Fitted, tmp_path: Path, text: str) -> None:
    """In any order, with others beside them, or without a line of names."""
    found = read_sample(_file(tmp_path, text), named)
    assert found["X"].tolist() == [[1.5, 2], [3, -1]]


def test_an_empty_field_is_missing(unnamed: Fitted, tmp_path: Path) -> None:
    """As in a data frame."""
    found = read_sample(_file(tmp_path, "1,\n,2\n"), unnamed)
    assert np.isnan(found["X"]).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("width,depth\n1,2\n", "lacks columns"),
        ("1\n", "does not fit"),
        ("1,b\n", "does not fit"),
    ],
)
def test_a_file_that_does_not_fit_is_told(
    named: Fitted, tmp_path: Path, text: str, told: str
) -> None:
    """With what was got and expected."""
    with pytest.raises(ConfigError, match=told):
        read_sample(_file(tmp_path, text), named)


def test_a_file_that_is_not_there_is_told(named: Fitted, tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(ConfigError, match=r"rows\.csv"):
        read_sample(tmp_path / "rows.csv", named)
