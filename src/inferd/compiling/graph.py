"""Builds an ONNX graph node by node; a node that was made before is not made again."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from inferd import plugins
from inferd.signature import TensorSpec
from inferd.tensors import BY_ONNX, Array

T = TypeVar("T")

OPSETS = {"": 17, "ai.onnx.ml": 5}
"""The oldest that have what is used: ai.onnx.ml 5 brought TreeEnsemble with thresholds, weights and
sums in float64, and with sets of categories. ONNX Runtime 1.20 runs both."""
IR_VERSION = 9

# fmt: off
REPRODUCIBLE = frozenset((
    "Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "Clip", "Concat", "CumSum", "Div", "Equal",
    "Expand", "Floor", "Gather", "GatherElements", "Greater", "GreaterOrEqual", "Identity",
    "IsInf", "IsNaN", "LabelEncoder", "Less", "LessOrEqual", "Max", "Min", "Mul", "Neg",
    "Not", "Or", "ReduceMax", "Reshape", "Shape", "Sign", "Slice", "Split", "Sqrt", "Squeeze",
    "Sub", "Transpose", "TreeEnsemble", "Unsqueeze", "Where", "Xor",
))  # one a line would be a page of nothing
# fmt: on
"""Operators whose result IEEE 754, or the comparison itself, determines to the last bit whatever
library computes it. Sums of many terms (MatMul, ReduceSum) and transcendental functions are not
among them. TreeEnsemble adds its trees in their order and CumSum one after the other, which the
parity check confirms."""


class Value(NamedTuple):
    """A tensor in the graph."""

    name: str
    width: int
    """Its second dimension; 0 for a tensor of one dimension: one value a row."""
    dtype: np.dtype[Any]
    """The elements' type; ``object`` for strings."""


class Graph:
    """A graph under construction."""

    def __init__(self) -> None:
        self._onnx = plugins.require("onnx", "compile")
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._made: dict[Hashable, Any] = {}
        self._count = 0
        self.operators: set[str] = set()
        """The operators used, by name."""

    @property
    def inexact(self) -> list[str]:
        """The operators used whose last bit is each library's own affair."""
        return sorted(self.operators - REPRODUCIBLE)

    def input(self, spec: TensorSpec) -> Value:
        """Declare an input as *spec* says; [N] or [N, width]."""
        self._inputs.append(self._declare(spec))
        return Value(spec.name, spec.shape[1] if len(spec.shape) > 1 else 0, spec.type.numpy)

    def output(self, spec: TensorSpec, tensor: str) -> None:
        """Declare *tensor* an output, as *spec* names it; it must have that datatype and shape."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [tensor], [spec.name]))
        self._outputs.append(self._declare(spec))

    def constant(self, value: Any, dtype: Any = None) -> str:
        """A tensor that never changes; strings as a list or an object array."""
        array = np.asarray(value, dtype)
        if array.dtype.kind in "US":
            array = array.astype(object)
        key = ("constant", array.dtype.str, array.shape, _bytes(array))
        return self.once(key, lambda: self._initialise(array))

    def node(self, operator: str, *inputs: Any, domain: str = "", **attributes: Any) -> str:
        """The only output of *operator* over *inputs*: tensors' names, Values, or arrays."""
        return self.nodes(operator, *inputs, count=1, domain=domain, **attributes)[0]

    def nodes(
        self, operator: str, *inputs: Any, count: int, domain: str = "", **attributes: Any
    ) -> tuple[str, ...]:
        """As ``node``, for an operator with *count* outputs."""
        names = tuple(self._tensor(each) for each in inputs)
        key = (operator, domain, names, count, _frozen(attributes))

        def make() -> tuple[str, ...]:
            outputs = tuple(self.fresh(operator) for _ in range(count))
            self._nodes.append(
                self._onnx.helper.make_node(operator, names, outputs, domain=domain, **attributes)
            )
            self.operators.add(operator)
            return outputs

        return self.once(key, make)

    def cast(self, value: Value, dtype: Any) -> Value:
        """*value* with elements of *dtype*; itself where it has them already."""
        wanted = np.dtype(dtype)
        if value.dtype == wanted:
            return value
        to = self._onnx.helper.np_dtype_to_tensor_dtype(wanted)
        return value._replace(name=self.node("Cast", value.name, to=to), dtype=wanted)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What *make* made for *key*, made at most once."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def fresh(self, stem: str) -> str:
        """A name that no tensor has."""
        self._count += 1
        return f"{stem}_{self._count}"

    def finish(self) -> Any:
        """The model as an ``onnx.ModelProto``, checked."""
        helper = self._onnx.helper
        graph = helper.make_graph(
            self._nodes, "inferd", self._inputs, self._outputs, self._constants
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="inferd"
        )
        self._onnx.checker.check_model(model)
        return model

    def _declare(self, spec: TensorSpec) -> Any:
        number = getattr(self._onnx.TensorProto, BY_TENSOR_PROTO[spec.type.onnx])
        shape = ["rows" if d < 0 else d for d in spec.shape]
        return self._onnx.helper.make_tensor_value_info(spec.name, number, shape)

    def _tensor(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        return value.name if isinstance(value, Value) else self.constant(value)

    def _initialise(self, array: Array) -> str:
        name = self.fresh("constant")
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name


BY_TENSOR_PROTO = {onnx: onnx.removeprefix("tensor(").removesuffix(")").upper() for onnx in BY_ONNX}
"""ONNX's spelling of a datatype in text, and in its enumeration."""


def _bytes(array: Array) -> bytes:
    return repr(array.tolist()).encode() if array.dtype == object else array.tobytes()


def _frozen(attributes: dict[str, Any]) -> Hashable:
    """Attributes as a key. Large ones are never the same: comparing costs more than a twin."""
    return tuple(
        (name, object() if isinstance(value, list | tuple) and len(value) > MANY else repr(value))
        for name, value in sorted(attributes.items())
    )


MANY = 1000
