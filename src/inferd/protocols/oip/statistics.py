"""What each model has done so far, in Triton's words. (server 2.73dev, docs/protocol/
extension_statistics.md)"""

from typing import Any

from inferd.calls import Call, Handle, Lookup, ModelStatistics, StatisticsReport
from inferd.errors import InvalidInput, ModelNotFound, NotReady
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.oip.schemas import OBJECT, TEXT, WHOLE, array, record
from inferd.statistics import SizeStatistics, Statistics, Total
from inferd.wire.json import encode

TOTALS = (
    "success",
    "fail",
    "queue",
    "compute_input",
    "compute_infer",
    "compute_output",
    "cache_hit",
    "cache_miss",
)
OF_A_SIZE = ("compute_input", "compute_infer", "compute_output")


class ReadStatistics(Operation):
    """``GET /v2/models/{model}/stats``, or, *of_all*, ``/v2/models/stats``."""

    call = ModelStatistics

    def __init__(self, *, strict: bool = False, of_all: bool = False) -> None:
        self._strict, self._of_all = strict, of_all

    def decode(self, message: Message, lookup: Lookup) -> Call:
        model, version = message.path.get("model"), message.path.get("version")
        if self._strict and model is not None:
            try:
                lookup(model, version)
            except (ModelNotFound, NotReady) as error:
                raise _unavailable(model, error) from None
        return ModelStatistics(model, version)

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(encode(model_statistics(response)))

    def document(self, handle: Handle | None) -> Documentation | None:
        if self._of_all:
            whose = "each model"
        elif handle is None:
            return None
        else:
            whose = handle.model
        total = record(count=WHOLE, ns=WHOLE)
        model = record(
            name=TEXT,
            version=TEXT,
            last_inference=WHOLE,
            inference_count=WHOLE,
            execution_count=WHOLE,
            inference_stats=record(**dict.fromkeys(TOTALS, total)),
            response_stats=OBJECT,
            batch_stats=array(record(batch_size=WHOLE, **dict.fromkeys(OF_A_SIZE, total))),
            memory_usage=array(OBJECT),
        )
        return Documentation(f"What {whose} has done so far.", record(model_stats=array(model)))


def _unavailable(model: str, error: ModelNotFound | NotReady) -> InvalidInput:
    if isinstance(error, ModelNotFound) and error.version is not None:
        return InvalidInput(f"requested model version is not available for model '{error.name}'")
    name = error.name if isinstance(error, ModelNotFound) else model
    return InvalidInput(f"requested model '{name}' is not available")


def model_statistics(report: StatisticsReport) -> dict[str, Any]:
    """What each version has done so far."""
    return {"model_stats": [_told(handle, done) for handle, done in report.versions]}


def _told(handle: Handle, statistics: Statistics) -> dict[str, Any]:
    return {
        "name": handle.model,
        "version": handle.version,
        "last_inference": statistics.last_inference_ms,
        "inference_count": statistics.rows,
        "execution_count": statistics.executions,
        "inference_stats": {name: _total(getattr(statistics, name)) for name in TOTALS},
        "response_stats": {},
        "batch_stats": [_size(size) for size in statistics.sizes],
        "memory_usage": [],
    }


def _size(size: SizeStatistics) -> dict[str, Any]:
    totals = {name: _total(getattr(size, name)) for name in OF_A_SIZE}
    return {"batch_size": size.rows, **totals}


def _total(total: Total) -> dict[str, int]:
    return {"count": total.count, "ns": total.ns}
