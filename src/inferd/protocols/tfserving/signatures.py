"""What a SavedModel calls a signature, made from a model's own: names, aliases, TensorFlow's
datatypes.

Every model predicts with its tensors. A classifier's or a regressor's can be asked by Examples,
too, as an Estimator's export can. None of this knows REST.
"""

from collections.abc import Mapping
from typing import NamedTuple

from inferd.calls import Handle
from inferd.errors import Code, InvalidInput
from inferd.protocols.base import PerHandle
from inferd.signature import Shape, Signature, TensorSpec

DEFAULT = "serving_default"
PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


class TensorInfo(NamedTuple):
    """One input or output."""

    name: str
    dtype: str
    shape: Shape


class SignatureDef(NamedTuple):
    """What can be asked by one name."""

    method: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


class ExamplesPlan(NamedTuple):
    """How a model is asked by Examples: ``classify`` or ``regress``."""

    method: str
    features: tuple[str, ...]
    """The names that an Example must have, in the order of a row."""
    whole_row: bool
    """Whether the only feature holds all values of a row."""
    output: str
    """The output that is answered."""
    classes: tuple[str, ...]
    """The classes' names in the order of the scores; empty for none known, or of a regressor."""


class WrongMethod(InvalidInput):
    """A signature was asked in a way that is another's."""

    code = Code.FAILED_PRECONDITION


class Signatures:
    """The signatures of one version of a model."""

    def __init__(self, handle: Handle) -> None:
        own = handle.signature
        self.inputs: dict[str, TensorSpec] = {spec.name: spec for spec in own.inputs}
        self.plan = _plan(handle)
        predict = SignatureDef(PREDICT, _infos(own.inputs), _infos(own.outputs))
        self.defs: dict[str, SignatureDef] = {DEFAULT: predict}
        if self.plan is not None:
            self.defs[_NAMES[self.plan.method]] = _by_examples(self.plan, own)

    def by_tensors(self, name: str) -> SignatureDef:
        """The signature *name*, for a request of tensors. Raises InvalidInput."""
        found = self.defs.get(name)
        if found is None:
            raise InvalidInput(f'Serving signature name: "{name}" not found in signature def')
        if found.method != PREDICT:
            verb = found.method.rpartition("/")[2]
            raise InvalidInput(f'Serving signature name: "{name}" takes Examples; ask :{verb}')
        return found

    def by_examples(self, name: str, method: str) -> ExamplesPlan:
        """How the signature *name* is asked for *method*. Raises InvalidInput or WrongMethod.

        The default one is asked so, too, where the model is of that kind.
        """
        if name not in self.defs:
            raise InvalidInput(f"No signature was found with the name: {name}")
        plan = self.plan
        if plan is None or plan.method != method or self.defs[name].method not in (PREDICT, method):
            kind = "classification" if method == CLASSIFY else "regression"
            found = plan.method if plan and name != DEFAULT else self.defs[name].method
            raise WrongMethod(
                f"No {kind} inputs found in SignatureDef: {name!r} has the method_name {found}"
            )
        return plan


signatures = PerHandle(Signatures)


def _infos(specs: tuple[TensorSpec, ...]) -> dict[str, TensorInfo]:
    return {
        spec.name: TensorInfo(f"{spec.name}:0", spec.type.tensorflow, spec.shape) for spec in specs
    }


_NAMES = {CLASSIFY: "classify", REGRESS: "regress"}
_EXAMPLES = {"inputs": TensorInfo("input_example_tensor:0", "DT_STRING", (-1,))}


def _by_examples(plan: ExamplesPlan, own: Signature) -> SignatureDef:
    spec = next(spec for spec in own.outputs if spec.name == plan.output)
    if plan.method == REGRESS:
        return SignatureDef(
            REGRESS, _EXAMPLES, {"outputs": TensorInfo(f"{spec.name}:0", "DT_FLOAT", spec.shape)}
        )
    outputs = {"scores": TensorInfo(f"{spec.name}:0", "DT_FLOAT", spec.shape)}
    if plan.classes:
        outputs["classes"] = TensorInfo("classes:0", "DT_STRING", spec.shape)
    return SignatureDef(CLASSIFY, _EXAMPLES, outputs)


def _plan(handle: Handle) -> ExamplesPlan | None:
    """How *handle* is asked by Examples; None where it cannot be."""
    features = handle.reader.names
    whole_row = not features
    if whole_row:
        features = handle.signature.input_names
    if not _takes_rows(handle.signature):
        return None
    if handle.roles.probability:
        return ExamplesPlan(CLASSIFY, features, whole_row, handle.roles.probability, handle.classes)
    output = next(s for s in handle.signature.outputs if s.name == handle.roles.prediction)
    numbers = output.type.numpy.kind == "f" and len(output.shape) in (1, 2)
    if not numbers or output.shape[1:] not in ((), (1,)) or output.shape[0] >= 0:
        return None
    return ExamplesPlan(REGRESS, features, whole_row, output.name, ())


def _takes_rows(own: Signature) -> bool:
    """Whether rows of features become its inputs."""
    if own.batch_axis is None:
        return False
    if len(own.inputs) == 1:
        return sum(d < 0 for d in own.inputs[0].shape[1:]) <= 1
    return all(d in (-1, 1) for spec in own.inputs for d in spec.shape[1:])
