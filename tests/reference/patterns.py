#!/usr/bin/env python3
"""How well `faceood-admin analyze-logs` finds planted degradations, beside plainer ways, for scripts/pattern-report.

    patterns.py --answers answers.jsonl --index index.jsonl --admin faceood-admin [--logs N]

--answers has what `faceood-admin extract --json` said to the pictures of tests/reference/faults.py, --index what was done to them. Each of
N logs has some of the kinds, planted at cameras of their own or all over the site, among pictures that score well. Printed is a table.
"""
import argparse
import collections
import csv
import datetime
import json
import pathlib
import random
import sqlite3
import subprocess
import tempfile

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

CAUSES = "noise blur motion_blur low_resolution compression underexposure overexposure screen_recapture occlusion mask pose unknown".split()
KINDS = "noise blur motion_blur low_resolution mask".split()
COVERS = ("mask",)  # no fault of a camera, so there is no recipe for it
LOW = 0.4


def rows_of(answers, index):
    """What was measured on each picture, with what was done to it."""
    done = {entry["path"]: entry for entry in map(json.loads, open(index))}
    for line in open(answers):
        answer = json.loads(line)
        entry = done[pathlib.Path(answer["file"]).name]
        for face in answer.get("faces", [])[:1]:
            quality = face["quality"]
            yield {
                "kind": {"iso": "noise"}.get(entry["kind"], entry["kind"]),
                "group": entry["group"],
                "score": quality["score"],
                "norm": face["embedding_norm"],
                "box": (face["box"]["width"], face["box"]["height"]),
                "causes": {cause["name"]: cause["weight"] for cause in quality["causes"]},
                "components": quality["components"],
            }


def log_of(rows, seed):
    """Rows of a week with some planted kinds; (row, kind or None, source)."""
    chance = random.Random(seed)
    kinds = chance.sample(KINDS, chance.randint(2, 5))
    most, local = chance.choice([25, 40, 60, 90]), chance.random() < 0.5
    log = []
    for number, kind in enumerate(kinds):
        low = [row for row in rows if row["kind"] == kind and row["score"] <= LOW and row["group"] != "masked"]
        chance.shuffle(low)
        for row in low[:most]:
            own = local and chance.random() < 0.8
            log.append((row, kind, f"gate-{number + 1 if own else chance.randrange(1, 9)}"))
    good = [row for row in rows if row["score"] > LOW]
    log += [(chance.choice(good), None, f"gate-{chance.randrange(1, 9)}") for _ in range(chance.choice([300, 900]))]
    chance.shuffle(log)
    return log


def write(log, migrations, path):
    database = sqlite3.connect(path)
    for file in sorted(migrations.glob("*.sql")):
        database.executescript(file.read_text())
    database.execute(
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, "
        "installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)"
    )
    for file in sorted(migrations.glob("*.sql")):
        version, name = file.stem.split("_", 1)
        database.execute("INSERT INTO _sqlx_migrations VALUES (?, ?, '2026-01-01', 1, x'00', 0)", (int(version), name))
    components = sorted(log[0][0]["components"])
    columns = "id time request_id endpoint role source quality_score embedding_norm causes pack pack_sha256 calibration_id box_width box_height".split()
    insert = f"INSERT INTO inferences ({', '.join(columns + components)}) VALUES ({', '.join('?' * len(columns + components))})"
    begin = datetime.datetime(2026, 11, 13)
    for number, (row, _, source) in enumerate(log):
        time = begin + datetime.timedelta(days=7 * number / len(log))
        causes = json.dumps([{"name": name, "weight": weight} for name, weight in row["causes"].items()])
        values = [identity(number), time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), f"r{number}", "extract", "image", source]
        values += [row["score"], row["norm"], causes, "default", "0" * 64, "c", *row["box"]]
        database.execute(insert, values + [row["components"].get(name) for name in components])
    database.commit()
    database.close()


def identity(number):
    return f"{number * 2654435761 % 2**32:08x}-0000-7000-8000-{number:012x}"


def points(low, good, causes, components):
    """The low rows as vectors: causes as they are or as a direction, components as robust deviations from the good rows."""
    weights = np.array([[row["causes"].get(name, 0) for name in CAUSES] for row in low])
    if causes == "direction":
        weights = weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-9)
    names = [name for name in sorted(good[0]["components"]) if name != "motion_direction"]
    table = lambda rows: np.array([[row["components"].get(name) if row["components"].get(name) is not None else np.nan for name in names] for row in rows], float)
    usual, seen = table(good), table(low)
    centre = np.nanmedian(usual, axis=0)
    spread = np.maximum(1.4826 * np.nanmedian(abs(usual - centre), axis=0), 1e-3)
    deviations = np.arcsinh(np.nan_to_num((seen - centre) / spread) / 2)
    return np.hstack([weights if causes else weights[:, :0], deviations * components])


def analysed(log, admin, migrations):
    """Cluster of each low row by analyze-logs, None where it has none; whether each cluster's first cause is what was planted; and the same of
    the first kind of its recipe, where it is of a kind that has one."""
    with tempfile.TemporaryDirectory() as folder:
        database, out = f"{folder}/log.db", f"{folder}/a.csv"
        write(log, migrations, database)
        report = subprocess.run(
            [admin, "--db", database, "analyze-logs", "--format", "json", "--assignments", out], check=True, capture_output=True
        ).stdout
        assigned = {row["inference_id"]: row["cluster_id"] for row in csv.DictReader(open(out))}
        clusters = json.loads(report)["clusters"]
        recipes = [recipe_of(cluster, [admin, "--db", database], folder) for cluster in clusters]
    places = [number for number, (row, _, _) in enumerate(log) if row["score"] <= LOW]
    labels = [assigned.get(identity(number)) for number in places]
    right, fitting = [], []
    for cluster, recipe in zip(clusters, recipes):
        kinds = collections.Counter(log[n][1] for n, label in zip(places, labels) if label == str(cluster["id"]))
        planted = kinds.most_common(1)[0][0]
        right.append(planted == cluster["causes"][0]["name"])
        if planted not in COVERS:
            fitting.append(bool(recipe) and recipe[0]["kind"] == planted)
    return labels, right, fitting


def recipe_of(cluster, admin, folder):
    """The kinds of the recipe that analyze-logs --export-cluster writes for a pattern."""
    out = pathlib.Path(folder) / f"pattern-{cluster['id']}"
    subprocess.run([*admin, "analyze-logs", "--export-cluster", str(cluster["id"]), "--out", out], check=True, capture_output=True)
    return json.loads((out / "recipe.json").read_text())["kinds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", required=True)
    parser.add_argument("--index", required=True)
    parser.add_argument("--admin", required=True)
    parser.add_argument("--logs", type=int, default=20)
    arguments = parser.parse_args()
    migrations = pathlib.Path(__file__).parents[2] / "migrations"
    rows = list(rows_of(arguments.answers, arguments.index))
    found, firsts, recipes = collections.defaultdict(list), [], []
    for seed in range(arguments.logs):
        log = log_of(rows, seed)
        low = [row for row, _, _ in log if row["score"] <= LOW]
        planted = [kind for row, kind, _ in log if row["score"] <= LOW]
        good = [row for row, _, _ in log if row["score"] >= 0.6]
        ways = {"first cause of each row": [max(row["causes"], key=row["causes"].get, default="none") for row in low]}
        for name, causes, components in (
            ("HDBSCAN, components", None, 1.0),
            ("HDBSCAN, cause weights and components", "weights", 0.1),
            ("HDBSCAN, direction of causes and components", "direction", 0.05),
        ):
            labels = HDBSCAN(min_cluster_size=20, min_samples=5, copy=True).fit_predict(points(low, good, causes, components))
            ways[name] = [None if label < 0 else str(label) for label in labels]
        ways["analyze-logs"], right, fitting = analysed(log, arguments.admin, migrations)
        firsts += right
        recipes += fitting
        for name, labels in ways.items():
            clustered = sum(label is not None for label in labels) / len(labels)
            score = adjusted_rand_score([str(kind) for kind in planted], [str(label) for label in labels])
            found[name].append((score, clustered))
    print("| | adjusted Rand, mean | worst | clustered, mean | worst |\n|---|---|---|---|---|")
    for name, values in found.items():
        scores, clustered = np.array(values).T
        print(f"| {name} | {scores.mean():.2f} | {scores.min():.2f} | {100 * clustered.mean():.0f} % | {100 * clustered.min():.0f} % |")
    enough = sum(score >= 0.8 for score, _ in found["analyze-logs"])
    print(f"\nIn {enough} of {arguments.logs} logs analyze-logs reaches .80.")
    print(f"The first cause of {sum(firsts)} of {len(firsts)} patterns is the planted one.")
    print(f"The recipe of {sum(recipes)} of {len(recipes)} patterns of a camera's fault begins with the planted kind.")


if __name__ == "__main__":
    main()
