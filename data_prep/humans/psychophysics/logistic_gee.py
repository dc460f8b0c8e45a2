"""Logistic regression of clustered answers: GEE with independent working correlation.

The estimate is the ordinary maximum-likelihood one; its errors come from the clusters (Liang &
Zeger 1986, the "sandwich"), so that trials of one person need not be independent.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

MOST_STEPS = 100
TOLERANCE = 1e-10
SEPARATED = "the regression does not converge: the answers are separated by a column"


class Fit(NamedTuple):
    """One coefficient a column of the design: [K] each, and the robust covariance [K, K]."""

    estimate: np.ndarray
    error: np.ndarray
    p: np.ndarray  # two-sided, normal
    covariance: np.ndarray
    clusters: int


def fit(design: np.ndarray, answers: np.ndarray, cluster: np.ndarray) -> Fit:
    """Fits answers 0 or 1 [N] by a design [N, K], with clusters [N] of whole numbers.

    ValueError: it does not converge, as when a column separates the answers.
    """
    estimate = np.zeros(design.shape[1])
    for _ in range(MOST_STEPS):
        chance = 1 / (1 + np.exp(-design @ estimate))
        bread = (design * (chance * (1 - chance))[:, None]).T @ design
        try:
            step = np.linalg.solve(bread, design.T @ (answers - chance))
        except np.linalg.LinAlgError:
            raise ValueError(SEPARATED) from None
        estimate = estimate + step
        if np.abs(step).max() < TOLERANCE:
            break
        if not np.isfinite(estimate).all() or np.abs(estimate).max() > 100:
            raise ValueError(SEPARATED)
    chance = 1 / (1 + np.exp(-design @ estimate))
    bread = np.linalg.inv((design * (chance * (1 - chance))[:, None]).T @ design)
    scores = np.zeros((cluster.max() + 1, design.shape[1]))
    np.add.at(scores, cluster, design * (answers - chance)[:, None])
    covariance = bread @ (scores.T @ scores) @ bread
    error = np.sqrt(np.diag(covariance))
    p = 2 * stats.norm.sf(np.abs(estimate / error))
    return Fit(estimate, error, p, covariance, len(np.unique(cluster)))
