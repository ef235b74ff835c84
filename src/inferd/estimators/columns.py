"""What the columns of a fitted model's table hold, told from what the model learned: numbers or
strings, and of what categories."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, zip_longest
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

Use: TypeAlias = Literal["unused", "number", "text"]


class Kind(NamedTuple):
    """One column's."""

    use: Use
    example: Any = None
    """A value that the model accepts; None where any will do."""
    categories: tuple[Any, ...] | None = None
    """Those that the library reads by, where it takes the column as pandas' categories."""


NUMBER, UNUSED = Kind("number"), Kind("unused")
DOCUMENT = "text"
"""The name of the only input of a model of documents."""


def kinds(model: Any, width: int) -> list[Kind]:
    """The kinds of the *width* columns of *model*'s table."""
    reader = _named_after_class(READERS, model)
    if reader is not None:
        return _fill(reader(model, width), width)
    return _merged([kinds(each, width) for each in inner(model)], width)


def reads_documents(model: Any) -> bool:
    """Whether *model* is given a list of strings and no table."""
    if any(base.__name__ in VECTORIZERS for base in type(model).__mro__):
        return True
    if hasattr(model, "transformers_"):
        return False  # a column may hold documents, and stands in a table
    return any(map(reads_documents, inner(model)))


def inner(model: Any) -> list[Any]:
    """The fitted models that *model* hands its rows to as they are."""
    if hasattr(model, "steps"):
        return [step for step in _first(model) if hasattr(step, "fit")]
    if hasattr(model, "transformer_list"):
        return [each for _, each in model.transformer_list if hasattr(each, "fit")]
    found = [getattr(model, name, None) for name in ("best_estimator_", "regressor_", "estimator_")]
    found += [each.estimator for each in getattr(model, "calibrated_classifiers_", ())[:1]]
    # Trees read the numbers that the forest has made; there may be thousands.
    found += [each for each in _flat(getattr(model, "estimators_", ())) if not _is_tree(each)]
    return [each for each in found if hasattr(each, "fit") or hasattr(each, "inferd_library")]


def attribute(model: Any, name: str) -> Any:
    """The attribute *name* of *model*, or of the first inside that has it and is handed the same
    rows; else None."""
    try:
        value = getattr(model, name)
    except Exception:  # noqa: BLE001 - a property of any library; what it raises means "none"
        value = None
    if value is not None:
        return value
    return next((v for each in inner(model) if (v := attribute(each, name)) is not None), None)


def _pipeline(model: Any, width: int) -> list[Kind]:
    steps = _first(model)
    return kinds(steps[-1], width) if steps else [NUMBER] * width


def _first(pipeline: Any) -> list[Any]:
    """The steps up to the first that tells what its columns are: a function tells nothing."""
    found = []
    for _, step in pipeline.steps:
        if step is None or step == "passthrough":
            continue
        found.append(step)
        if not _is_function(step):
            break
    return found


def _column_transformer(model: Any, width: int) -> list[Kind]:
    """Each column as the first transformer that learned something of it has it."""
    lists = []
    for name, transformer, chosen in model.transformers_:
        columns = list(model._transformer_to_input_indices.get(name, ()))
        found = [UNUSED] * width
        if not (isinstance(transformer, str) and transformer == "drop"):
            inside = _transformed(transformer, chosen, len(columns))
            for column, kind in zip(columns, inside, strict=True):
                found[column] = kind
        lists.append(found)
    return _merged(lists, width, UNUSED)


def _transformed(transformer: Any, chosen: Any, width: int) -> list[Kind]:
    if isinstance(transformer, str):
        return [NUMBER] * width
    if np.isscalar(chosen) and reads_documents(transformer):
        return [Kind("text", _word(transformer))]
    # Inside a transformer every column is read.
    return [NUMBER if k.use == "unused" else k for k in kinds(transformer, width)]


def _encoder(model: Any, _: int) -> list[Kind]:
    return [_category(values) for values in model.categories_]


def _category(values: Any) -> Kind:
    known = [v for v in np.asarray(values).tolist() if isinstance(v, str) or _is_number(v)]
    texts = [v for v in known if isinstance(v, str)]
    if texts:
        return Kind("text", texts[0])
    return Kind("number", known[0] if known else None)


def _imputer(model: Any, _: int) -> list[Kind]:
    values = np.asarray(model.statistics_).tolist()
    return [Kind("text", value) if isinstance(value, str) else NUMBER for value in values]


def _scaler(model: Any, width: int) -> list[Kind]:
    mean = getattr(model, "mean_", None)
    return [NUMBER] * width if mean is None else [Kind("number", float(m)) for m in mean]


def _histogram(model: Any, width: int) -> list[Kind]:
    before = getattr(model, "_preprocessor", None)
    return [NUMBER] * width if before is None else kinds(before, width)


def _vectorizer(model: Any, width: int) -> list[Kind]:
    return [Kind("text", _word(model))] * width


def _word(model: Any) -> str:
    return str(next(iter(attribute(model, "vocabulary_") or ()), DOCUMENT))


def _lightgbm(model: Any, width: int) -> list[Kind]:
    """Those columns that were pandas' categories when the model was fitted."""
    found = [NUMBER] * width
    booster = model.booster_
    known = booster.pandas_categorical or []
    columns = booster.params.get("categorical_column", booster.params.get("categorical_feature"))
    columns = columns if isinstance(columns, list) else []
    if known and len(known) != len(columns):
        raise ValueError("which of its columns are ordered categories is not in the model")
    for column, values in zip(columns, known, strict=False):
        found[column] = _category(values)._replace(categories=tuple(values))
    return found


def _xgboost(model: Any, width: int) -> list[Kind]:
    """Those columns that were pandas' categories: a model of XGBoost 3.1 or newer knows which."""
    import json

    booster = model.get_booster()
    if "c" not in (booster.feature_types or ()):
        return [NUMBER] * width
    learner = json.loads(booster.save_raw("json"))["learner"]
    stored = learner["gradient_booster"].get("model", {}).get("cats", {}).get("enc", [])
    lists = [_stored_categories(each) for each in stored]
    return [
        _category(values)._replace(categories=tuple(values)) if values else NUMBER
        for values in [*lists, *[[]] * (width - len(lists))]
    ]


def _stored_categories(stored: dict[str, Any]) -> list[Any]:
    """As XGBoost keeps them: numbers, or strings as bytes end to end and where each begins."""
    if "offsets" not in stored:
        return list(stored["values"])
    raw, ends = bytes(v % 256 for v in stored["values"]), stored["offsets"]
    if not raw.isascii():
        # XGBoost 3.2 counts letters where it should count bytes, so that names run into another.
        raise ValueError("XGBoost stores the names of categories wrongly where they are not ASCII")
    return [raw[a:b].decode() for a, b in pairwise(ends)]


def _catboost(model: Any, width: int) -> list[Kind]:
    if model.get_embedding_feature_indices():
        raise ValueError("it takes embeddings, which no input can carry")
    texts = {*model.get_cat_feature_indices(), *model.get_text_feature_indices()}
    return [Kind("text", "0") if at in texts else NUMBER for at in range(width)]


def _merged(lists: Sequence[list[Kind]], width: int, empty: Kind = NUMBER) -> list[Kind]:
    """What each column is to any of those that read it."""
    return [
        max(column, key=lambda k: (RANK[k.use], k.example is not None), default=empty)
        for column in (zip(*lists, strict=True) if lists else [()] * width)
    ]


RANK: dict[Use, int] = {"unused": 0, "number": 1, "text": 2}


def _fill(found: list[Kind], width: int) -> list[Kind]:
    """*found*, of *width* columns: a step inside may see others than the model does."""
    return [kind or NUMBER for kind, _ in zip_longest(found[:width], range(width))]


def _named_after_class(table: dict[str, Any], model: Any) -> Any:
    return next((table[c.__name__] for c in type(model).__mro__ if c.__name__ in table), None)


def _flat(models: Any) -> Iterable[Any]:
    # Not by numpy, which takes a pipeline for the list of its steps.
    return models.ravel().tolist() if isinstance(models, np.ndarray) else list(models)


def _is_tree(model: Any) -> bool:
    return hasattr(model, "tree_")


def _is_function(step: Any) -> bool:
    return any(base.__name__ == "FunctionTransformer" for base in type(step).__mro__)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and value == value


VECTORIZERS = frozenset({"CountVectorizer", "HashingVectorizer", "TfidfVectorizer"})

READERS: dict[str, Callable[[Any, int], list[Kind]]] = {
    "Pipeline": _pipeline,
    "ColumnTransformer": _column_transformer,
    "OrdinalEncoder": _encoder,
    "OneHotEncoder": _encoder,
    "TargetEncoder": _encoder,
    "SimpleImputer": _imputer,
    "StandardScaler": _scaler,
    "HistGradientBoostingClassifier": _histogram,
    "HistGradientBoostingRegressor": _histogram,
    "CountVectorizer": _vectorizer,
    "HashingVectorizer": _vectorizer,
    "LGBMModel": _lightgbm,
    "LightGBMBooster": _lightgbm,
    "XGBModel": _xgboost,
    "CatBoost": _catboost,
}
"""By the name of a class that the model's has among its bases."""
