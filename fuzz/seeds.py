"""The seed corpus of a dialect, made by hypothesis."""

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzz.request import Request


def make_corpus(requests: st.SearchStrategy[Request], number: int, count: int) -> list[Request]:
    """*count* requests, the same for the same *number*."""
    corpus: list[Request] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests)
    def collect(request: Request) -> None:
        corpus.append(request)

    collect()
    return corpus
