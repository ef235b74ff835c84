"""The model behind BentoML.

BENCH_MODEL=model.onnx bentoml serve bench.servers.bentoml:Labels
"""

import bentoml

from bench.servers import labels

QUIET = {"access": {"enabled": False}}
LONGEST_WAIT = 10_000
"""Milliseconds; a request that must wait longer is refused, and here none shall be."""

batched = bentoml.api(batchable=True, max_batch_size=labels.BATCH or 2, max_latency_ms=LONGEST_WAIT)


@bentoml.service(workers=1, logging=QUIET, metrics={"enabled": False}, traffic={"timeout": 60})
class Labels:
    """One model."""

    def __init__(self) -> None:
        self.model = labels.load()

    @bentoml.api  # type: ignore[untyped-decorator]  # it ships no types
    async def predict(self, features: list[float]) -> dict[str, int]:
        return {"prediction": self.model([features])[0]}

    @batched  # type: ignore[untyped-decorator]  # it ships no types
    async def predict_batch(self, features: list[list[float]]) -> list[int]:
        return self.model(features)
