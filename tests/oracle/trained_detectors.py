"""Compares our isolation forest and k-means with scikit-learn's and PySpark ML's, on the same rows.

    scripts/services/learning-python.sh tests/oracle/trained_detectors.py FOREBAY

FOREBAY is the program: `forebay train` makes each model of a CSV file, and `forebay query` calls it in SQL. Isolation forests are drawn by
chance, so ours is held to what scikit-learn's own are to each other: the rank correlation of its scores with theirs may be 0.01 below
that between two of their seeds. The inertia of k-means may be 1 % above the best of ten runs of scikit-learn, and of two of Spark
ML's; of clouds that lie apart each row is as far from its centre as from Spark ML's. Prints a line for each comparison, and exits with 1 if one is beyond that.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from pyspark.ml.clustering import KMeans as SparkKMeans
from pyspark.ml.linalg import Vectors
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from spark_session import session

SEEDS = 3


def data_sets():
    draw = np.random.default_rng(7)
    clouds = [draw.normal(centre, 1.0, (700, 4)) for centre in (0.0, 6.0, -8.0)]
    yield "clouds", np.vstack([*clouds, draw.uniform(-20, 20, (60, 4))]), (2, 3)
    yield "heavy tails", draw.lognormal(0.0, 1.0, (2000, 3)) * np.array([1.0, 100.0, 1e6]), (2,)
    x = draw.uniform(0, 10, 2000)
    yield "a line", np.column_stack([x, 2 * x + draw.normal(0, 0.5, 2000)]), (8,)
    yield "repeats", np.round(draw.normal(20, 2, (2000, 2))), (2,)


class Ours:
    """A data folder of ours with the rows as a table of a pipeline."""

    def __init__(self, program, folder, rows):
        self.program, self.folder = program, pathlib.Path(folder)
        self.columns = [f"c{number}" for number in range(rows.shape[1])]
        lines = [",".join(["id", *self.columns])]
        lines += [",".join([str(number), *(repr(float(cell)) for cell in row)]) for number, row in enumerate(rows)]
        (self.folder / "rows.csv").write_text("\n".join(lines) + "\n")

    def run(self, *words):
        done = subprocess.run([self.program, "--data", self.folder, *words], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{words}: {done.stderr}")
        return done.stdout

    def scores(self, kind, **settings):
        """Of each row what a model scores that is trained with these settings; and the model."""
        listed = ", ".join(f"{name}: {value}" for name, value in settings.items())
        schema = ", ".join(["id BIGINT", *(f"{column} DOUBLE" for column in self.columns)])
        (self.folder / "trained.yaml").write_text(
            f"""pipeline: trained
sources:
  iot:
    format: kafka
    options: {{ kafka.bootstrap.servers: "127.0.0.1:1", subscribe: iot }}
    value: json
    schema: "{schema}"
tables:
  rows: {{ format: csv, path: rows.csv, schema: "{schema}", options: {{ header: true }} }}
detectors:
  one: {{ on: iot, columns: [{", ".join(self.columns)}], kind: {kind}, model: one.json, settings: {{ {listed} }} }}
queries:
  all: {{ sql: SELECT * FROM one, format: console }}
"""
        )
        file = self.folder / "trained.yaml"
        self.run("train", "one", "-f", file, "--on", "rows.csv")
        call = f"{kind}('one.json', {', '.join(self.columns)})"
        sql = f"SELECT ({call}).score AS score FROM rows ORDER BY id"
        said = self.run("query", sql, "--pipeline", file, "--format", "csv").split()
        return np.array([float(line) for line in said[1:]]), json.loads((self.folder / "one.json").read_text())


def mean_correlation(some, others, apart):
    pairs = [(i, j) for i in range(len(some)) for j in range(len(others)) if not apart or i < j]
    return np.mean([spearmanr(some[i], others[j])[0] for i, j in pairs])


def forests(ours, name, rows):
    theirs = [-IsolationForest(random_state=seed).fit(rows).score_samples(rows) for seed in range(SEEDS)]
    mine = [ours.scores("isolation_forest", seed=seed)[0] for seed in range(SEEDS)]
    among, between = mean_correlation(theirs, theirs, True), mean_correlation(mine, theirs, False)
    is_good = between >= among - 0.01 and all(len(scores) == len(rows) for scores in mine)
    print(f"{'OK' if is_good else 'BAD'} isolation forest, {name}: theirs {among:.4f}, ours with theirs {between:.4f}")
    return is_good


def means(ours, name, rows, k, spark):
    frame = spark.createDataFrame([(Vectors.dense(row),) for row in rows.tolist()], ["features"]).coalesce(1).cache()
    trained = [SparkKMeans(k=k, seed=seed, maxIter=100).fit(frame) for seed in (1, 2)]
    sparks = min(trained, key=lambda model: model.summary.trainingCost)
    best = KMeans(k, n_init=10, random_state=0).fit(rows).inertia_
    runs = [ours.scores("k_means", k=k, seed=seed, standardise=0) for seed in range(SEEDS)]
    # The score is the distance from the nearest centre, so its squares add up to the inertia.
    worst = max(float(np.sum(scores**2)) for scores, _ in runs)
    theirs = sparks.summary.trainingCost
    is_good = worst <= 1.01 * best and worst <= 1.01 * theirs and all(len(scores) == len(rows) for scores, _ in runs)
    words = f"scikit-learn {best:.6g}, Spark {theirs:.6g}, ours at worst {worst:.6g}"
    print(f"{'OK' if is_good else 'BAD'} k-means of {k}, {name}: {words}")
    # Clouds that lie apart have one best answer: each row is as far from its centre as Spark ML's model says.
    if name == "clouds" and k == 3:
        centres = np.array(sparks.clusterCenters())
        distances = np.sqrt(((rows[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2).min(axis=1))
        off = float(np.max(np.abs(runs[0][0] - distances)) / np.max(distances))
        is_same = off < 0.02
        print(f"{'OK' if is_same else 'BAD'} distances of {k}, {name}: off by {off:.2g} of the largest at most")
        is_good &= is_same
    return is_good


def main(program):
    spark = session("trained detectors")
    good = []
    for name, rows, ks in data_sets():
        with tempfile.TemporaryDirectory() as folder:
            ours = Ours(program, folder, rows)
            good.append(forests(ours, name, rows))
            good += [means(ours, name, rows, k, spark) for k in ks]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
