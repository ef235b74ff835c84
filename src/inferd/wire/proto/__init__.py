"""The messages of the gRPC services, as classes that protobuf makes from ``descriptors.binpb``.

They live in a pool of their own. Other packages (tensorflow, tritonclient, kserve) register files
and messages of the same names in protobuf's default pool, where two that differ cannot be at once.
``scripts/protos`` writes the file from ``protos/``.
"""

from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

DESCRIPTORS = Path(__file__).with_name("descriptors.binpb")
_one_pool = Lock()  # messages of two pools do not go together


@cache
def message(name: str) -> Any:
    """The class of the message of this full name; KeyError where there is none."""
    from google.protobuf.message_factory import GetMessageClass

    with _one_pool:
        return GetMessageClass(_pool().FindMessageTypeByName(name))


@cache
def _pool() -> Any:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from google.protobuf.descriptor_pool import DescriptorPool

    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:  # imports come first
        pool.Add(file)
    return pool
