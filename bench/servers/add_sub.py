"""The sum and the difference of two tensors, for `inferd serve bench/servers/add_sub.py`."""

from typing import Any

import inferd


class AddSub:
    """What Triton's example of that name does."""

    signature = inferd.Signature(
        inputs=(
            inferd.TensorSpec("INPUT0", "FP32", (4,)),
            inferd.TensorSpec("INPUT1", "FP32", (4,)),
        ),
        outputs=(
            inferd.TensorSpec("OUTPUT0", "FP32", (4,)),
            inferd.TensorSpec("OUTPUT1", "FP32", (4,)),
        ),
    )

    def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        left, right = inputs["INPUT0"], inputs["INPUT1"]
        return {"OUTPUT0": left + right, "OUTPUT1": left - right}
