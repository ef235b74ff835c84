"""A few models of the zoo with few rows, at every change."""

import pytest

from tests.formats.asserting import check
from tests.formats.sweep import held
from tests.formats.zoo import CASES, FAST


@pytest.mark.parametrize("name", FAST)
def test_the_compiled_form_answers_as_the_library(name: str) -> None:
    """No label differs, no score by more than the verdict admits, and it is compiled at all."""
    check(CASES[name], held(CASES[name], 5_000))
