"""The dialects that are fuzzed, by name."""

from fuzz.dialects import binary, kserve, mlflow, oip, plain, tfserving, websocket
from fuzz.dialects.base import Dialect

DIALECTS: dict[str, Dialect] = {
    module.dialect.name: module.dialect
    for module in (plain, oip, binary, tfserving, kserve, mlflow, websocket)
}
