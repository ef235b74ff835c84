"""protocols/oip: a model's configuration and metadata, as Triton prints them."""

from collections.abc import Callable
from typing import Any

import pytest

from inferd.pipeline import Pipeline
from inferd.protocols.oip import plugin
from inferd.protocols.oip.config import configuration, platform
from inferd.signature import Signature, TensorSpec
from inferd.spec import Batching, QueuePolicy
from tests.unit.asking import Asker
from tests.unit.toys import StreamingRuntime, ToyRuntime, version_of

Make = Callable[..., Pipeline]
CONFIG = ("GET", "/v2/models/{model}/config")
KEYS = [
    "name",
    "platform",
    "backend",
    "runtime",
    "version_policy",
    "max_batch_size",
    "input",
    "output",
    "batch_input",
    "batch_output",
    "optimization",
    "dynamic_batching",
    "instance_group",
    "default_model_filename",
    "cc_model_filenames",
    "metric_tags",
    "parameters",
    "model_warmup",
]


def test_the_keys_stand_in_tritons_order_defaults_included(pipeline: Make) -> None:
    """Every scalar field is printed, in the order of Triton's model_config.proto."""
    told = Asker(plugin, pipeline("iris")).ask(CONFIG, model="iris")
    assert list(told) == KEYS
    (tensor,) = told["input"]
    assert list(tensor.items()) == [
        ("name", "X"),
        ("data_type", "TYPE_FP32"),
        ("format", "FORMAT_NONE"),
        ("dims", [4]),
        ("is_shape_tensor", False),
        ("allow_ragged_batch", False),
        ("optional", False),
        ("is_non_linear_format_io", False),
    ]
    assert [list(output) for output in told["output"]] == [
        [
            "name",
            "data_type",
            "dims",
            "label_filename",
            "is_shape_tensor",
            "is_non_linear_format_io",
        ]
    ] * 2
    assert list(told["instance_group"][0]) == [
        "name",
        "kind",
        "count",
        "gpus",
        "secondary_devices",
        "profile",
        "passive",
        "host_policy",
    ]


def test_the_dimensions_are_without_the_batch_where_there_is_one(pipeline: Make) -> None:
    """``max_batch_size`` says that the shape has one more dimension than ``dims``; 0, that it has
    none."""
    oip = Asker(plugin, pipeline("image", "fixed"))
    image, fixed = (oip.ask(CONFIG, model=name) for name in ("image", "fixed"))
    assert (image["max_batch_size"], image["input"][0]["dims"]) == (256, [2, 3])
    assert (fixed["max_batch_size"], fixed["input"][0]["dims"]) == (0, [1, 4])
    assert "dynamic_batching" not in fixed


def test_strings_are_of_the_type_string(pipeline: Make) -> None:
    """BYTES on the wire is TYPE_STRING in a configuration."""
    told = Asker(plugin, pipeline("text")).ask(CONFIG, model="text")
    assert {each["data_type"] for each in (*told["input"], *told["output"])} == {"TYPE_STRING"}


def test_what_is_said_of_batching_is_what_is_done(pipeline: Make) -> None:
    """The settings of the queue are those that the scheduler works by."""
    settings = {"max_batch_size": 8, "max_queue_delay_microseconds": 70, "max_queue_size": 9}
    told = Asker(plugin, pipeline("iris", **settings)).ask(CONFIG, model="iris")
    batching = told["dynamic_batching"]
    assert told["max_batch_size"] == 8
    assert batching["preferred_batch_size"] == [8]
    assert batching["max_queue_delay_microseconds"] == 70
    assert batching["default_queue_policy"] == {
        "timeout_action": "REJECT",
        "default_timeout_microseconds": 0,
        "allow_timeout_override": True,
        "max_queue_size": 9,
    }


def test_levels_and_their_policies_are_told(pipeline: Make) -> None:
    """What the server fills in stands there as well: the level of a request that names none."""
    settings: dict[str, Any] = {
        "preferred_batch_size": "4,8",
        "priority_levels": 3,
        "queue_timeout_microseconds": 500,
        "timeout_action": "delay",
    }
    told = Asker(plugin, pipeline("iris", **settings)).ask(CONFIG, model="iris")
    batching = told["dynamic_batching"]
    assert batching["preferred_batch_size"] == [4, 8]
    assert (batching["priority_levels"], batching["default_priority_level"]) == (3, 2)
    assert batching["default_queue_policy"]["timeout_action"] == "DELAY"
    assert batching["default_queue_policy"]["default_timeout_microseconds"] == 500
    ordered = Asker(plugin, pipeline("iris", preserve_ordering=True)).ask(CONFIG, model="iris")
    assert ordered["dynamic_batching"]["preserve_ordering"] is True
    policies = {2: QueuePolicy(max_queue_size=5)}
    version = version_of(ToyRuntime())
    version.batching = Batching(priority_levels=2, level_queues=policies)
    (of_two,) = configuration(version, ("1",))["dynamic_batching"]["priority_queue_policy"].items()
    assert of_two == ("2", {**batching["default_queue_policy"], **_FIVE})


_FIVE = {"timeout_action": "REJECT", "default_timeout_microseconds": 0, "max_queue_size": 5}


def test_a_model_that_is_not_batched_says_so(pipeline: Make) -> None:
    """Joining that is turned off is no dynamic batching; the dimension of the rows is there
    nonetheless."""
    told = Asker(plugin, pipeline("iris", max_batch_size=1)).ask(CONFIG, model="iris")
    assert (told["max_batch_size"], "dynamic_batching" in told) == (1, False)


def test_a_model_that_answers_in_parts_is_decoupled() -> None:
    """Its transaction policy says so, and its requests are not joined."""
    told = configuration(version_of(StreamingRuntime()), ("1",))
    assert told["model_transaction_policy"] == {"decoupled": True}
    assert "dynamic_batching" not in told
    assert "model_transaction_policy" not in configuration(version_of(ToyRuntime()), ("1",))


@pytest.mark.parametrize(
    ("versions", "policy"),
    [
        (("1",), {"latest": {"num_versions": 1}}),
        (("3", "1"), {"specific": {"versions": [3, 1]}}),
        (("blue",), {"latest": {"num_versions": 1}}),
    ],
)
def test_the_versions_served_are_the_policy(versions: tuple[str, ...], policy: object) -> None:
    """The latest one, or those that are there."""
    assert configuration(version_of(ToyRuntime()), versions)["version_policy"] == policy


def test_names_that_triton_has_for_a_runtime_are_used(pipeline: Make) -> None:
    """At Triton's port, metadata has the platform of the configuration, and its backend where it
    has none."""
    door = Asker(plugin.at("triton"), pipeline("iris"))
    told = door.ask(CONFIG, model="iris")
    assert (told["platform"], told["backend"]) == ("onnxruntime_onnx", "onnxruntime")
    assert door.ask(("GET", "/v2/models/{model}"), model="iris")["platform"] == told["platform"]
    toy = version_of(ToyRuntime())
    said = configuration(toy, ("1",))
    assert (said["platform"], said["backend"], platform(toy)) == ("", "toy", "toy")


def test_each_datatype_has_its_name() -> None:
    """TYPE_ and the datatype."""
    names = ("BOOL", "UINT8", "INT64", "FP16", "FP64")
    specs = tuple(TensorSpec(name, name, (2,)) for name in names)
    told = configuration(version_of(ToyRuntime(Signature(specs, specs))), ("1",))
    assert [each["data_type"] for each in told["input"]] == [f"TYPE_{name}" for name in names]


def test_instances_and_threads_are_told_as_triton_is_told_them() -> None:
    """The threads by the parameter of its ONNX backend, and only where there are several."""
    version = version_of(ToyRuntime())
    assert configuration(version, ["1"])["parameters"] == {}
    version.instances, version.threads = 2, 4
    told = configuration(version, ["1"])
    assert told["instance_group"][0]["count"] == 2
    assert told["parameters"] == {"intra_op_thread_count": {"string_value": "4"}}
