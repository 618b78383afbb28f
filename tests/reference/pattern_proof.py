#!/usr/bin/env python3
"""Whether a pattern that analyze-logs has found mends the score when it is learnt from, for scripts/pattern-proof.

    pattern_proof.py photos --photos DIR --folds folds.csv --out DIR
    pattern_proof.py send --faults DIR --kind KIND --address HOST:PORT
    pattern_proof.py pattern --report report.json
    pattern_proof.py pictures --faults DIR --folds folds.csv --fold N
    pattern_proof.py compare --faults DIR --kind KIND --before a.jsonl [...] --after b.jsonl [...] --about TEXT --out proof.md
"""
import argparse
import concurrent.futures
import csv
import json
import pathlib
import shutil
import sys
import urllib.error
import urllib.request

import numpy as np

from score_report import DEGRADED, PASS, Samples, bin_gap, shown

# Camera with the planted fault, and the others. What happens there otherwise stays mild: the site has one fault.
FAULTY, SOUND = "gate-3", ("gate-1", "gate-2", "gate-4")
MILD = 0.5
# Fold whose people the site sees: the pack that it runs does not know them.
SITE_FOLD = "0"
# What is asked: the error of the family falls to half, that of no other family rises by more than this.
HALF, MOST_RISE = 0.5, 0.01
DRAWS = 1000


def index_of(faults):
    return [json.loads(line) for line in open(faults / "index.jsonl")]


def folds_of(path):
    return {row["photo"]: row["fold"] for row in csv.DictReader(open(path))}


def photos(arguments):
    """All named people, to judge by, and of the people with one photo those whom the site sees."""
    for photo, fold in folds_of(arguments.folds).items():
        if photo.startswith("named/") or (photo.startswith("single/") and fold == SITE_FOLD):
            target = arguments.out / photo
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(arguments.photos / photo, target)


def send(arguments):
    """Plays the site: each picture goes to the daemon as a camera would send it."""
    def post(job):
        number, entry = job
        source = FAULTY if entry["kind"] == arguments.kind else SOUND[number % len(SOUND)]
        request = urllib.request.Request(
            f"http://{arguments.address}/v1/quality?source={source}",
            data=(arguments.faults / entry["path"]).read_bytes(),
            headers={"Content-Type": "image/jpeg"},
        )
        try:
            urllib.request.urlopen(request, timeout=60).read()
        except urllib.error.HTTPError as error:
            if error.code != 422:  # a face that is not found is logged, too
                raise
        return source

    of_site = [
        entry
        for entry in index_of(arguments.faults)
        if entry["group"] == "single" and (entry["kind"] in ("clean", arguments.kind) or (entry["kind"] in DEGRADED and entry["strength"] <= MILD))
    ]
    with concurrent.futures.ThreadPoolExecutor(2) as workers:
        sent = list(workers.map(post, enumerate(of_site)))
    print(f"{len(sent)} pictures were sent, {sent.count(FAULTY)} of them by {FAULTY}", file=sys.stderr)


def pattern(arguments):
    """The number of the largest pattern at the faulty camera."""
    for cluster in json.load(open(arguments.report))["clusters"]:
        if any(source["source"] == FAULTY for source in cluster["sources"]):
            print(cluster["id"])
            return
    sys.exit(f"pattern-proof: analyze-logs has found no pattern at {FAULTY}")


def pictures(arguments):
    """Paths of what was made of the named people in a fold, each ended by a zero byte."""
    folds = folds_of(arguments.folds)
    for entry in index_of(arguments.faults):
        if entry["group"] == "named" and entry["kind"] in ("clean", *DEGRADED) and folds[entry["photo"]] == arguments.fold:
            sys.stdout.write(f"{arguments.faults / entry['path']}\0")


def judged(faults, answers):
    said = {pathlib.Path(answer["file"]).name: answer for path in answers for answer in map(json.loads, open(path))}
    return Samples([entry for entry in index_of(faults) if entry["path"] in said], said)


def compare(arguments):
    before, after = (judged(arguments.faults, answers) for answers in (arguments.before, arguments.after))
    both = before.found & after.found & np.isfinite(before.best)
    reached = (before.best >= PASS).astype(float)
    people = [np.flatnonzero(before.person == person) for person in np.unique(before.person)]
    chance = np.random.default_rng(0)
    draws = [np.concatenate([people[number] for number in chance.integers(len(people), size=len(people))]) for _ in range(DRAWS)]
    lines = ["| family | pictures | ECE before | after | change | 95 % |", "|---|---|---|---|---|---|"]
    is_proven = True
    for kind in ("clean", *DEGRADED):
        rows = both & (before.kind == kind)
        error = lambda passes, chosen: bin_gap(passes[chosen], reached[chosen])
        old, new = error(before.passes, rows), error(after.passes, rows)
        changes = [error(after.passes, chosen) - error(before.passes, chosen) for chosen in (draw[rows[draw]] for draw in draws)]
        low, high = np.percentile(changes, (2.5, 97.5))
        is_planted = kind == arguments.kind
        is_proven &= new <= HALF * old if is_planted else new <= old + MOST_RISE
        name = f"**{kind}**, planted" if is_planted else kind
        lines.append(f"| {name} | {rows.sum():,} | {shown(old, False)} | {shown(new, False)} | {new - old:+.3f} | {low:+.3f}–{high:+.3f} |")
    verdict = f"The planted family's error falls to half or less, and no other's rises by more than {MOST_RISE}: **{'so it is' if is_proven else 'not so'}**."
    arguments.out.write_text(f"{arguments.about}\n\n" + "\n".join(lines) + f"\n\n{verdict}\n")
    sys.exit(not is_proven)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(required=True)
    needs = {
        photos: ("photos", "folds", "out"),
        send: ("faults", "kind", "address"),
        pattern: ("report",),
        pictures: ("faults", "folds", "fold"),
        compare: ("faults", "kind", "before", "after", "about", "out"),
    }
    for task, options in needs.items():
        of_task = tasks.add_parser(task.__name__)
        for option in options:
            is_text = option in ("kind", "address", "fold", "about")
            of_task.add_argument(f"--{option}", required=True, type=str if is_text else pathlib.Path, nargs="+" if option in ("before", "after") else None)
        of_task.set_defaults(task=task)
    arguments = parser.parse_args()
    arguments.task(arguments)


if __name__ == "__main__":
    main()
