"""scikit-learn's mixtures, clusterers, processes and steps, compiled, against their own answers."""

from typing import Any

import numpy as np
import pytest

from inferd.compiling.converters.base import CannotConvert

pytest.importorskip("sklearn")

from sklearn import cluster, gaussian_process, isotonic, mixture, semi_supervised
from sklearn.gaussian_process import kernels

from tests.unit.converters.predicting import (
    COLUMNS,
    KINDS,
    asked,
    fit,
    numbers,
    same,
    session,
    table,
    targets,
)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("bayesian", [False, True])
def test_mixtures(kind: str, bayesian: bool) -> None:
    """Components and their chances are the library's, far from the data too."""
    rows = table()
    maker = mixture.BayesianGaussianMixture if bayesian else mixture.GaussianMixture
    same(fit(maker(n_components=3, covariance_type=kind, random_state=0), rows), asked(rows))


def test_a_mixture_of_dirichlet_distributions() -> None:
    """The other prior of weights is known, too."""
    prior = "dirichlet_distribution"
    model = mixture.BayesianGaussianMixture(
        n_components=3, weight_concentration_prior_type=prior, max_iter=20, random_state=0
    )
    same(fit(model, table()), asked(table()))


@pytest.mark.parametrize(
    "model",
    [
        cluster.KMeans(5, n_init=2, random_state=0),
        cluster.MiniBatchKMeans(5, n_init=2, random_state=0),
        cluster.BisectingKMeans(6, random_state=0),
        cluster.BisectingKMeans(1),
        cluster.Birch(threshold=0.4, n_clusters=4),
        cluster.AffinityPropagation(random_state=0),
        cluster.MeanShift(bandwidth=1.0),
    ],
    ids=str,
)
def test_clusterers(model: Any) -> None:
    """Rows belong to the library's clusters; those between two centres as well."""
    rows = table(150)
    fit(model, rows)
    if isinstance(model, cluster.BisectingKMeans) and model.n_clusters == 1:
        with pytest.raises(CannotConvert):
            session(model, COLUMNS, "predict")
        return
    same(model, asked(rows), ["predict"])


def test_rows_between_centres() -> None:
    """A row as far from one centre as from another belongs to the first."""
    centres = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    model = fit(cluster.KMeans(5, n_init=1, init=centres), centres)
    model.cluster_centers_ = centres
    steps = np.arange(-40, 60) / 20.0
    same(model, np.array([[a, b] for a in steps for b in steps]), ["predict"])


@pytest.mark.parametrize(
    "kernel",
    [
        None,
        kernels.RBF(0.7) + kernels.WhiteKernel(0.3),
        2.0 * kernels.RBF([0.5, 1.0, 2.0, 3.0]) + kernels.WhiteKernel(0.3),
        kernels.Matern(nu=0.5) + kernels.WhiteKernel(0.3),
        kernels.Matern(nu=1.5) + kernels.WhiteKernel(0.3),
        kernels.Matern(nu=2.5) + kernels.WhiteKernel(0.3),
        kernels.DotProduct() + kernels.WhiteKernel(0.3),
    ],
    ids=str,
)
@pytest.mark.parametrize("normalize_y", [False, True])
def test_gaussian_processes(kernel: Any, normalize_y: bool) -> None:
    """The mean is the library's."""
    rows = table(60)
    model = gaussian_process.GaussianProcessRegressor(
        kernel, alpha=0.05, normalize_y=normalize_y, optimizer=None
    )
    same(fit(model, rows, targets(rows)), asked(rows))


@pytest.mark.parametrize("kind", KINDS)
def test_label_propagation(kind: str) -> None:
    """Labels spread from the fitted rows as in the library."""
    rows = table()
    codes = numbers(rows, KINDS.index(kind) + 2)
    codes[::3] = -1
    near = asked(rows)
    near = near[np.abs(near).max(axis=1) < 5]
    for model in (
        semi_supervised.LabelPropagation(gamma=1),
        semi_supervised.LabelSpreading(gamma=1),
    ):
        same(fit(model, rows, codes), near)


@pytest.mark.parametrize("bounds", ["clip", "nan"])
def test_steps(bounds: Any) -> None:
    """Numbers on, between and beyond the thresholds are interpolated as in the library."""
    rows = table()[:, :1]
    model = fit(isotonic.IsotonicRegression(out_of_bounds=bounds), rows, targets(table()))
    known = model.X_thresholds_[:, None]
    near = [known, np.nextafter(known, -9), np.nextafter(known, 9), asked(rows)]
    same(model, np.vstack(near), ("predict", "transform"))
    flat = fit(
        isotonic.IsotonicRegression(out_of_bounds=bounds), np.full((9, 1), 2.0), np.arange(9)
    )
    same(flat, asked(rows), ["predict"])
