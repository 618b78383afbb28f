#!/usr/bin/env python3
"""Fits other heads to what the default pack's head has learnt from: from fewer people, with other penalties, without a kind of fault or
a collection. Judges them on pictures of faults.py, on people that they have not learnt from. Run by scripts/score-report --trials.

    head_trials.py --features DIR --index index.jsonl --answers answers.jsonl --head head.json
"""
import argparse
import json
import pathlib
import sys

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from score_report import DEGRADED, PASS, SINGLE_FAULTS, Samples, auroc, edc

ALPHA, RELIEF, NORMS = 10_000, 500, 2  # training/mod.rs and ridge.rs; the norms are the last features
ALPHAS = (3_000, 10_000, 30_000, 100_000)
COVER_ALPHAS = (1_000, 3_000, 10_000, 30_000)
PEOPLE = (0, 50, 100)
COLLECTIONS = ("named", "press", "single")
WHOLE_WEIGHT = 0.1
CAMERA, COVERED = 0, 1  # places of the experts in head.json
CHUNK = 2048


class Moments:
    """Sums over rows, which say all that a linear fit needs of them."""

    def __init__(self, features, targets, rows):
        self.count = float(len(rows))
        self.features, self.moment = np.zeros((2, features.shape[1]))
        self.targets = float(targets[rows].sum())
        self.gram = np.zeros((features.shape[1],) * 2)
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            block = features[chunk].astype(float)
            self.gram += block.T @ block
            self.features += block.sum(0)
            self.moment += targets[chunk] @ block

    def plus(self, other, weight):
        sums = Moments.__new__(Moments)
        for name, value in vars(self).items():
            setattr(sums, name, value + weight * getattr(other, name))
        return sums

    def fit(self, alpha, only_norms=False):
        """Weights and constant of a ridge regression on standardised features, for raw ones."""
        mean, middle = self.features / self.count, self.targets / self.count
        deviation = np.sqrt(np.maximum(np.diag(self.gram) / self.count - mean**2, 0))
        scale = np.divide(1, deviation, out=np.zeros_like(mean), where=deviation > 1e-6)
        if only_norms:
            scale[:-NORMS] = 0
        penalty = np.full(len(mean), float(alpha))
        penalty[-NORMS:] /= RELIEF
        gram = (self.gram - self.count * np.outer(mean, mean)) * np.outer(scale, scale)
        gram[np.diag_indices_from(gram)] += penalty
        weights = cho_solve(cho_factor(gram, overwrite_a=True), scale * (self.moment - middle * self.features)) * scale
        return weights, middle - weights @ mean


def read(folder):
    faces = [json.loads(line) for line in (folder / "faces.jsonl").read_text().splitlines()]
    features = np.memmap(folder / "features.f32", np.dtype("<f4"), "r")
    return faces, features.reshape(len(faces), -1)


def table(head, rows):
    print(f"\n| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for title, *values in rows:
        cells = [value if isinstance(value, str) else f"{value:.4f}".replace("0.", ".", 1) for value in values]
        print(f"| {' | '.join([title, *cells])} |", flush=True)


class Judged:
    """Pictures of faults.py, and their features in the same order."""

    def __init__(self, folder, index, answers):
        faces, features = read(folder)
        place = {pathlib.PurePath(face["file"]).name: row for row, face in enumerate(faces)}
        entries = [json.loads(line) for line in index.read_text().splitlines()]
        answers = [json.loads(line) for line in answers.read_text().splitlines()]
        answers = {pathlib.PurePath(answer["file"]).name: answer for answer in answers}
        self.samples = s = Samples([entry for entry in entries if entry["path"] in answers], answers)
        rows = [place.get(entry["path"], -1) for entry in s.entries]
        self.found = s.found & (np.array(rows) >= 0)
        self.features = np.zeros((len(rows), features.shape[1]), np.float32)
        self.features[self.found] = features[np.array(rows)[self.found]]
        self.is_whole = np.isin(s.kind, ("clean", *DEGRADED))

    def signal(self, head):
        weights, constant = head
        return self.features @ weights.astype(np.float32) + constant

    def of(self, group, kinds):
        return self.found & (self.samples.group == group) & (self.is_whole if kinds is None else np.isin(self.samples.kind, kinds))

    def ranked(self, signal, group="press", kinds=None, own=False, statistic=auroc):
        """AUROC against a good reference or the own clean shot, or the EDC."""
        reached = self.samples.own if own else self.samples.best
        rows = self.of(group, kinds) & np.isfinite(reached)
        truth = reached[rows] >= PASS
        return statistic(signal[rows], ~truth if statistic is edc else truth)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("features", "index", "answers", "head"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    judged = Judged(arguments.features / "seen", arguments.index, arguments.answers)
    ranked, norm = judged.ranked, judged.samples.norm
    faces, features = read(arguments.features / "learnt")
    group = np.array([face["group"] for face in faces])
    person = np.array([face["person"] for face in faces])
    camera, covered = (np.array([face[expert] for face in faces]) for expert in ("camera", "covered"))
    is_taught = camera[:, 1] > 0
    sums = lambda chosen: Moments(features, camera[:, 0], np.flatnonzero(is_taught & chosen))
    everything = sums(np.ones(len(faces), bool))
    of_covers = Moments(features, covered[:, 0], np.flatnonzero(covered[:, 1] > 0))
    best, best_on_covers = everything.fit(ALPHA), of_covers.fit(ALPHA)

    head = json.loads(arguments.head.read_text())["head"]
    for place, fitted in ((CAMERA, best), (COVERED, best_on_covers)):
        committed = np.array(head["weights"][place]), head["bias"][place]
        off = np.abs(judged.signal(fitted) - judged.signal(committed))[judged.found].max()
        print(f"Fitted here and committed, expert {place}: at most {off:.5f} apart")
        if off > 0.01:
            sys.exit("head-trials: the committed head was learnt from something else: build the pack anew")

    whole = lambda signal: [ranked(signal), ranked(signal, statistic=edc), ranked(signal, kinds=("passed_on",)), ranked(signal, own=True)]
    columns = ["AUROC, a good reference", "EDC", "AUROC, passed on", "AUROC, own clean shot"]
    people = np.unique(person[group == "press"])
    rows, left = [[f"{len(people)} people of press", *whole(judged.signal(best))]], everything
    for fewer, more in zip(reversed(PEOPLE), [len(people), *reversed(PEOPLE)], strict=False):
        left = left.plus(sums((group == "press") & np.isin(person, people[fewer:more])), -1)
        rows.append([f"{fewer}", *whole(judged.signal(left.fit(ALPHA)))])
    table(["camera expert, press", *columns], [*rows, ["norm alone", *whole(norm)]])

    rows = [[title] for title in columns]
    for alpha in ALPHAS:
        for row, value in zip(rows, whole(judged.signal(everything.fit(alpha))), strict=True):
            row.append(value)
    known, unseen = [], []
    for kind in SINGLE_FAULTS:
        less = everything.plus(sums(np.array([kind in face["causes"] for face in faces])), -1)
        known.append([ranked(judged.signal(everything.fit(alpha)), kinds=(kind,)) for alpha in ALPHAS])
        unseen.append([ranked(judged.signal(less.fit(alpha)), kinds=(kind,)) for alpha in ALPHAS])
    rows.append(["each of eight kinds left out, mean over those kinds", *np.mean(unseen, 0)])
    rows.append(["… the same kinds learnt", *np.mean(known, 0)])
    for name in COLLECTIONS:
        less = everything.plus(sums(group == name), -1)
        of_group = [ranked(judged.signal(less.fit(alpha)), name, own=name == "single") for alpha in ALPHAS]
        rows.append([f"{name} left out, on {name}{', own clean shot' if name == 'single' else ''}", *of_group])
    table(["camera expert, α", *(f"{alpha:,}" for alpha in ALPHAS)], rows)

    heads = {"norm alone": norm, "camera expert": judged.signal(best)}
    heads["expert on covered faces, from norms alone"] = judged.signal(of_covers.fit(ALPHA, only_norms=True))
    heads["… from whole faces, too, a tenth of their weight"] = judged.signal(of_covers.plus(everything, WHOLE_WEIGHT).fit(ALPHA))
    for alpha in COVER_ALPHAS:
        heads[f"expert on covered faces, α = {alpha:,}"] = judged.signal(of_covers.fit(alpha))
    covers = lambda signal: [ranked(signal, kinds=(kind,)) for kind in ("mask", "occlusion")]
    table(["covered faces of press", "masks", "sunglasses, hands, scarves"], [[title, *covers(signal)] for title, signal in heads.items()])


if __name__ == "__main__":
    main()
