"""Every model of the zoo, 100,000 rows of each kind: compiled, it answers as its library does."""

import pytest

from tests.formats.asserting import check
from tests.formats.estimators import classes
from tests.formats.sweep import held
from tests.formats.zoo import CASES


@pytest.mark.formats
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CASES)
def test_the_compiled_form_answers_as_the_library(name: str) -> None:
    """No label differs, no score by more than the verdict admits; or there is a reason."""
    case = CASES[name]
    check(case, held(case, case.rows))


@pytest.mark.formats
@pytest.mark.parametrize("name", classes())
def test_every_class_that_predicts_is_in_the_zoo(name: str) -> None:
    """A class that a new version of scikit-learn brings is asked, too."""
    assert any(case.startswith(name) for case in CASES)
