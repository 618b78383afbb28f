#!/usr/bin/env python3
"""A sheet of the pictures on which the score is furthest from what the recogniser then made of them, for the model card.

    failures.py --faults DIR --answers answers.jsonl --out sheet.jpg
"""
import argparse
import json
import pathlib

import cv2
import numpy as np

from score_report import GOOD, SINGLE_FAULTS, Samples, curve

# The sheet: tiles across, side of a tile, and room for three lines of words under it, in pixels.
ACROSS, SIDE, WORDS = 4, 240, 66
WORST = 4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=pathlib.Path, required=True)
    parser.add_argument("--answers", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    entries = [json.loads(line) for line in (arguments.faults / "index.jsonl").read_text().splitlines()]
    answers = {pathlib.PurePath(answer["file"]).name: answer for answer in map(json.loads, arguments.answers.read_text().splitlines())}
    samples = Samples(entries, answers)
    off = samples.score - curve(samples.own)
    single = np.isin(samples.kind, SINGLE_FAULTS) & (samples.shot == 0)
    known = single & np.isfinite(off)
    order = [row for row in np.argsort(np.where(known, off, 0), kind="stable") if known[row]]
    by_confidence = np.argsort(-samples.strength, kind="stable")
    misnamed = [row for row in by_confidence if known[row] and samples.score[row] < GOOD and samples.cause[row] != samples.kind[row]]
    lost = [row for row in np.argsort(samples.strength, kind="stable") if single[row] and not samples.found[row]]
    chosen = [
        *(("too high", row) for row in order[::-1][:WORST]),
        *(("too low", row) for row in order[:WORST]),
        *(("wrong cause", row) for row in misnamed[:WORST]),
        *(("not found", row) for row in lost[:WORST]),
    ]
    tiles = [tile(arguments.faults, samples, off, label, row) for label, row in chosen]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % ACROSS)
    sheet = cv2.vconcat([cv2.hconcat(tiles[start : start + ACROSS]) for start in range(0, len(tiles), ACROSS)])
    cv2.imwrite(str(arguments.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, 80])
    print(f"{len(chosen)} of {int(single.sum())} pictures of single faults; too high by up to {off[order[-1]]:.2f}, too low by up to {-off[order[0]]:.2f}")


def tile(folder, samples, off, label, row):
    """The picture on a white card with what was said of it and what came true."""
    picture = cv2.imread(str(folder / samples.entries[row]["path"]), cv2.IMREAD_COLOR)
    factor = (SIDE - 8) / max(picture.shape[:2])
    picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)
    card = np.full((SIDE + WORDS, SIDE, 3), 255, np.uint8)
    card[4 : 4 + picture.shape[0], 4 : 4 + picture.shape[1]] = picture
    said = "no face" if not samples.found[row] else f"score {samples.score[row]:.2f}, cause {samples.cause[row] or 'none'}"
    true = "" if not np.isfinite(off[row]) else f"similarity {samples.own[row]:.2f}: would be {samples.score[row] - off[row]:.2f}"
    for line, text in enumerate((f"{label}: {samples.kind[row]} {samples.strength[row]:.2f}", said, true)):
        cv2.putText(card, text, (6, SIDE + 16 + 20 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (30, 30, 30), 1, cv2.LINE_AA)
    return card


if __name__ == "__main__":
    main()
