"""A model's configuration, as Triton prints it: its keys in its order, defaults written out.

(server 2.73dev, model_config.proto; core/src/model_config_utils.cc ModelConfigToJson)
"""

from collections.abc import Sequence
from typing import Any

from inferd.calls import Call, Handle, Lookup, ModelMetadata
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.oip.schemas import OBJECT, TEXT, WHOLE, array, record
from inferd.signature import TensorSpec
from inferd.spec import QueuePolicy
from inferd.wire.json import encode


class Configuration(Operation):
    """``GET /v2/models/{model}/config``."""

    call = ModelMetadata

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ModelMetadata(message.path["model"], message.path.get("version"))

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(encode(configuration(response.handle, response.versions)))

    def document(self, handle: Handle | None) -> Documentation | None:
        if handle is None:
            return None
        schema = record(
            name=TEXT,
            platform=TEXT,
            backend=TEXT,
            version_policy=OBJECT,
            max_batch_size=WHOLE,
            input=array(record(name=TEXT, data_type=TEXT, dims=array(WHOLE))),
            output=array(record(name=TEXT, data_type=TEXT, dims=array(WHOLE))),
            instance_group=array(OBJECT),
        )
        return Documentation(f"How {handle.model} is run.", schema)


def configuration(handle: Handle, versions: Sequence[str]) -> dict[str, Any]:
    """The document of *handle*'s model, of which *versions* are served."""
    batches, streams = handle.signature.batch_axis == 0, handle.streams
    most = handle.batching.max_batch_size if batches else 0
    joins = most > 1 and not streams
    signature = handle.signature
    return {
        "name": handle.model,
        "platform": _PLATFORMS.get(handle.runtime_name, ""),
        "backend": _backend(handle),
        "runtime": "",
        "version_policy": _policy(versions),
        "max_batch_size": most,
        "input": [_input(spec, batches=batches) for spec in signature.inputs],
        "output": [_output(spec, batches=batches) for spec in signature.outputs],
        "batch_input": [],
        "batch_output": [],
        "optimization": {
            "priority": "PRIORITY_DEFAULT",
            "input_pinned_memory": {"enable": False},
            "output_pinned_memory": {"enable": False},
            "gather_kernel_buffer_threshold": 0,
            "eager_batching": False,
        },
        **({"dynamic_batching": _batching(handle)} if joins else {}),
        "instance_group": [_instances(handle)],
        "default_model_filename": "",
        "cc_model_filenames": {},
        "metric_tags": {},
        "parameters": _parameters(handle),
        "model_warmup": [],
        **({"model_transaction_policy": {"decoupled": True}} if streams else {}),
    }


_PLATFORMS = {"onnx": "onnxruntime_onnx"}
_BACKENDS = {"onnx": "onnxruntime"}
"""Triton's names where it has the same backend."""


def platform(handle: Handle) -> str:
    """What metadata has for a platform: the configuration's, or its backend where it has none."""
    return _PLATFORMS.get(handle.runtime_name) or _backend(handle)


def _backend(handle: Handle) -> str:
    return _BACKENDS.get(handle.runtime_name, handle.runtime_name)


def _policy(versions: Sequence[str]) -> dict[str, Any]:
    numbers = [int(version) for version in versions if version.isascii() and version.isdigit()]
    if len(numbers) > 1:
        return {"specific": {"versions": numbers}}
    return {"latest": {"num_versions": 1}}


def _input(spec: TensorSpec, *, batches: bool) -> dict[str, Any]:
    return {
        "name": spec.name,
        "data_type": _data_type(spec),
        "format": "FORMAT_NONE",
        "dims": spec.shape[batches:],
        "is_shape_tensor": False,
        "allow_ragged_batch": False,
        "optional": False,
        "is_non_linear_format_io": False,
    }


def _output(spec: TensorSpec, *, batches: bool) -> dict[str, Any]:
    return {
        "name": spec.name,
        "data_type": _data_type(spec),
        "dims": spec.shape[batches:],
        "label_filename": "",
        "is_shape_tensor": False,
        "is_non_linear_format_io": False,
    }


def _data_type(spec: TensorSpec) -> str:
    return "TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}"


def _batching(handle: Handle) -> dict[str, Any]:
    batching = handle.batching
    return {
        "preferred_batch_size": [*batching.preferred_batch_size] or [batching.max_batch_size],
        "max_queue_delay_microseconds": batching.max_queue_delay_microseconds,
        "preserve_ordering": batching.preserve_ordering,
        "priority_levels": batching.priority_levels,
        "default_priority_level": batching.default_level,
        "default_queue_policy": _policy_of_queue(batching.queue),
        "priority_queue_policy": {
            str(level): _policy_of_queue(queue) for level, queue in batching.level_queues.items()
        },
    }


def _policy_of_queue(queue: QueuePolicy) -> dict[str, Any]:
    return {
        "timeout_action": queue.timeout_action.upper(),
        "default_timeout_microseconds": queue.timeout_microseconds,
        "allow_timeout_override": queue.allow_timeout_override,
        "max_queue_size": queue.max_queue_size,
    }


def _parameters(handle: Handle) -> dict[str, Any]:
    """What Triton's backend of that name is told by, where there is something to tell."""
    if handle.threads == 1:
        return {}
    return {"intra_op_thread_count": {"string_value": str(handle.threads)}}


def _instances(handle: Handle) -> dict[str, Any]:
    return {
        "name": handle.model,
        "kind": "KIND_CPU",
        "count": handle.instances,
        "gpus": [],
        "secondary_devices": [],
        "profile": [],
        "passive": False,
        "host_policy": "",
    }
