"""What must hold of a case's outcome."""

from tests.formats.cases import Case
from tests.formats.sweep import REFUSED, Outcome


def check(case: Case, outcome: Outcome) -> None:
    """Assert it, whatever the verdict."""
    verdict = outcome.verdict
    if verdict.kind == "native":
        assert verdict.reason, "the library answers and nobody says why"
        assert not verdict.reason.startswith((REFUSED, "compiling failed")), verdict.reason
        assert not case.must, f"no longer compiled: {verdict.reason}"
        return
    assert outcome.rows, "nothing was asked"
    assert not outcome.wrong, f"labels differ: {outcome.wrong} of {outcome.rows}"
    allowed = 0.0 if verdict.kind == "exact" else outcome.tolerance
    assert outcome.difference <= allowed, f"{verdict} and yet {outcome.difference:.2g} apart"
