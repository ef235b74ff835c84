"""What fitted models remember of their data."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from inferd.compiling.ranges import Range, evenly, ranges
from inferd.tensors import Array

ROWS = np.random.default_rng(0).normal([5.0, -2000.0, 1.6e9], [0.1, 300.0, 1e6], (200, 3))
LABELS = (ROWS[:, 0] > 5).astype(int)


def known(model: Any, width: int = 3, rows: Array | None = None) -> list[Range]:
    """The ranges of *width* columns, and of sample *rows* if any."""
    sample = np.empty((0, width)) if rows is None else rows
    return ranges(model, {}, list(sample.T), range(width))


def is_near(found: list[Range]) -> bool:
    """Whether centers and spreads are about those of ROWS."""
    centers = np.array([each.center for each in found])
    spreads = np.array([each.spread for each in found])
    wide = ROWS.std(axis=0)
    ratio = spreads / wide
    return bool((abs(centers - ROWS.mean(axis=0)) < 2 * wide).all() and (ratio > 0.2).all())


def test_nothing_known_is_standard() -> None:
    """A model that remembers nothing gets columns around 0, of spread 1."""
    assert [each[:2] for each in known(object())] == [(0.0, 1.0)] * 3


def test_a_sample_tells() -> None:
    """Rows of the user's own say where the columns lie."""
    assert is_near(known(object(), rows=ROWS))


def test_points_tell() -> None:
    """Values that a model compares with lie where its data lay."""
    (found,) = ranges(object(), {0: np.array([10.0, 20.0, 30.0])}, [np.empty(0)], [0])
    assert found.center == 20
    assert found.points.tolist() == [10, 20, 30]
    assert 5 < found.spread < 20


def test_strings_of_a_sample_are_known() -> None:
    """Each string is known once, in the order of appearance."""
    (found,) = ranges(object(), {}, [np.array(["b", "a", "b"], object)], [0])
    assert found.texts == ("b", "a")


def test_columns_may_stand_elsewhere_in_the_model() -> None:
    """Where the model was fitted on more columns than it reads, positions say which they are."""
    scaler = SimpleNamespace(mean_=np.array([1.0, 2.0, 3.0]), n_features_in_=3)
    found = ranges(scaler, {}, [np.empty(0)] * 2, [0, 2])
    assert [each.center for each in found] == [1, 3]


def test_evenly_takes_both_ends() -> None:
    """At most so many places, the first and the last among them."""
    assert evenly(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly(2, 4).tolist() == [0, 1]
    assert evenly(0, 4).tolist() == []


@pytest.mark.formats
def test_scikit_learns_models_tell() -> None:
    """Scalers, neighbours, centers, trees and discriminants say where their columns lay."""
    from sklearn.cluster import KMeans
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    for model in (
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(MinMaxScaler(), LogisticRegression()),
        KNeighborsClassifier(),
        HistGradientBoostingClassifier(max_iter=2),
        GaussianNB(),
    ):
        assert is_near(known(model.fit(ROWS, LABELS))), model
    assert known(KMeans(3, n_init=1).fit(ROWS))[2].center == pytest.approx(1.6e9, rel=0.01)


@pytest.mark.formats
def test_thresholds_behind_a_scaler_come_back() -> None:
    """What a tree compares behind a scaler is told as the scaler's input has it."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(random_state=0)
    scaled = known(make_pipeline(StandardScaler(), tree).fit(ROWS, LABELS))[0].points
    plain = known(DecisionTreeClassifier(random_state=0).fit(ROWS, LABELS))[0].points
    assert scaled == pytest.approx(plain, rel=1e-6)


@pytest.mark.formats
def test_categories_are_told_by_column() -> None:
    """Numbers and strings that encoders know, and the order that boosting puts columns in."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.preprocessing import OneHotEncoder

    table = np.array([["a", 1], ["b", 2]] * 5, object)
    words, numbers = known(OneHotEncoder().fit(table), 2)
    assert words.texts == ("a", "b")
    assert numbers.categories.tolist() == [1, 2]
    rows = np.column_stack([ROWS[:, 0], np.arange(200) % 3])
    boosting = HistGradientBoostingClassifier(max_iter=2, categorical_features=[1])
    plain, named = known(boosting.fit(rows, LABELS), 2)
    assert named.categories.tolist() == [0, 1, 2]
    assert plain.center == pytest.approx(5, abs=0.2)
