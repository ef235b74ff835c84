"""The plain protocol: ``{"features": ...}``."""

from math import prod

from hypothesis import strategies as st

from fuzz.dialects.base import Dialect, get, post
from fuzz.material import DEFAULT, JSON, MODELS, NAMES, TEXT, VALUES, asked, posted
from fuzz.request import Request


@st.composite
def predictions(draw: st.DrawFn) -> Request:
    """A prediction of one row or several."""
    model = draw(st.sampled_from(sorted(MODELS)))
    row = st.tuples(
        *(VALUES[kind] for _, kind, inner in MODELS[model][0] for _ in range(prod(inner)))
    )
    features = draw(row | row | st.lists(row, min_size=1, max_size=4) | st.lists(JSON, max_size=5))
    name = draw(st.just(model) | st.just(model) | st.just(model) | NAMES)
    unnamed = 3 if model == DEFAULT else 1
    targets = ["/predict", "/v1/predict"] * unnamed + [f"/v1/predict/{name}"] * 6
    target = draw(st.sampled_from(targets))
    key = draw(st.just("features") | TEXT) if draw(st.integers(0, 9)) == 0 else "features"
    return draw(posted(target, {key: features}))


QUESTIONS = st.sampled_from(
    [
        "/health",
        "/ready",
        "/predict",
        "/v1/predict/linear",
        "/docs",
        "/openapi.json",
        "/",
        "/metrics",
        "/v1",
        "/v1/",
    ]
)
SCORES = {"prediction": 2, "probability": [1.0, 4.0, 9.0], "model_version": "1"}
ROW = {"features": [1, 2, 3, 0]}

dialect = Dialect(
    "plain",
    predictions() | predictions() | predictions() | asked(QUESTIONS),
    (
        get("/health", {"status": "healthy"}),
        get("/ready", {"status": "ready"}),
        post("/predict", ROW, SCORES),
        post("/v1/predict", ROW, SCORES, chunks=(1, 7), extension=";a=b"),
        post("/v1/predict/line%61r", ROW, SCORES, coding="members"),
        post("http://localhost/v1/predict/linear", ROW, SCORES, coding="deflate"),
        post(
            "/v1/predict/mixed",
            {"features": [{"amount": 0.5, "count": 2, "flag": True, "code": "é"}]},
            {"predictions": [0.5], "model_version": "1"},
        ),
        post("/predict", b"{", None, status=400),
        post("/v1/predict/nobody", ROW, None, status=404),
    ),
)
