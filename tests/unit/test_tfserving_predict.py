"""protocols/tfserving: instances and inputs to tensors, and back, without a socket."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from inferd.calls import InferRequest, InferResponse
from inferd.errors import InferdError, InvalidInput
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.tfserving import answers, body, plugin
from inferd.protocols.tfserving.json_tensors import element, leaves, shape_of, uniform, vector
from inferd.signature import Signature, TensorSpec
from inferd.tensors import BY_NAME, Array
from inferd.wire import json_large
from tests.unit import onnx_files
from tests.unit.asking import Asker

Make = Callable[..., Pipeline]
PREDICT = ("POST", "/v1/models/{model}:predict")
KINDS = {
    "bool": TensorProto.BOOL,
    "int8": TensorProto.INT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
    "half": TensorProto.FLOAT16,
    "float": TensorProto.FLOAT,
    "double": TensorProto.DOUBLE,
    "string": TensorProto.STRING,
}


@pytest.fixture(scope="module", autouse=True)
def more_models(models: Path) -> None:
    """Beside the others: one value a row of each datatype."""
    for name, kind in KINDS.items():
        onnx_files.identity(models / f"{name}.onnx", [None], kind)


@pytest.fixture
def ask(pipeline: Make) -> Callable[..., Any]:
    """Asks a model; an error is its text."""

    def asked(model: str, sent: Any) -> Any:
        asker = Asker(plugin, pipeline(model))
        document = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        try:
            return json.loads(asker.payload(PREDICT, document, model=model).body)
        except InferdError as error:
            told = json.loads(plugin.encode_error(error, None).body)
            assert list(told) == ["error"]
            return told["error"]

    return asked


def deep(levels: int) -> Any:
    """A value in so many lists."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


Ask = Callable[..., Any]
ROWS = [[9, 0, 0, 1], [0, 9.5, 0, 1]]


class TestRows:
    """``instances``: a row of the answer for each."""

    def test_several_outputs_are_objects(self, ask: Ask) -> None:
        """Each prediction is an object of the outputs' values for its row."""
        answer = ask("iris", {"instances": ROWS})
        assert list(answer) == ["predictions"]
        assert [row["label"] for row in answer["predictions"]] == [0, 1]
        assert [len(row["scores"]) for row in answer["predictions"]] == [3, 3]

    def test_one_row_is_as_many(self, ask: Ask) -> None:
        """What is written for one row alone is what it has among others."""
        both = ask("iris", {"instances": ROWS})["predictions"]
        for at in (0, 1):
            assert ask("iris", {"instances": [ROWS[at]]})["predictions"] == [both[at]]

    def test_one_row_of_numbers_beyond_all(self, ask: Ask) -> None:
        """Numbers that no float32 holds are infinities, however a row is read."""
        sent = b'{"instances":[[1%b,-1e39,0,1]]}' % (b"0" * 400)
        (row,) = ask("iris", sent)["predictions"]
        assert [value != value for value in row["scores"]] == [True] * 3

    def test_one_output_has_no_name(self, ask: Ask) -> None:
        """A single output is the prediction itself."""
        assert ask("float", {"instances": [1.0, 2, 3.5]}) == {"predictions": [1.0, 2.0, 3.5]}
        assert ask("wide", {"instances": [[1, 2]]}) == {"predictions": [[1.0, 2.0]]}

    def test_the_only_input_may_be_named(self, ask: Ask) -> None:
        """An object by the input's name is as good as its value."""
        assert ask("iris", {"instances": [{"X": row} for row in ROWS]}) == ask(
            "iris", {"instances": ROWS}
        )

    def test_several_inputs_are_objects(self, ask: Ask) -> None:
        """Every row has every input by its name."""
        rows = [{"INPUT1": [1, 1, 1, 1], "INPUT0": [at, 2, 3, 4]} for at in (1, 5)]
        predictions = ask("simple", {"instances": rows})["predictions"]
        assert [row["OUTPUT0"][0] for row in predictions] == [2, 6]
        assert [row["OUTPUT1"] for row in predictions] == [[0, 1, 2, 3], [4, 1, 2, 3]]

    def test_strings_in_base64_beside_others(self, ask: Ask) -> None:
        """Rows by name may hold both."""
        rows = [{"age": [1], "name": ["Ada"]}, {"name": [{"b64": "Qm9i"}], "age": [2]}]
        predictions = ask("columns", {"instances": rows})["predictions"]
        assert [row["same"] for row in predictions] == [["Ada"], ["Bob"]]

    def test_unknown_keys_and_what_follows_are_ignored(self, ask: Ask) -> None:
        """Of the top level."""
        sent = b'{"zz":[{}],"instances":[1.5],"signature_name":"serving_default","x":null} junk'
        assert ask("float", sent) == {"predictions": [1.5]}

    def test_no_rows_of_the_model_are_none(self, ask: Ask) -> None:
        """A batch of no rows answers with an empty list, in any number of outputs."""
        for outputs in ({"y": np.empty((0, 3))}, {"a": np.empty(0), "b": np.empty((0, 3))}):
            assert answers.rows(outputs) == b'{"predictions":[]}'

    @pytest.mark.parametrize(
        ("model", "sent", "text"),
        [
            ("float", [1, {"X": 2}], "Expecting value/list but got object at item 1 of input list"),
            ("float", [{"X": 1}, [2]], "Expecting object but got list at item 1 of input list"),
            (
                "float",
                [{"zz": 1}],
                "Failed to process element: 0 key: zz of 'instances' list. Error: "
                "INVALID_ARGUMENT: JSON object: does not have named input: zz",
            ),
            (
                "simple",
                [{"INPUT0": [1, 2, 3, 4]}],
                "Failed to process element: 0 of 'instances' list. JSON object: "
                '{"INPUT0": [1, 2, 3, 4]} keys must be equal to: INPUT0,INPUT1',
            ),
            (
                "simple",
                [[1, 2, 3, 4]],
                "instances is a plain list, but expecting list of objects as multiple input "
                "tensors required as per tensorinfo_map",
            ),
            ("wide", [[1, 2], [1, 2, 3]], "Expecting tensor size: 2 but got: 3"),
            ("wide", [[1, 2], [[1, 2]]], "Expecting shape [2] but got: [1,2]"),
            (
                "float",
                [1, "x"],
                "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
                'JSON Value: "x" Type: String is not of expected type: float',
            ),
            (
                "simple",
                [{"INPUT0": [1, 2, 3, None], "INPUT1": [1, 2, 3, 4]}],
                "Failed to process element: 0 key: INPUT0 of 'instances' list. Error: "
                "INVALID_ARGUMENT: JSON Value: null Type: Null is not of expected type: int32",
            ),
            ("wide", [[[1], 2]], "found at incorrect level: 2 in the JSON DOM. Expected at"),
            ("wide", [[1, [2]]], "Encountered list at unexpected level: 1 expected < 1"),
            ("iris", [deep(40)], "The lists are nested too deep"),
            ("iris", [[1, 2, 3]], "got [1,3], expected [-1,4]"),
            ("fixed", [[1, 2, 3, 4]] * 2, "got [2,4], expected [1,4]"),
        ],
    )
    def test_faults(self, ask: Ask, model: str, sent: Any, text: str) -> None:
        """Each in TensorFlow Serving's words, with the row that has it."""
        assert text in ask(model, {"instances": sent})

    def test_outputs_that_are_no_rows(self, ask: Ask) -> None:
        """An output without a first dimension, or with another than the others, is told."""
        assert "X' has the wrong shape" in ask("scalar", {"instances": [1.0]})
        with pytest.raises(InvalidInput, match="Tensor name: y has no shape information"):
            answers.rows({"y": np.array(1.0)})
        with pytest.raises(
            InvalidInput, match="Tensor name: b has inconsistent batch size: 1 expecting: 2"
        ):
            answers.rows({"a": np.zeros(2), "b": np.zeros(1)})


class TestColumns:
    """``inputs``: every tensor whole."""

    def test_the_only_input_needs_no_name(self, ask: Ask) -> None:
        """A bare value, or an object by the name; several outputs are an object."""
        answer = ask("iris", {"inputs": ROWS})
        assert list(answer) == ["outputs"]
        assert answer["outputs"]["label"] == [0, 1]
        assert ask("iris", {"inputs": {"X": ROWS, "ignored": "x"}}) == answer

    def test_a_scalar(self, ask: Ask) -> None:
        """Rank 0 in and out, bare or by name."""
        assert ask("scalar", {"inputs": 5}) == {"outputs": 5.0}
        assert ask("scalar", {"inputs": {"X": 2.5}}) == {"outputs": 2.5}

    def test_several_inputs(self, ask: Ask) -> None:
        """All by name."""
        sent = {"INPUT0": [[1, 2, 3, 4]], "INPUT1": [[1, 1, 1, 1]]}
        assert ask("simple", {"inputs": sent})["outputs"] == {
            "OUTPUT0": [[2, 3, 4, 5]],
            "OUTPUT1": [[0, 1, 2, 3]],
        }

    def test_empty_lists(self, ask: Ask) -> None:
        """They are shapes with a zero in them."""
        assert ask("float", {"inputs": []}) == {"outputs": []}
        assert ask("wide", {"inputs": [[]]}) == {"outputs": [[]]}

    @pytest.mark.parametrize(
        ("model", "sent", "text"),
        [
            (
                "simple",
                {"INPUT0": [[1, 2, 3, 4]]},
                "Missing named input: INPUT1 in 'inputs' object.",
            ),
            (
                "simple",
                [[1, 2, 3, 4]],
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map",
            ),
            (
                "wide",
                [[1, 2], [1]],
                "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
            ),
            ("float", [1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
            (
                "wide",
                [[1], 3],
                "JSON Value: 3 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
            ),
            ("float", {"X": "a"}, 'JSON Value: "a" Type: String is not of expected type: float'),
            ("float", {"b64": "YQ=="}, "Type: Object is not of expected type: float"),
        ],
    )
    def test_faults(self, ask: Ask, model: str, sent: Any, text: str) -> None:
        """Each in TensorFlow Serving's words."""
        assert text in ask(model, {"inputs": sent})


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (
            {"instances": [1], "inputs": [1]},
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": 1}, "Expecting 'instances' to be an list/array"),
        ({"instances": {"X": 1}}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        (
            {"signature_name": 5, "instances": [1]},
            "not formatted correctly. 'signature_name' key must be a string value.",
        ),
        (
            {"signature_name": "foo", "instances": [1]},
            'Serving signature name: "foo" not found in signature def',
        ),
        ({"signature_name": "regress", "instances": [1]}, "takes Examples; ask :regress"),
    ],
)
def test_faults_of_the_whole(ask: Ask, sent: Any, text: str) -> None:
    """What is wrong with the request's keys is told before anything of their values."""
    assert text in ask("float", sent)


def test_which_error_comes_first(pipeline: Make) -> None:
    """Bad JSON before an unknown model, that before an unknown signature, and so on."""
    served = Asker(plugin, pipeline("float"))
    bad = b'{"signature_name":"foo","instances":[],"inputs":[]}'
    assert "JSON Parse error" in served.refusal(PREDICT, b"{", model="nobody")
    assert "must be a string" in served.refusal(PREDICT, b'{"signature_name":1}', model="nobody")
    assert served.refusal(PREDICT, bad, model="nobody") == (
        "Servable not found for request: Latest(nobody)"
    )
    assert '"foo" not found' in served.refusal(PREDICT, bad, model="float")
    assert "only one of" in served.refusal(PREDICT, bad.replace(b"foo", b""), model="float")


class TestTyping:
    """Nothing is coerced between the kinds of JSON."""

    @pytest.mark.parametrize(
        ("kind", "sent", "expected"),
        [
            ("float", b"[1,2.5,NaN,-Infinity]", b"[1.0,2.5,NaN,-Infinity]"),
            ("float", b"[1e39,-1e39,1e-60]", b"[Infinity,-Infinity,0.0]"),
            ("float", b"[1435774380]", b"[1.43577434e+09]"),
            ("float", b"[1%b]" % (b"0" * 400), b"[Infinity]"),
            ("double", b"[1,1e39]", b"[1.0,1e+39]"),
            ("half", b"[1,2.5]", b"[1.0,2.5]"),
            ("bool", b"[true,false]", b"[true,false]"),
            ("int8", b"[-128,127]", b"[-128,127]"),
            ("uint8", b"[0,255]", b"[0,255]"),
            ("uint16", b"[65535]", b"[65535]"),
            ("int32", b"[-2147483648]", b"[-2147483648]"),
            ("int64", b"[9223372036854775807]", b"[9223372036854775807]"),
            ("uint64", b"[18446744073709551615]", b"[18446744073709551615]"),
            ("string", b'["a",{"b64":"YmM="},{"b64":"w7w"}]', '["a","bc","ü"]'.encode()),
            ("string", b'[{"b64":"YmM="},{"b64":"YmM="}]', b'["bc","bc"]'),
        ],
    )
    def test_what_is_taken(self, pipeline: Make, kind: str, sent: bytes, expected: bytes) -> None:
        """Integers for floating point, whose overflow is an infinity; base64 for strings."""
        asker = Asker(plugin, pipeline(kind))
        for form, answer in ((b"instances", b"predictions"), (b"inputs", b"outputs")):
            document = b'{"%b":%b}' % (form, sent)
            told = asker.payload(PREDICT, document, model=kind).body
            assert told == b'{"%b":%b}' % (answer, expected)

    @pytest.mark.parametrize(
        ("kind", "sent"),
        [
            ("float", b"true"),
            ("float", b'"1"'),
            ("float", b"null"),
            ("double", b'{"b64":"YQ=="}'),
            ("bool", b"1"),
            ("bool", b'"true"'),
            ("int32", b"1.0"),
            ("int32", b"2147483648"),
            ("int8", b"128"),
            ("uint8", b"-1"),
            ("uint32", b"4294967296"),
            ("int64", b"9223372036854775808"),
            ("int64", b"true"),
            ("uint64", b"-1"),
            ("string", b"1"),
            ("string", b"null"),
        ],
    )
    def test_what_is_not(self, ask: Ask, kind: str, sent: bytes) -> None:
        """The text names the type that was expected, in both forms."""
        for form in (b"instances", b"inputs"):
            assert f"is not of expected type: {kind}" in ask(kind, b'{"%b":[%b]}' % (form, sent))

    @pytest.mark.parametrize(
        ("sent", "text"),
        [
            ({"b64": "?"}, "Unable to base64 decode"),
            ({"b64": 1}, "not formatted correctly for base64 data"),
            ({"b64": "", "x": 1}, "not formatted correctly for base64 data"),
            ({"b64": "/w=="}, "expected UTF-8"),
        ],
    )
    def test_bad_base64(self, ask: Ask, sent: Any, text: str) -> None:
        """What is no base64, and what is no text, is refused."""
        assert text in ask("string", {"inputs": [sent]})

    def test_an_output_of_bytes(self) -> None:
        """Strings of an output whose name ends in _bytes are base64, no others."""
        outputs: dict[str, Array] = {
            "a_bytes": np.array(["x"], object),
            "b": np.array(["x"], object),
        }
        assert json.loads(answers.rows(outputs)) == {
            "predictions": [{"a_bytes": {"b64": "eA=="}, "b": "x"}]
        }
        assert json.loads(answers.columns(outputs))["outputs"]["a_bytes"] == [{"b64": "eA=="}]


NESTED = st.recursive(
    st.integers(-3, 300) | st.floats() | st.booleans() | st.text(max_size=2) | st.none(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)


@given(NESTED, st.sampled_from(sorted(BY_NAME)))
def test_both_readers_agree(value: Any, name: str) -> None:
    """Whatever is read at once is read so one by one, and what is not of a kind by neither."""
    datatype = BY_NAME[name]
    shape = shape_of(value)
    quick = uniform(value, shape, datatype) if shape else None
    try:
        slow = leaves(value, shape, datatype)
    except InvalidInput:
        slow = None
    if quick is None:
        assert slow is None or not shape
        return
    try:
        array = vector(quick, datatype)
    except InvalidInput:
        assert slow is None
        return
    assert repr(slow) == repr(quick)
    assert array.shape == (int(np.prod(shape)),)


@given(st.integers() | st.floats() | st.booleans() | st.text() | st.none(), st.data())
def test_an_element_is_of_its_kind(value: Any, data: st.DataObject) -> None:
    """An element is taken as it is, or refused: never turned into another kind's."""
    datatype = BY_NAME[data.draw(st.sampled_from(sorted(BY_NAME)))]
    limits = np.iinfo(datatype.numpy) if datatype.numpy.kind in "iu" else None
    fits = type(value) in datatype.values
    if fits and (limits is None or limits.min <= value <= limits.max):
        assert element(value, datatype) is value
    else:
        with pytest.raises(InvalidInput, match="is not of expected type"):
            element(value, datatype)


class TestLarge:
    """Bodies that are read in pieces are answered as if they had been read whole."""

    @pytest.fixture(autouse=True)
    def small_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every piece is tiny."""
        self.patch = monkeypatch
        monkeypatch.setattr(json_large, "WINDOW", 16)
        monkeypatch.setattr(json_large, "PIECE", 8)

    def _both(self, asker: Asker, model: str, sent: bytes) -> list[Any]:
        told: list[Any] = []
        for limit in (1 << 20, 0):
            self.patch.setattr(body, "LARGE", limit)
            try:
                told.append(asker.payload(PREDICT, sent, model=model).body)
            except InferdError as error:
                told.append(str(error))
        return told

    @pytest.mark.parametrize(
        ("model", "sent"),
        [
            ("iris", {"instances": [[9, 0, 0, 1]] * 9}),
            ("iris", {"instances": [{"X": [9, 0, at, 1]} for at in range(9)]}),
            ("iris", {"inputs": [[9, 0, 0, 1]] * 9}),
            ("iris", {"inputs": {"X": [[9, 0, 0, 1]] * 9}}),
            ("iris", {"inputs": {"X": [[9, 0, 0, 1]] * 9, "extra": [1] * 40}}),
            ("iris", {"signature_name": "serving_default", "inputs": {"X": [[9, 0, 0, 1]] * 9}}),
            ("iris", {"instances": [[9, 0, 0, 1]] * 9 + [[9, 0, 0, "1"]]}),
            ("iris", {"instances": [[9, 0, 0, 1]] * 9 + [[9, 0, 0]]}),
            ("iris", {"instances": [[9, 0, 0, 1]] * 9 + [{"X": 1}]}),
            ("iris", {"instances": [{"X": [1, 2, 3, 4]}] * 9 + [{"Y": [1, 2, 3, 4]}]}),
            ("iris", {"instances": [[9, 0, 0, 1]], "extra": [[1, 2, 3]] * 9}),
            ("simple", {"inputs": {f"INPUT{at}": [[1, 2, 3, at]] * 5 for at in (0, 1)}}),
            ("float", {"instances": list(range(40))}),
            ("float", {"instances": []}),
            ("string", {"instances": ["],[" * 4, {"b64": "YQ=="}, '"'] * 5}),
        ],
    )
    def test_the_same(self, pipeline: Make, model: str, sent: Any) -> None:
        """The same bytes, or the same text."""
        asker = Asker(plugin, pipeline(model))
        small, large = self._both(asker, model, json.dumps(sent).encode())
        assert small == large

    @pytest.mark.parametrize(
        "sent",
        [
            b'{"instances":[1.5,2.5,3.5,Inf,NaN,6.5]}',
            b'{"instances":[1.5,2.5,3.5,-Infinity,4.5]} trailing',
        ],
    )
    def test_foreign_numbers(self, pipeline: Make, sent: bytes) -> None:
        """What RapidJSON takes is taken in pieces, too."""
        small, large = self._both(Asker(plugin, pipeline("float")), "float", sent)
        assert small == large

    @pytest.mark.parametrize(
        "sent",
        [
            b'{"instances":[1.5,2.5,,3.5,4.5]}',
            b'{"instances":[1.5,2.5,3.5,4.5,]}',
            b'{"instances":[1.5,2.5,3.5,4.5,,]}',
            b'{"instances":[[1.5,2.5,3.5],[[1.5,2.5,3.5]]]}',
            b'{"instances":[1.5,2.5,3.5,4.5}',
            b'{"instances":[1.5,2.5,3.5,4.5]',
            b'{"instances":-[1.5,2.5,3.5,4.5]}',
            b'{"inputs":[[1.5,2.5],[3.5]]}',
            b'{"instances":[                         ]}',
            b'{"inputs":{"\\u0000long":0}}',
            b'{"instances":{"\\u0000long":7},"x":[1.5,2.5,3.5]}',
        ],
    )
    def test_a_fault_is_one(self, pipeline: Make, sent: bytes) -> None:
        """What is refused whole is refused in pieces."""
        both = self._both(Asker(plugin, pipeline("float")), "float", sent)
        assert [type(each) for each in both] == [str, str]

    @pytest.mark.parametrize("at", range(12))
    def test_a_missing_element_is_found(self, pipeline: Make, at: int) -> None:
        """Wherever two commas stand in a row, also where the pieces part."""
        asker = Asker(plugin, pipeline("float"))
        for width in range(8):
            sent = b'{"instances":[' + b"1" * (at + 1) + b",1" * width + b",,2.5,3.5,4.5]}"
            assert all("JSON Parse error" in each for each in self._both(asker, "float", sent))

    def test_ragged_pieces(self, pipeline: Make) -> None:
        """Pieces that do not fit together are refused."""
        sent = b'{"inputs":[[1.5,2.5,3.5],[1.5,2.5,3.5],[1.5,2.5]]}'
        both = self._both(Asker(plugin, pipeline("wide")), "wide", sent)
        assert "unexpected s" in both[0]
        assert "unexpected s" in both[1]


def test_what_one_row_is_quick_for() -> None:
    """One row is written by itself only where every output is simple; the bytes are the same."""

    class Fake:
        def __init__(self, *outputs: TensorSpec) -> None:
            self.signature = Signature((), outputs, 0)

    simple = Fake(
        TensorSpec("a%s", "FP32", (-1,)),
        TensorSpec("b", "FP32", (-1, 2)),
        TensorSpec("c", "INT64", (-1,)),
    )
    form = answers.OneRow(simple)  # type: ignore[arg-type]  # it looks at the signature alone
    outputs: dict[str, Array] = {
        "a%s": np.array([0.1], np.float32),
        "b": np.array([[np.nan, 2]], np.float32),
        "c": np.array([7]),
    }
    assert form.fits
    assert form.write(outputs) == answers.rows(outputs)
    for spec in (
        TensorSpec("a", "BYTES", (-1,)),
        TensorSpec("a", "FP32", (-1, -1)),
        TensorSpec("a", "FP32", (-1, 1 << 20)),
    ):
        assert not answers.OneRow(Fake(spec)).fits  # type: ignore[arg-type]  # as above


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.floats(width=32), min_size=4, max_size=4))
def test_numbers_go_through(pipeline: Make, row: list[float]) -> None:
    """A float32 that goes through a model that changes nothing comes back the same."""
    asker = self_served(pipeline)
    sent = json.dumps({"instances": [row]}).encode()
    call = asker.decode(PREDICT[1], sent, model="wide")
    assert isinstance(call, InferRequest)
    response = InferResponse(call, {"Y": call.inputs["X"]})
    told = asker.operation(*PREDICT).encode(call, response).body
    back = np.array(json.loads(told)["predictions"], np.float32)
    np.testing.assert_array_equal(back, np.array([row], np.float32))


_SERVED: list[Asker] = []


def self_served(pipeline: Make) -> Asker:
    """One pipeline for all examples of a property."""
    if not _SERVED:
        _SERVED.append(Asker(plugin, pipeline("wide")))
    return _SERVED[0]


def test_its_documents_are_true(pipeline: Make) -> None:
    """The example of every model is answered, in the form that the document gives."""
    models = "iris simple columns scalar fixed image string words double uint64 bool half table"
    for model in models.split():
        served = pipeline(model)
        operation = Asker(plugin, served).operation(*PREDICT)
        page = operation.document(served.manager.lookup(model))
        assert page is not None
        document = json.dumps(page.example, allow_nan=False).encode()
        call = operation.decode(Message(document, {"model": model}), served.manager.lookup)
        assert isinstance(call, InferRequest)
        for name, array in call.inputs.items():
            np.testing.assert_array_equal(array, call.handle.example[name])
        assert operation.document(None) is None
