"""The sum and the difference of two tensors, for Triton's python backend."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """What Triton loads."""

    def execute(self, requests: list[object]) -> list[object]:
        return [pb_utils.InferenceResponse(outputs(request)) for request in requests]


def outputs(request: object) -> list[object]:
    left, right = (
        pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("INPUT0", "INPUT1")
    )
    return [
        pb_utils.Tensor("OUTPUT0", left + right),
        pb_utils.Tensor("OUTPUT1", left - right),
    ]
