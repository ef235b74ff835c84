"""An XGBoost booster, read from its own JSON, as a forest and what else its answers depend on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from inferd import plugins
from inferd.compiling.converters.base import CannotConvert
from inferd.compiling.converters.xgboost.links import LINKS
from inferd.compiling.forest import LEAF, LT, MEMBER, Tree
from inferd.tensors import Array


class Booster(NamedTuple):
    """A booster as far as its answers depend on it."""

    trees: Sequence[Tree]
    base: Array
    """The intercept as a margin: float32 [targets]."""
    objective: str
    link: str
    features: int
    stump: Any
    """A booster of the same objective that answers for whatever margin it is handed."""

    def answers(self, margins: Array) -> Array:
        """The library's own answers for *margins*, float32 [N], by the objective alone."""
        rows = np.zeros((len(margins), self.features), np.float32)
        handed = np.repeat(margins[:, None], len(self.base), axis=1)
        found = self.stump.inplace_predict(rows, base_margin=handed, validate_features=False)
        return np.asarray(found).reshape(len(margins), -1)[:, 0]


def read(model: Any) -> Booster:
    """The booster of one of XGBoost's wrappers. Raises CannotConvert."""
    document = json.loads(model.get_booster().save_raw("json"))
    learner = document["learner"]
    objective = learner["objective"]["name"]
    if objective not in LINKS:
        raise CannotConvert(f"the objective {objective}")
    grower, scales = learner["gradient_booster"], None
    if grower["name"] == "dart":
        grower, scales = grower["gbtree"], np.array(grower["weight_drop"], np.float32)
    if grower["name"] != "gbtree":
        raise CannotConvert(f"the booster {grower['name']}")
    content = grower["model"]
    features = int(learner["learner_model_param"]["num_feature"])
    stump = _stump(document, content)
    rows = np.zeros((1, features), np.float32)
    base = stump.inplace_predict(rows, predict_type="margin", validate_features=False)
    base = np.asarray(base, np.float32).reshape(-1)
    stop = _stop(model, content["iteration_indptr"])
    trees = []
    for number, source in enumerate(content["trees"][:stop]):
        scale = None if scales is None else scales[number]
        trees.append(_tree(source, content["tree_info"][number], base, scale))
    return Booster(trees, base, objective, LINKS[objective], features, stump)


def _stop(model: Any, rounds: Sequence[int]) -> int:
    """How many trees the model's ``predict`` asks: those up to the best round, if one is known."""
    try:
        return rounds[int(model.best_iteration) + 1]
    except AttributeError:
        return rounds[-1]


def _stump(document: Any, content: Any) -> Any:
    """The same booster with one tree that is one leaf of weight 0.

    How the intercept in the file becomes a margin is the objective's affair, and changed between
    releases; what this booster answers is right in each of them.
    """
    xgboost = plugins.require("xgboost", "xgboost")
    learner = document["learner"]
    names = ("gbtree_model_param", "iteration_indptr", "tree_info", "trees")
    kept = {name: value for name, value in content.items() if name not in names}
    tree = {name: [] for name in content["trees"][0]} | {
        "base_weights": [0.0],
        "default_left": [0],
        "id": 0,
        "left_children": [LEAF],
        "loss_changes": [0.0],
        "parents": [2**31 - 1],
        "right_children": [LEAF],
        "split_conditions": [0.0],
        "split_indices": [0],
        "split_type": [0],
        "sum_hessian": [0.0],
        "tree_param": {
            "num_deleted": "0",
            "num_feature": learner["learner_model_param"]["num_feature"],
            "num_nodes": "1",
            "size_leaf_vector": "1",
        },
    }
    tree.pop("leaf_weights", None)
    parameters = content["gbtree_model_param"] | {"num_trees": "1", "num_parallel_tree": "1"}
    single = {
        "gbtree_model_param": parameters,
        "iteration_indptr": [0, 1],
        "tree_info": [0],
        "trees": [tree],
    }
    small = {"name": "gbtree", "model": kept | single}
    whole = document | {"learner": learner | {"gradient_booster": small}}
    return xgboost.Booster(model_file=bytearray(json.dumps(whole).encode()))


def _tree(source: Mapping[str, Any], group: int, base: Array, scale: Any) -> Tree:
    """One tree; ``x < threshold`` goes left, and so does what is not in a set of categories."""
    left = np.array(source["left_children"], np.int64)
    right = np.array(source["right_children"], np.int64)
    leaf = left == LEAF
    if int(source["tree_param"]["size_leaf_vector"]) > 1:
        weight = _vectors(source, leaf, right, len(base))
    else:
        weight = np.zeros((len(leaf), len(base)))
        weight[leaf, group] = _leaves(source, base[group], scale)[leaf]
    right = np.where(leaf, LEAF, right)
    categorical = np.array(source["split_type"], bool) & ~leaf
    threshold = np.array(source["split_conditions"], np.float32).astype(np.float64)
    return Tree(
        feature=np.where(leaf, 0, np.array(source["split_indices"], np.int64)),
        mode=np.where(categorical, MEMBER, LT).astype(np.uint8),
        threshold=np.where(leaf | categorical, 0.0, threshold),
        left=np.where(categorical, right, left),
        right=np.where(categorical, left, right),
        missing_left=np.array(source["default_left"], bool) ^ categorical,
        weight=weight,
        members=_members(source),
    )


def _leaves(source: Mapping[str, Any], base: np.float32, scale: Any) -> Array:
    """What each leaf adds, in float32, where a leaf is one number."""
    values = np.array(source["split_conditions"], np.float32)
    if scale is None:
        return values
    # Before 3.3 what is scaled is what remains of the leaf after the intercept was added to it and
    # taken away again (Dart::InplacePredict).
    kept: Array = (base + values) - base if _older_than(3, 3) else values
    return np.asarray(kept * scale)


def _vectors(source: Mapping[str, Any], leaf: Array, right: Array, targets: int) -> Array:
    """What each leaf adds where it is a number for each target: [nodes, targets]."""
    if "leaf_weights" not in source:
        raise CannotConvert("leaves of several values, of an older form")
    rows = np.array(source["leaf_weights"], np.float32).reshape(-1, targets).astype(np.float64)
    weight: Array = np.where(leaf[:, None], rows[np.where(leaf, right, 0)], 0)
    return weight


def _older_than(*version: int) -> bool:
    xgboost = plugins.require("xgboost", "xgboost")
    return tuple(int(part) for part in xgboost.__version__.split(".")[:2]) < version


def _members(source: Mapping[str, Any]) -> dict[int, Array]:
    """The categories that go right, by node."""
    found = {}
    for node, start, size in zip(
        source["categories_nodes"],
        source["categories_segments"],
        source["categories_sizes"],
        strict=True,
    ):
        found[int(node)] = np.array(source["categories"][start : start + size], float)
    return found
