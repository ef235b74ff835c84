"""scikit-learn's predictors that are no trees, compiled, against their own answers."""

from typing import Any

import numpy as np
import onnxruntime
import pytest

from inferd.compiling.converters.base import CannotConvert

pytest.importorskip("sklearn")

from sklearn import (
    covariance,
    cross_decomposition,
    discriminant_analysis,
    dummy,
    gaussian_process,
    isotonic,
    kernel_ridge,
    linear_model,
    naive_bayes,
    neighbors,
    neural_network,
    svm,
)
from sklearn.gaussian_process import kernels

from tests.unit.converters.predicting import (
    COLUMNS,
    KINDS,
    METHODS,
    asked,
    classes_of,
    fit,
    numbers,
    same,
    session,
    table,
    targets,
)

LINEAR_CLASSIFIERS = [
    linear_model.LogisticRegression(),
    linear_model.LogisticRegressionCV(
        Cs=1, cv=2, max_iter=9, use_legacy_attributes=False, scoring="accuracy"
    ),
    linear_model.Perceptron(),
    linear_model.RidgeClassifier(),
    linear_model.RidgeClassifierCV(),
    linear_model.SGDClassifier(),
    linear_model.SGDClassifier(loss="log_loss"),
    linear_model.SGDClassifier(loss="modified_huber"),
    svm.LinearSVC(),
    svm.LinearSVC(multi_class="crammer_singer"),
    discriminant_analysis.LinearDiscriminantAnalysis(),
    discriminant_analysis.LinearDiscriminantAnalysis("eigen"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", LINEAR_CLASSIFIERS, ids=str)
def test_linear_classifiers(model: Any, kind: str) -> None:
    """Labels are the library's, and so are scores but for the rounding of sums."""
    rows = table()
    methods = [m for m in METHODS if not (m == "transform" and isinstance(model, svm.LinearSVC))]
    same(fit(model, rows, classes_of(kind, rows)), asked(rows), methods)


def test_a_score_of_zero_is_the_first_class() -> None:
    """A row on the border itself gets the library's label, whichever that is."""
    for model in (linear_model.LogisticRegression(), svm.LinearSVC(), linear_model.Perceptron()):
        fit(model, table(), numbers(table()))
        model.coef_, model.intercept_ = np.array([[0.5, -0.25, 1.0, 2.0]]), np.array([0.25])
        rows = asked(table())
        rows = rows[np.abs(rows).max(axis=1) < 10]
        assert (model.decision_function(rows) == 0).sum() > 5
        same(model, rows)
        model.coef_[:] = model.intercept_[:] = 0.0
        same(model, rows)


def test_several_labels_of_a_ridge_classifier() -> None:
    """Each label is told from zero."""
    rows = table()
    many = np.column_stack([numbers(rows), numbers(rows, 3) > 0, rows[:, 0] > 0]).astype(int)
    same(fit(linear_model.RidgeClassifier(), rows, many), asked(rows))


REGRESSORS = [
    linear_model.ARDRegression(),
    linear_model.BayesianRidge(),
    linear_model.ElasticNet(alpha=0.01),
    linear_model.ElasticNetCV(cv=2, alphas=3),
    linear_model.HuberRegressor(),
    linear_model.Lars(),
    linear_model.LarsCV(cv=2),
    linear_model.Lasso(alpha=0.01),
    linear_model.LassoCV(cv=2, alphas=3),
    linear_model.LassoLars(alpha=0.01),
    linear_model.LassoLarsCV(cv=2),
    linear_model.LassoLarsIC(),
    linear_model.LinearRegression(),
    linear_model.LinearRegression(fit_intercept=False),
    linear_model.OrthogonalMatchingPursuit(),
    linear_model.OrthogonalMatchingPursuitCV(cv=2),
    linear_model.QuantileRegressor(alpha=0.01),
    linear_model.RANSACRegressor(random_state=0),
    linear_model.Ridge(),
    linear_model.RidgeCV(),
    linear_model.SGDRegressor(),
    linear_model.TheilSenRegressor(random_state=0),
    linear_model.TweedieRegressor(power=0),
    svm.LinearSVR(),
    cross_decomposition.PLSRegression(),
    kernel_ridge.KernelRidge(),
    kernel_ridge.KernelRidge(kernel="rbf", gamma=0.3),
    kernel_ridge.KernelRidge(kernel="sigmoid", gamma=0.1),
    kernel_ridge.KernelRidge(kernel="cosine"),
    neural_network.MLPRegressor(hidden_layer_sizes=(8,), max_iter=30, random_state=0),
    neural_network.MLPRegressor(
        hidden_layer_sizes=(8, 4), activation="logistic", max_iter=30, random_state=0
    ),
    svm.SVR(),
    svm.SVR(kernel="linear"),
    svm.SVR(kernel="sigmoid"),
    svm.NuSVR(gamma=0.7),
    dummy.DummyRegressor(),
    dummy.DummyRegressor(strategy="quantile", quantile=0.3),
]


@pytest.mark.parametrize("model", REGRESSORS, ids=str)
def test_regressors(model: Any) -> None:
    """Predictions are the library's but for the rounding of sums."""
    rows = table()
    same(fit(model, rows, targets(rows)), asked(rows), ("predict", "decision_function"))


@pytest.mark.parametrize(
    "model",
    [
        linear_model.GammaRegressor(),
        linear_model.PoissonRegressor(),
        linear_model.TweedieRegressor(power=1.5),
        linear_model.TweedieRegressor(power=1.5, link="identity", max_iter=5),
        neural_network.MLPRegressor(
            hidden_layer_sizes=(6,), loss="poisson", max_iter=30, random_state=0
        ),
    ],
    ids=str,
)
def test_regressors_of_positive_numbers(model: Any) -> None:
    """So are those behind an exponential."""
    rows = table()
    fit(model, rows, np.exp(targets(rows) / 4))
    near = asked(rows)
    same(model, near[np.abs(near).max(axis=1) < 100])


@pytest.mark.parametrize(
    "model",
    [
        linear_model.LinearRegression(),
        linear_model.Ridge(),
        linear_model.MultiTaskLasso(alpha=0.01),
        linear_model.MultiTaskElasticNet(alpha=0.01),
        linear_model.MultiTaskLassoCV(cv=2, alphas=3),
        linear_model.MultiTaskElasticNetCV(cv=2, alphas=3),
        linear_model.Lars(),
        linear_model.OrthogonalMatchingPursuit(),
        cross_decomposition.PLSRegression(),
        cross_decomposition.PLSCanonical(),
        cross_decomposition.CCA(),
        kernel_ridge.KernelRidge(kernel="poly", degree=2),
        neural_network.MLPRegressor(
            hidden_layer_sizes=(8,), activation="tanh", max_iter=30, random_state=0
        ),
        gaussian_process.GaussianProcessRegressor(alpha=0.1),
        dummy.DummyRegressor(strategy="median"),
    ],
    ids=str,
)
def test_regressors_of_several_outputs(model: Any) -> None:
    """Each output has its column."""
    rows = table()
    same(fit(model, rows, targets(rows, 3)), asked(rows), ("predict", "transform"))


def test_a_table_of_one_target_stays_a_table() -> None:
    """Where the library gives a matrix of one column, so does the compiled form."""
    rows = table()
    for model in (linear_model.LinearRegression(), kernel_ridge.KernelRidge()):
        same(fit(model, rows, targets(rows)[:, None]), asked(rows))


VECTORS = [
    svm.SVC(),
    svm.SVC(kernel="linear"),
    svm.SVC(kernel="sigmoid", coef0=0.1),
    svm.SVC(break_ties=True, gamma=0.5),
    svm.SVC(decision_function_shape="ovo"),
    svm.NuSVC(nu=0.2),
    svm.SVC(C=100.0, gamma=3.0, class_weight="balanced"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", VECTORS, ids=str)
def test_support_vectors(model: Any, kind: str) -> None:
    """Votes between pairs, and ties between votes, are libsvm's."""
    rows = table()
    same(fit(model, rows, classes_of(kind, rows)), asked(rows))


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_powers_of_a_kernel(degree: int) -> None:
    """Whole powers are multiplied out."""
    rows = table()
    near = asked(rows)
    near = near[np.abs(near).max(axis=1) < 100]
    model = svm.SVC(kernel="poly", degree=degree, coef0=1.0)
    same(fit(model, rows, classes_of("three", rows)), near)


def test_votes_that_are_tied() -> None:
    """Of classes with as many votes the first wins."""
    rows = np.array([[0.0], [1.0], [2.0]] * 4) + np.arange(12)[:, None] % 2 * 0.25
    model = fit(svm.SVC(kernel="linear"), rows, np.arange(12) % 3)
    model._intercept_[:] = -(rows.mean() * model._dual_coef_ @ rows[model.support_]).ravel()[:1]
    same(model, np.linspace(-3, 5, 2001)[:, None])


def test_a_kernel_far_from_zero() -> None:
    """Squared distances keep their digits where the data lie far from zero."""
    rows = table() + 1e6
    same(fit(svm.SVC(gamma=0.5), rows, numbers(rows - 1e6, 3)), asked(table()) + 1e6)
    same(fit(svm.SVR(gamma=0.5), rows, targets(rows - 1e6)), np.vstack([rows, rows * 1e160]))


@pytest.mark.parametrize(
    "model",
    [
        svm.OneClassSVM(),
        svm.OneClassSVM(kernel="linear", nu=0.1),
        linear_model.SGDOneClassSVM(random_state=0),
        covariance.EllipticEnvelope(random_state=0),
    ],
    ids=str,
)
def test_outlier_detectors(model: Any) -> None:
    """Rows are in or out as the library says."""
    rows = table()
    near = asked(rows)
    # Far from zero, libsvm's own sums over support vectors lose the digits that cancel.
    same(fit(model, rows), near[np.abs(near).max(axis=1) < 1e4])


BAYES = [
    naive_bayes.GaussianNB(),
    naive_bayes.BernoulliNB(),
    naive_bayes.BernoulliNB(binarize=0.25),
    discriminant_analysis.QuadraticDiscriminantAnalysis(),
    discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.3),
    neighbors.NearestCentroid(),
    neighbors.NearestCentroid(priors="empirical"),
    neighbors.NearestCentroid("manhattan"),
    neighbors.NearestCentroid(shrink_threshold=0.3),
    neural_network.MLPClassifier((8,), max_iter=30, random_state=0),
    neural_network.MLPClassifier((5, 5), "tanh", max_iter=30, random_state=0),
    neural_network.MLPClassifier((5,), "identity", max_iter=30, random_state=0),
    dummy.DummyClassifier(),
    dummy.DummyClassifier(strategy="most_frequent"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", BAYES, ids=str)
def test_other_classifiers(model: Any, kind: str) -> None:
    """Labels are the library's, and so are scores but for rounding."""
    rows = table()
    same(fit(model, rows, classes_of(kind, rows)), asked(rows))


@pytest.mark.parametrize("model", [naive_bayes.MultinomialNB(), naive_bayes.ComplementNB()])
@pytest.mark.parametrize("kind", KINDS)
def test_counts(model: Any, kind: str) -> None:
    """Products with counts are the library's."""
    rows = np.abs(table())
    same(fit(model, rows, classes_of(kind, rows)), np.abs(asked(rows)))


@pytest.mark.parametrize("kind", KINDS)
def test_categories(kind: str) -> None:
    """Whole numbers are looked up; those beyond the known ones fail, as in the library."""
    rows = np.random.default_rng(0).integers(0, 4, (120, COLUMNS)).astype(float)
    model = fit(naive_bayes.CategoricalNB(), rows, classes_of(kind, rows))
    same(model, np.vstack([rows, np.minimum(rows + 0.7, 3.9), -rows % 4 - 0.5]))
    for value in (-1.0, 4.0, 1e6):
        with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
            session(model, COLUMNS, "predict").run(None, {"X": np.full((1, COLUMNS), value)})


def test_several_labels_of_a_perceptron() -> None:
    """Each label is told from a half."""
    rows = table()
    many = np.column_stack([numbers(rows), rows[:, 0] > 0, rows[:, 1] > 0.5]).astype(int)
    same(fit(neural_network.MLPClassifier((8,), max_iter=40), rows, many), asked(rows))


@pytest.mark.parametrize(
    "model",
    [
        svm.SVC(kernel=lambda a, b: a @ b.T),
        svm.SVC(kernel="precomputed"),
        gaussian_process.GaussianProcessRegressor(kernels.RationalQuadratic(), alpha=0.1),
        isotonic.IsotonicRegression(out_of_bounds="raise"),
        dummy.DummyClassifier(strategy="stratified"),
        neighbors.KNeighborsClassifier(),
        neighbors.RadiusNeighborsRegressor(),
    ],
    ids=lambda model: f"{type(model).__name__}-{id(model) % 97}",
)
def test_what_has_no_exact_form_is_refused(model: Any) -> None:
    """A model that would answer otherwise is left to its own library."""
    rows = table()
    given = rows @ rows.T if getattr(model, "kernel", "") == "precomputed" else rows
    given = given[:, :1] if isinstance(model, isotonic.IsotonicRegression) else given
    fit(model, given, numbers(rows))
    with pytest.raises(CannotConvert):
        session(model, given.shape[1], "predict")
