"""Compares our isolation forest and k-means with scikit-learn's, on the same rows.

    python tests/oracle/trained_detectors.py PROGRAM

PROGRAM is the example `detector_train`; scikit-learn and SciPy must be installed. Isolation forests are drawn by chance, so ours is held to
what scikit-learn's own are to each other: the rank correlation of its scores with theirs may be 0.01 below that between two of
their seeds. The inertia of k-means may be 1 % above the best of ten runs of scikit-learn. Exits with 1 if anything is beyond that.
"""

import subprocess
import sys

import numpy as np
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest

SEEDS = 4


def data_sets():
    draw = np.random.default_rng(7)
    clouds = [draw.normal(centre, 1.0, (1000, 4)) for centre in (0.0, 6.0, -8.0)]
    yield "clouds", np.vstack([*clouds, draw.uniform(-20, 20, (60, 4))])
    yield "heavy tails", draw.lognormal(0.0, 1.0, (3000, 3)) * np.array([1.0, 100.0, 1e6])
    x = draw.uniform(0, 10, 4000)
    yield "a line", np.column_stack([x, 2 * x + draw.normal(0, 0.5, 4000)])
    yield "repeats", np.round(draw.normal(20, 2, (2500, 2)))
    yield "many columns", draw.normal(0, 1, (2000, 16)) @ draw.normal(0, 1, (16, 16))


def ours(program, rows, *words):
    text = "\n".join(",".join(repr(float(cell)) for cell in row) for row in rows)
    run = subprocess.run([program, *map(str, words)], input=text, capture_output=True, text=True, check=True)
    return np.array([float(line) for line in run.stdout.split()])


def mean_correlation(some, others, apart):
    pairs = [(i, j) for i in range(len(some)) for j in range(len(others)) if not apart or i < j]
    return np.mean([spearmanr(some[i], others[j])[0] for i, j in pairs])


def main(program):
    failed = False
    for name, rows in data_sets():
        theirs = [-IsolationForest(random_state=seed).fit(rows).score_samples(rows) for seed in range(SEEDS)]
        mine = [ours(program, rows, "isolation_forest", seed) for seed in range(SEEDS)]
        among, between = mean_correlation(theirs, theirs, True), mean_correlation(mine, theirs, False)
        level = max(abs(np.mean(mine) - np.mean(theirs)), abs(np.max(mine) - np.max(theirs)))
        bad = between < among - 0.01
        print(f"isolation forest, {name}: theirs {among:.4f}, ours with theirs {between:.4f}, level {level:.3f}{' BAD' if bad else ''}")
        failed |= bad
        for k in (2, 3, 8):
            best = KMeans(k, n_init=10, random_state=0).fit(rows).inertia_
            inertia = max(ours(program, rows, "k_means", k, seed)[0] for seed in range(SEEDS))
            bad = inertia > best * 1.01
            print(f"k-means of {k}, {name}: theirs {best:.6g}, ours at worst {inertia:.6g}{' BAD' if bad else ''}")
            failed |= bad
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
