"""What a fitted model remembers of the data that it was fitted on: where each column's values lay.

Nothing here has to be right for a verdict to be right: it says where looking is worth while.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from inferd.estimators.columns import kinds
from inferd.tensors import Array

CENTERS = ("mean_", "center_", "location_", "statistics_", "xbar_", "_x_mean")
SPREADS = ("scale_", "data_range_", "_x_std")
VARIANCES = ("var_",)
ROWS = (
    *("data_min_", "data_max_", "quantiles_", "theta_", "means_", "centroids_"),
    *("cluster_centers_", "subcluster_centers_", "support_vectors_", "_raw_data"),
    *("_fit_X", "X_train_", "X_fit_", "X_thresholds_"),
)
"""Attributes whose rows are rows of data, or lie among them."""
BY_COLUMN = ("categories_", "bin_edges_", "bin_thresholds_", "bin_values_")
"""Attributes that hold an array for each column."""
PER_COLUMN_SCALERS = (
    *("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"),
    *("PowerTransformer", "QuantileTransformer"),
)
"""Steps that change each column by itself, and can tell from what."""
VISITS = 2000
MANY = 5000
"""Values kept for a column."""


class Range(NamedTuple):
    """One column."""

    center: float
    spread: float
    points: Array
    """Values that the model tells apart, or has seen: float64, distinct, ascending."""
    categories: Array
    """Those of them that are names of categories."""
    texts: tuple[str, ...]
    """Strings that it knows."""


def ranges(
    model: Any, points: Mapping[int, Array], rows: Sequence[Array], positions: Sequence[int]
) -> list[Range]:
    """Where the values of each column lie, by the fitted *model*, the *points* at which it is known
    to compare them, and the columns of some *rows* of data, which may be empty.

    *positions*: where the columns stand among all that the model was fitted on.
    """
    width = max([*positions, (_columns(model) or 1) - 1]) + 1
    table = [Note() for _ in range(width)]
    _Walk().visit(model, table)
    _named(model, table)
    notes = [table[at] for at in positions]
    for column, values in enumerate(rows):
        if values.dtype == object:
            notes[column].texts += [str(each) for each in dict.fromkeys(values.tolist())]
        else:
            notes[column].add_rows(values)
    for column, values in points.items():
        notes[column].points.append(np.asarray(values, float))
    return [note.range() for note in notes]


@dataclass
class Note:
    """What was found of one column so far."""

    centers: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)
    guess: tuple[float, float] | None = None
    """A center and a spread by coefficients: taken where nothing else is known."""
    points: list[Array] = field(default_factory=list)
    categories: list[Array] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def add_rows(self, values: Array) -> None:
        """Values of the column itself."""
        finite = np.asarray(values, float)
        finite = finite[np.isfinite(finite)]
        if len(finite):
            self.centers.insert(0, float(np.median(finite)))
            if (spread := float(finite.std())) > 0:
                self.spreads.insert(0, spread)

    def range(self) -> Range:
        """The first found counts: a model's outer parts see the columns as they come."""
        points = _distinct(self.points)
        categories = _distinct(self.categories)
        center, spread = self._extent(points if len(points) else categories)
        return Range(
            center,
            spread,
            np.union1d(points, categories),
            categories,
            tuple(dict.fromkeys(self.texts)),
        )

    def _extent(self, points: Array) -> tuple[float, float]:
        if self.centers:
            center = self.centers[0]
            return center, self.spreads[0] if self.spreads else _width(points, center)
        if len(points):
            center = float(np.median(points))
            return center, _width(points, center)
        return self.guess or (0.0, 1.0)


def _named(model: Any, notes: list[Note]) -> None:
    """The categories that a model of any library reads its columns by."""
    for note, kind in zip(notes, kinds(model, len(notes)), strict=True):
        known = [*(kind.categories or ()), *([] if kind.example is None else [kind.example])]
        note.texts += [v for v in known if isinstance(v, str)]
        if kind.categories is not None:
            note.categories.append(np.array([v for v in known if _is_number(v)], float))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating)


def _width(points: Array, center: float) -> float:
    """How far values lie from *center*, to all appearances."""
    spread = float(points.std()) if len(points) else 0.0
    return spread or max(1.0, abs(center))


def _distinct(parts: list[Array]) -> Array:
    if not parts:
        return np.empty(0)
    values = np.unique(np.concatenate([np.asarray(part, float).ravel() for part in parts]))
    values = values[np.isfinite(values)]
    kept: Array = values[evenly(len(values), MANY)]
    return kept


def evenly(count: int, limit: int) -> Array:
    """The places of at most *limit* among *count* things, as far apart as can be."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, limit)).astype(np.int64))


class _Walk:
    """Goes through a fitted object and the fitted objects in it that see the same columns."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def visit(self, thing: Any, notes: list[Note]) -> None:
        """Note what *thing*, which sees the columns of *notes* in their order, remembers."""
        if id(thing) in self._seen or len(self._seen) >= VISITS or not notes:
            return
        self._seen.add(id(thing))
        if isinstance(steps := getattr(thing, "steps", None), list):
            self._pipeline([step[1] for step in steps], notes)
            return
        if isinstance(picked := _quietly(thing, "_transformer_to_input_indices"), dict):
            for name, part, _ in thing.transformers_:
                self.visit(part, [notes[at] for at in picked.get(name, ())])
            return
        note_all(thing, notes)
        subsets = _quietly(thing, "estimators_features_")
        if isinstance(subsets, list):
            for part, picked in zip(thing.estimators_, subsets, strict=False):
                self.visit(part, [notes[at] for at in np.asarray(picked).tolist()])
            return
        inside = self._preprocessed(thing, notes)
        for child in _children(thing):
            if _columns(child) in (None, len(notes)):
                self.visit(child, inside)

    def _preprocessed(self, thing: Any, notes: list[Note]) -> list[Note]:
        """The columns as HistGradientBoosting's trees count them: categories come first."""
        first = _quietly(thing, "_preprocessor")
        picked = _quietly(first, "_transformer_to_input_indices")
        if not isinstance(picked, dict):
            return notes
        self.visit(first, notes)
        return [notes[at] for name, _, _ in first.transformers_ for at in picked.get(name, ())]

    def _pipeline(self, steps: Sequence[Any], notes: list[Note]) -> None:
        for at, step in enumerate(steps):
            if step is None or step == "passthrough":
                continue
            self.visit(step, notes)
            if type(step).__name__ in PER_COLUMN_SCALERS:
                self._behind(step, steps[at + 1 :], notes)
            if not type(step).__name__.endswith("Imputer"):
                return  # what comes after sees other values

    def _behind(self, scaler: Any, steps: Sequence[Any], notes: list[Note]) -> None:
        """The points of the steps behind *scaler*, as near as its inverse brings them."""
        inner = [Note() for _ in notes]
        self._pipeline(steps, inner)
        points = [note.range().points for note in inner]
        table = np.zeros((max(map(len, points)), len(notes)))
        for column, values in enumerate(points):
            table[: len(values), column] = values
        try:
            back = scaler.inverse_transform(table)
        except Exception:  # noqa: BLE001 - points found here are a help, not a need
            return
        for column, values in enumerate(points):
            notes[column].points.append(np.asarray(back)[: len(values), column])


def note_all(thing: Any, notes: list[Note]) -> None:
    """Note what is in the attributes of *thing* itself."""
    rows = [found for name in ROWS if (found := _table(thing, name, len(notes))) is not None]
    for column, note in enumerate(notes):
        for table in rows:
            note.points.append(table[evenly(len(table), 200), column])
    if rows:
        table = np.concatenate(rows)
        within = _first(thing, VARIANCES, notes)
        inner = 0.0 if within is None else np.maximum(within, 0)
        centers, spreads = table.mean(axis=0), np.sqrt(table.var(axis=0) + inner)
    else:
        centers, spreads = _first(thing, CENTERS, notes), _first(thing, SPREADS, notes)
        variances = _first(thing, VARIANCES, notes)
        if spreads is None and variances is not None:
            spreads = np.sqrt(np.maximum(variances, 0))
    _extend(notes, centers, spreads)
    _by_column(thing, notes)
    _trees(thing, notes)
    _coefficients(thing, notes)


def _extend(notes: list[Note], centers: Array | None, spreads: Array | None) -> None:
    for column, note in enumerate(notes):
        if centers is not None and np.isfinite(centers[column]):
            note.centers.append(float(centers[column]))
        if spreads is not None and np.isfinite(spreads[column]) and spreads[column] > 0:
            note.spreads.append(float(spreads[column]))


def _by_column(thing: Any, notes: list[Note]) -> None:
    for name in BY_COLUMN:
        found = _quietly(thing, name)
        if not isinstance(found, list | tuple | np.ndarray) or len(found) != len(notes):
            continue
        for note, values in zip(notes, found, strict=True):
            known = np.asarray(values).ravel()
            numbers = [v for v in known.tolist() if isinstance(v, int | float)]
            note.texts += [v for v in known.tolist() if isinstance(v, str)]
            (note.categories if name == "categories_" else note.points).append(
                np.array(numbers, float)
            )
    words = _quietly(thing, "vocabulary_")
    if isinstance(words, dict) and len(notes) == 1:
        notes[0].texts += _sentences([str(word) for word in words])


def _sentences(words: Sequence[str]) -> list[str]:
    picked = [words[at] for at in evenly(len(words), 200)]
    return [*picked, *(f"{a} {b}" for a, b in pairwise(picked)), " ".join(picked)]


def _trees(thing: Any, notes: list[Note]) -> None:
    """The thresholds of scikit-learn's two kinds of tree."""
    grown, nodes = _quietly(thing, "tree_"), _quietly(thing, "nodes")
    if grown is not None and hasattr(grown, "threshold"):
        features, thresholds = grown.feature, grown.threshold
    elif isinstance(nodes, np.ndarray) and "num_threshold" in (nodes.dtype.names or ()):
        inner = nodes[nodes["is_leaf"] == 0]
        features, thresholds = inner["feature_idx"], inner["num_threshold"]
    else:
        return
    for column, note in enumerate(notes):
        if len(found := thresholds[features == column]):
            note.points.append(np.asarray(found, float))


def _coefficients(thing: Any, notes: list[Note]) -> None:
    """Where a linear model, or a network's first layer, changes sides, and how fast."""
    layers = _quietly(thing, "coefs_")
    if isinstance(layers, list):
        weights, offsets = np.asarray(layers[0]).T, np.asarray(thing.intercepts_[0])
    else:
        found = _table(thing, "coef_", len(notes))
        if found is None:
            return
        offset = _quietly(thing, "intercept_")
        weights, offsets = found, np.ravel(0.0 if offset is None else offset)
    if weights.shape[1] != len(notes) or not np.isfinite(weights).all():
        return
    offsets = np.broadcast_to(offsets, (len(weights),)) if offsets.size == 1 else offsets
    if len(offsets) != len(weights):
        return
    center = np.linalg.lstsq(weights, -np.asarray(offsets, float), rcond=None)[0]
    spread = 1 / np.clip(np.abs(weights).max(axis=0), 1e-6, 1e6)
    for column, note in enumerate(notes):
        note.guess = note.guess or (float(center[column]), float(spread[column]))


def _first(thing: Any, names: Sequence[str], notes: list[Note]) -> Array | None:
    """The first attribute that has a number for each column; the mean of several rows of them."""
    for name in names:
        table = _table(thing, name, len(notes))
        if table is not None:
            return np.asarray(table.mean(axis=0))
    return None


def _table(thing: Any, name: str, width: int) -> Array | None:
    """An attribute as float64 [rows, width], if it is one."""
    found = _quietly(thing, name)
    if hasattr(found, "toarray"):
        found = found.toarray()
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiub" or not found.size:
        return None
    if found.ndim == 1:
        found = found[:, None] if width == 1 else found[None, :]
    return found.astype(float) if found.ndim == 2 and found.shape[1] == width else None


def _children(thing: Any) -> Iterator[Any]:
    """Fitted objects in the attributes of *thing*, and in their lists."""
    for value in getattr(thing, "__dict__", {}).values():
        yield from _fitted(value, 3)


def _fitted(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist() if value.dtype == object else ()
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        if depth and len(value) <= MANY:
            for each in value:
                yield from _fitted(each, depth - 1)
    elif type(value).__module__.partition(".")[0] == "sklearn":
        yield value


def _columns(thing: Any) -> int | None:
    """How many columns a fitted object sees; None where it does not tell."""
    found = _quietly(thing, "n_features_in_")
    return int(found) if found is not None else None


def _quietly(thing: Any, name: str) -> Any:
    """An attribute; None where there is none, or it cannot be had."""
    try:
        return getattr(thing, name, None)
    except Exception:  # noqa: BLE001 - properties of fitted models raise their libraries' own errors
        return None
