#!/usr/bin/env python3
"""How far the quality score can be trusted: holds the product's answers to the pictures of faults.py against what the recogniser
then made of them. Run by scripts/score-report.

    score_report.py --index index.jsonl --answers answers.jsonl [...] --out report.md --json report.json [--bounds bounds.json]
    score_report.py --self-test
"""
import argparse
import collections
import csv
import itertools
import json
import pathlib
import sys

import numpy as np
from scipy.stats import rankdata

# Similarity from which the recogniser takes two faces for one person, and the contract's curve from similarity to score.
PASS = 0.45
CURVE = np.array([[0, 0], [0.215, 0.22], [0.35, 0.37], [0.52, 0.54], [0.64, 0.73], [0.72, 0.85], [0.75, 0.89], [1, 1]])
POSE_SCORE = 0.75  # that a face turned by no more than the design allows still reaches
WHOLE, GOOD = 0.40, 0.60  # score below which a covered face has to stay, and from which a clean one counts as good
COVERED = ("mask", "occlusion")
SINGLE_FAULTS = (
    "noise", "blur", "motion_blur", "low_resolution", "compression", "underexposure", "overexposure", "screen_recapture",
)  # fmt: skip
DEGRADED = (*SINGLE_FAULTS, "combo")
BANDS = ((-1.0, 0.4, "under .40"), (0.4, 0.6, ".40–.60"), (0.6, 0.8, ".60–.80"), (0.8, 2.0, "from .80"))
REFERENCED = ("named", "press", "wild")  # groups whose people have several photos
EQUAL_TO_NORM = -0.005  # by which a kind may be ranked worse than by the norm alone, with as many samples as these
LEAST_SAMPLES = 80
BIAS, GROUP_GAP = 0.03, 0.03  # most that the score of passed-on pictures may be off in a group, and between two groups
LIKE_WEB = 0.1  # share of the people whose faces the recogniser finds most like those of the web crops
MANY_CROPS = (6, 8)  # crops of a person among which good references are to be found
FEW = 3  # others of which the three best are all there are
DRAWS, BINS = 200, 10
CHANCE = "… … that true probabilities would have on so few pictures"


def curve(similarity):
    return np.interp(similarity, CURVE[:, 0], CURVE[:, 1])


def share(truth):
    return float(np.mean(truth)) if len(truth) else float("nan")


def auroc(score, truth):
    """Chance that a true sample has the larger score of the two; equals count half."""
    positive, negative = truth.sum(), (~truth).sum()
    if not positive or not negative:
        return float("nan")
    return float((rankdata(score)[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def bins_of(values):
    return np.clip((np.asarray(values) * BINS).astype(int), 0, BINS - 1)


def bin_gap(predicted, reached):
    """Mean distance of prediction and truth in bins of equal width, by their counts. With 0 and 1 as truth this is the ECE."""
    count = np.bincount(bins_of(predicted), minlength=BINS)
    off = np.bincount(bins_of(predicted), weights=np.asarray(predicted) - reached, minlength=BINS)
    return float(np.abs(off).sum() / count.sum()) if len(predicted) else float("nan")


def gap_by_chance(predicted):
    """The ECE that true probabilities have on so few pictures: in each bin some more or fewer pass than should."""
    chance = np.random.default_rng(0)
    return float(np.mean([bin_gap(predicted, chance.random(len(predicted)) < predicted) for _ in range(DRAWS)]))


def edc(score, fails):
    """Area under the failures that remain as the lowest scores are dropped, up to half of all: 0 if every failure goes first, 1 if
    they go at random. Equal scores leave in no particular order: each is taken for the mean of its equals."""
    count = len(score)
    if count < 2 or not fails.any() or fails.all():
        return float("nan")
    _, group = np.unique(score, return_inverse=True)
    expected = (np.bincount(group, weights=fails) / np.bincount(group))[group][np.argsort(score, kind="stable")]
    dropped = np.arange(count // 2 + 1)
    left = fails.sum() - np.concatenate([[0], np.cumsum(expected)])[: len(dropped)]
    real, ideal = left / (count - dropped), np.maximum(0, fails.sum() - dropped) / (count - dropped)
    random = np.full(len(dropped), fails.mean())
    area = lambda line: float(np.trapezoid(line, dropped / count))
    return (area(real) - area(ideal)) / (area(random) - area(ideal))


def mean_by_iso(iso, score):
    return [score[iso == step].mean() for step in np.unique(iso)]


def iso_rise(iso, score):
    means = mean_by_iso(iso, score)
    return float(np.max(np.diff(means))) if len(means) > 1 else float("nan")


def iso_span(iso, score):
    means = mean_by_iso(iso, score)
    return float(means[0] - means[-1])


class Samples:
    """Pictures and answers side by side, as columns. Numbers of faces that were not found are NaN."""

    def __init__(self, entries, answers):
        missing = [entry["path"] for entry in entries if entry["path"] not in answers]
        if missing:
            sys.exit(f"score-report: {len(missing)} pictures have no answer, {missing[0]} among them")
        self.entries = entries
        faces = [face_at_its_place(entry, answers[entry["path"]]) for entry in entries]
        self.found = np.array([face is not None for face in faces])
        column = lambda name: np.array([entry[name] for entry in entries])
        self.group, self.kind, self.shot, self.strength = map(column, ("group", "kind", "shot", "strength"))
        self.photo = column("photo")
        self.person = np.array([f"{entry['group']}/{entry['person']}" for entry in entries])
        number = lambda of: np.array([np.nan if face is None else of(face) for face in faces], float)
        self.score = number(lambda face: face["quality"]["score"])
        self.passes = number(lambda face: face["quality"]["pass_probability"])
        self.low, self.high = (number(lambda face, end=end: face["quality"]["interval"][end]) for end in (0, 1))
        self.norm = number(lambda face: face["embedding_norm"])
        self.yaw, self.pitch = (number(lambda face, axis=axis: face["pose"][axis]) for axis in ("yaw", "pitch"))
        first = lambda face: (face["quality"]["causes"] or [{"name": ""}])[0]["name"] if face else ""
        self.cause = np.array([first(face) for face in faces])
        self.is_rejected = np.array(
            [bool(face) and face["decision"]["action"] == "reject" and "face_too_small" in str(face["decision"]["reasons"]) for face in faces]
        )
        empty = np.full(max((len(face["embedding"]) for face in faces if face), default=1), np.nan)
        self.embedding = np.array([np.array(face["embedding"]) if face else empty for face in faces])
        self.embedding /= np.linalg.norm(self.embedding, axis=1, keepdims=True)
        self.compare()

    def compare(self):
        """Similarity to the photo's own clean shot, and to other photos of the person, whose reading is a matter of opinion: the
        three best (a good reference), the person's most typical photo, or one drawn, as whoever enrols a person draws one."""
        count = len(self.entries)
        self.own, self.best, self.medoid, self.drawn, self.chance, self.few, self.rest = (np.full(count, np.nan) for _ in range(7))
        clean = np.flatnonzero((self.kind == "clean") & self.found)
        own = {self.photo[index]: index for index in clean}
        people = collections.defaultdict(list)
        for index in clean:
            people[self.person[index]].append(index)
        draw, draw_few = np.random.default_rng(0), np.random.default_rng(0)
        typical = {}
        for person, photos in people.items():
            sums = (self.embedding[photos] @ self.embedding[photos].T).sum(1)
            typical[person] = [photos[place] for place in np.argsort(-sums, kind="stable")]
        for index in np.flatnonzero(self.found):
            if self.kind[index] != "clean" and self.photo[index] in own:
                self.own[index] = self.embedding[index] @ self.embedding[own[self.photo[index]]]
            others = [other for other in typical.get(self.person[index], []) if self.photo[other] != self.photo[index]]
            if self.group[index] in REFERENCED and others:
                similarity = self.embedding[others] @ self.embedding[index]
                self.best[index] = np.sort(similarity)[-3:].mean()
                self.medoid[index], self.drawn[index] = similarity[0], similarity[draw.integers(len(others))]
                # All that can be known of a capture before the reference is drawn.
                self.chance[index] = np.mean(similarity >= PASS)
                # As if only three others were known; the rest say how well this face matches that person at all.
                if len(others) > FEW:
                    drawn = draw_few.permutation(similarity)
                    self.few[index], self.rest[index] = drawn[:FEW].mean(), drawn[FEW:].mean()


def face_at_its_place(entry, answer):
    """The answer's face, unless it is another one than the picture was made for."""
    faces = answer.get("faces", [])
    if not faces or entry["place"] is None:
        return faces[0] if faces else None
    x, y, reach = entry["place"]
    box = faces[0]["box"]
    off = max(abs(box["x"] + box["width"] / 2 - x), abs(box["y"] + box["height"] / 2 - y))
    return faces[0] if off <= reach else None


class Report:
    def __init__(self):
        self.figures = []

    def add(self, section, key, title, statistic, people, *columns, goal=None, percent=False, norm=None):
        """A figure of `columns`, all as long as `people`. `norm` takes the place of the first column in what stands beside it."""
        if not len(people):
            return
        value = statistic(*columns)
        if not np.isfinite(value):
            return
        members = [np.flatnonzero(people == person) for person in np.unique(people)]
        chance, drawn = np.random.default_rng(0), []
        # Pictures of one person are alike: whole people are drawn again, not pictures.
        for _ in range(DRAWS if len(members) > 1 else 0):
            rows = np.concatenate([members[person] for person in chance.integers(len(members), size=len(members))])
            drawn.append(statistic(*(column[rows] for column in columns)))
        drawn = np.array(drawn)[np.isfinite(drawn)] if drawn else np.array([])
        figure = {"section": section, "name": key, "title": title, "value": round(float(value), 4)}
        figure["interval"] = [round(float(end), 4) for end in np.percentile(drawn, (2.5, 97.5))] if len(drawn) else None
        figure |= {"samples": len(people), "people": len(members), "goal": goal, "percent": percent}
        figure["is_reached"] = None if goal is None else bool(goal[0] <= value <= goal[1])
        figure["norm_alone"] = None if norm is None else round(statistic(norm, *columns[1:]), 4)
        self.figures.append(figure)

    def markdown(self, about):
        lines = ["# How far the score can be trusted", "", *about]
        for section, figures in itertools.groupby(self.figures, key=lambda figure: figure["section"]):
            figures = list(figures)
            has_norm = any(figure["norm_alone"] is not None for figure in figures)
            head = ["figure", "value", "95 %", "samples / people", *(["norm alone"] if has_norm else []), "goal"]
            lines += ["", f"## {section}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
            for figure in figures:
                show = lambda value: shown(value, figure["percent"])
                cells = [figure["title"], show(figure["value"])]
                cells.append("–".join(map(show, figure["interval"])) if figure["interval"] else "")
                cells.append(f"{figure['samples']:,} / {figure['people']:,}")
                if has_norm:
                    cells.append("" if figure["norm_alone"] is None else show(figure["norm_alone"]))
                cells.append("" if figure["goal"] is None else f"{goal_text(figure['goal'], show)}: {'reached' if figure['is_reached'] else '**missed**'}")
                lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"


def shown(value, percent):
    if percent:
        return f"{100 * value:.1f} %"
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def goal_text(goal, show):
    low, high = (end if np.isfinite(end) else None for end in goal)
    if high is None:
        return f"≥ {show(low)}"
    return f"≤ {show(high)}" if low is None else f"{show(low)} to {show(high)}"


def at_least(value):
    return value, float("inf")


def at_most(value):
    return float("-inf"), value


def ranking(report, s):
    section = "Does it rank? AUROC of the pass probability against reaching a similarity of .45"
    auroc_of = lambda key, title, rows, reached, **more: report.add(
        section, key, title, auroc, s.person[rows], s.passes[rows], reached[rows] >= PASS, norm=s.norm[rows], **more
    )
    whole = s.found & np.isin(s.kind, ("clean", *DEGRADED))
    worse = whole & np.isin(s.kind, DEGRADED) & np.isfinite(s.own)
    learnt_like = worse & np.isin(s.group, ("named", "single"))
    auroc_of("own_auroc", "against its own clean shot, degraded faces of named and single", learnt_like, s.own, goal=at_least(0.985))
    auroc_of("press_own_auroc", "against its own clean shot, degraded faces of press", worse & (s.group == "press"), s.own, goal=at_least(0.985))
    press = whole & (s.group == "press") & np.isfinite(s.best)
    auroc_of("press_auroc", "against another photo, press: a good reference", press, s.best, goal=at_least(0.971))
    report.add(
        section, "press_auroc_bound", "… ranked by the similarity to the own clean photo, which nobody knows beforehand", auroc,
        s.person[press & worse], s.own[press & worse], s.best[press & worse] >= PASS,
    )  # fmt: skip
    named = whole & (s.group == "named") & np.isfinite(s.best)
    readings = {"good": ("a good reference (mean of the three best)", s.best), "medoid": ("the most typical photo", s.medoid), "drawn": ("one photo drawn", s.drawn)}
    for key, (title, reached) in readings.items():
        goal = at_least(0.968) if key == "good" else None
        auroc_of(f"{key}_auroc", f"against another photo, named: {title}", named, reached, goal=goal)
    report.add(
        section, "drawn_auroc_bound", "… one photo drawn: the most that is possible without knowing which", auroc,
        s.person[named], s.chance[named], s.drawn[named] >= PASS,
    )  # fmt: skip
    wild = whole & (s.group == "wild") & np.isfinite(s.best)
    auroc_of("wild_auroc", "web crops as they are: a good reference", wild, s.best, goal=at_least(0.82))
    # Of three other crops the best three are all there is, bad ones and other people's among them: there is no good reference to be had.
    crops = {person: (s.person[wild] == person).sum() for person in np.unique(s.person[wild])}
    known_by = lambda least: wild & np.array([crops.get(person, 0) >= least for person in s.person])
    for least in MANY_CROPS:
        auroc_of(f"wild_auroc_of_{least}", f"… of people with {least} crops or more", known_by(least), s.best, goal=at_least(0.82))
    many = known_by(MANY_CROPS[-1])
    # What few references cost, on the same people: the score, and what nobody can know beforehand, how well the crop matches all the rest.
    auroc_of("wild_auroc_few", f"… of the same people, as if only {FEW} others of theirs were known", many, s.few)
    report.add(
        section, "wild_auroc_few_known", "… … ranked by how like all the rest they are, which nobody knows beforehand", auroc,
        s.person[many], s.rest[many], s.few[many] >= PASS,
    )  # fmt: skip
    section = "Is it true? Pass probability and score against what was reached"
    for key, (title, reached) in readings.items():
        goals = dict.fromkeys(("ece", "gap", "edc")) if key != "good" else {"ece": at_most(0.03), "gap": at_most(0.03), "edc": at_most(0.085)}
        hit, people = reached[named] >= PASS, s.person[named]
        report.add(section, f"{key}_ece", f"ECE, named: {title}", bin_gap, people, s.passes[named], hit.astype(float), goal=goals["ece"])
        report.add(section, f"{key}_gap", f"score against the curve, named: {title}", bin_gap, people, s.score[named], curve(reached[named]), goal=goals["gap"])
        report.add(section, f"{key}_edc", f"EDC (0 ideal, 1 random), named: {title}", edc, people, s.score[named], ~hit, goal=goals["edc"], norm=s.norm[named])
    hit, people = s.best[press] >= PASS, s.person[press]
    report.add(section, "press_ece", "ECE, press: a good reference", bin_gap, people, s.passes[press], hit.astype(float), goal=at_most(0.03))
    report.add(section, "press_gap", "score against the curve, press: a good reference", bin_gap, people, s.score[press], curve(s.best[press]), goal=at_most(0.03))
    report.add(section, "press_edc", "EDC (0 ideal, 1 random), press: a good reference", edc, people, s.score[press], ~hit, goal=at_most(0.095), norm=s.norm[press])
    report.add(section, "wild_ece", "ECE, web crops: a good reference", bin_gap, s.person[wild], s.passes[wild], (s.best[wild] >= PASS).astype(float), goal=at_most(0.04))
    report.add(section, "wild_ece_by_chance", CHANCE, gap_by_chance, s.person[wild], s.passes[wild])
    for kind in DEGRADED:
        rows = named & (s.kind == kind)
        off = s.score[rows] - curve(s.best[rows])
        report.add(section, f"bias_{kind}", f"score less curve, named, a good reference: {kind}", np.mean, s.person[rows], off)
        report.add(section, f"error_{kind}", f"… size of the error: {kind}", np.mean, s.person[rows], abs(off))


def kinds(report, s):
    """A score that ranks a kind of fault worse than the norm does has learnt the faults that it was taught, and not the faces."""
    section = "Is it better than the norm in every kind of fault? AUROC of the pass probability, named, single and press"
    less_norm = lambda passes, norm, truth: auroc(passes, truth) - auroc(norm, truth)
    for kind in (*DEGRADED, *COVERED, "passed_on"):
        for reading, title, reached in (("own", "its own clean shot", s.own), ("good", "a good reference", s.best)):
            rows = s.found & (s.kind == kind) & (s.group != "wild") & np.isfinite(reached)
            people, truth = s.person[rows], reached[rows] >= PASS
            report.add(section, f"{reading}_auroc_{kind}", f"{kind}, against {title}", auroc, people, s.passes[rows], truth, norm=s.norm[rows])
            enough = min(truth.sum(), (~truth).sum()) * 2 >= LEAST_SAMPLES
            goal = at_least(EQUAL_TO_NORM) if enough else None
            report.add(section, f"{reading}_less_norm_{kind}", "… less the norm's", less_norm, people, s.passes[rows], s.norm[rows], truth, goal=goal)


def groups(report, s):
    """Pictures of every group that were passed on alike: where the score is off for one of them, it has learnt the group."""
    section = "Is it equally true for every group? Clean photos passed on alike: cut tight, 45–110 px, JPEG 25–60, enlarged, JPEG 80"
    rows = s.found & (s.kind == "passed_on") & np.isfinite(s.best)
    off = s.score - curve(s.best)
    members = {group: rows & (s.group == group) for group in REFERENCED}
    # A person's place between the mean face of the web crops and that of the press photos, as the recogniser sees them.
    clean = s.found & (s.kind == "clean")
    means = [s.embedding[clean & (s.group == group)].mean(0) for group in ("wild", "press") if (clean & (s.group == group)).any()]
    if len(means) == 2:
        near = {person: s.embedding[clean & (s.person == person)].mean(0) @ (means[0] - means[1]) for person in np.unique(s.person[rows & (s.group != "wild")])}
        cut = np.quantile(list(near.values()), 1 - LIKE_WEB)
        members["like_web"] = rows & np.array([near.get(person, -np.inf) >= cut for person in s.person])
    titles = {"wild": "web crops, passed on once more", "like_web": "of named and press the tenth of people most like those of the web crops"}
    for group, chosen in members.items():
        title, people, hit = titles.get(group, group), s.person[chosen], s.best[chosen] >= PASS
        report.add(section, f"passed_on_bias_{group}", f"{title}: score less curve", np.mean, people, off[chosen], goal=(-BIAS, BIAS))
        report.add(section, f"passed_on_error_{group}", "… size of the error", np.mean, people, abs(off[chosen]))
        report.add(section, f"passed_on_auroc_{group}", "… AUROC", auroc, people, s.passes[chosen], hit, norm=s.norm[chosen])
        report.add(section, f"passed_on_ece_{group}", "… ECE", bin_gap, people, s.passes[chosen], hit.astype(float), goal=at_most(0.04))
        report.add(section, f"passed_on_ece_by_chance_{group}", CHANCE, gap_by_chance, people, s.passes[chosen])
    kept = np.flatnonzero(members["press"] | members["wild"])
    def gap(off, is_wild):
        return float(off[is_wild].mean() - off[~is_wild].mean()) if is_wild.any() and not is_wild.all() else float("nan")
    report.add(section, "passed_on_gap", "web crops' error less press photos' error", gap, s.person[kept], off[kept], s.group[kept] == "wild", goal=(-GROUP_GAP, GROUP_GAP))
    for group in ("named", "single", "press", "wild"):
        chosen = s.found & (s.kind == "passed_on") & (s.group == group)
        report.add(section, f"passed_on_poor_{group}", f"{group}: passed on, under .60", share, s.person[chosen], s.score[chosen] < GOOD, percent=True)


def covers(report, s):
    section = "Covered and clean faces"
    made = np.isin(s.group, ("named", "single", "press"))
    for key, title, rows in (
        ("masks_low", "printed masks under .40", s.found & made & (s.kind == "mask")),
        ("occlusions_low", "sunglasses, hands and scarves under .40", s.found & made & (s.kind == "occlusion")),
        ("real_masks_low", "real masks under .40", s.found & (s.group == "masked")),
    ):
        report.add(section, key, title, share, s.person[rows], s.score[rows] < WHOLE, goal=at_least(0.80), percent=True)
    for group, goal in (("named", 0.97), ("single", 0.95), ("press", 0.97)):
        rows = s.found & (s.group == group) & (s.kind == "clean")
        report.add(section, f"clean_{group}_good", f"clean {group} photos from .60", share, s.person[rows], s.score[rows] >= GOOD, goal=at_least(goal), percent=True)
        report.add(section, f"clean_{group}_low", "… under .40: covered in truth or by mistake", share, s.person[rows], s.score[rows] < WHOLE, percent=True)
        rows = s.found & (s.group == group) & (s.kind == "tight_grey")
        report.add(section, f"tight_grey_{group}_low", "… cut tight and grey, under .40", share, s.person[rows], s.score[rows] < WHOLE, percent=True)


def detection(report, s):
    section = "Is the face found at all?"
    rows = np.isin(s.kind, DEGRADED)
    report.add(section, "found", "degraded faces", share, s.person[rows], s.found[rows], goal=at_least(0.97), percent=True)
    for kind in (*DEGRADED, *COVERED):
        rows = s.kind == kind
        report.add(section, f"found_{kind}", f"… {kind}", share, s.person[rows], s.found[rows], percent=True)
    rows = s.kind == "far"
    report.add(section, "far_found", "faces of 42 pixels in a full frame", share, s.person[rows], s.found[rows], goal=at_least(0.95), percent=True)
    rows &= s.found
    report.add(section, "far_rejected", "… rejected as too small, of those found", share, s.person[rows], s.is_rejected[rows], goal=at_least(0.95), percent=True)
    # The score is about a good reference: how like its own clean shot a face is says nothing of how like another photo it is.
    rows &= np.isfinite(s.best)
    off = s.score[rows] - curve(s.best[rows])
    report.add(section, "far_bias", "… score less curve, named, a good reference", np.mean, s.person[rows], off)
    report.add(section, "far_error", "… size of the error", np.mean, s.person[rows], abs(off))


def causes(report, s):
    section = "Is the first cause the planted one?"
    poor = s.found & (s.score < GOOD) & np.isin(s.kind, SINGLE_FAULTS)
    report.add(section, "cause", "single faults that score under .60", share, s.person[poor], s.cause[poor] == s.kind[poor], goal=at_least(0.80), percent=True)
    for kind in SINGLE_FAULTS:
        rows = poor & (s.kind == kind)
        report.add(section, f"cause_{kind}", f"… {kind}", share, s.person[rows], s.cause[rows] == kind, percent=True)
    rows = s.found & (s.kind == "mask")
    report.add(section, "cause_mask", "printed masks, all", share, s.person[rows], s.cause[rows] == "mask", percent=True)
    # A scarf or a hand over the mouth does what a mask does; sunglasses do not.
    rows = np.flatnonzero(s.found & (s.kind == "occlusion"))
    allowed = lambda row: ("occlusion",) if s.entries[row]["steps"][0][0] == "sunglasses" else COVERED
    right = np.array([s.cause[row] in allowed(row) for row in rows], bool)
    report.add(section, "cause_occlusion", "sunglasses, hands and scarves, all", share, s.person[rows], right, percent=True)


def no_faces(report, s):
    section = "What is no face, or only half of one"
    for kind, title in (("drawing", "drawings made of photos"), ("half", "faces cut by the picture's edge")):
        rows = s.kind == kind
        report.add(section, f"{kind}_found", f"{title}: found", share, s.person[rows], s.found[rows], percent=True)
        rows &= s.found
        report.add(section, f"{kind}_low", "… under .40, of those found", share, s.person[rows], s.score[rows] < WHOLE, percent=True)


def design_rules(report, s):
    section = "The design's rules on pose and size"
    clean = s.found & (s.kind == "clean") & np.isin(s.group, ("named", "single"))
    frontal = (abs(s.yaw) <= 25) & (abs(s.pitch) <= 15)
    for key, title, rows in (("near", "yaw ≤ 25° and pitch ≤ 15°", clean & frontal), ("far", "turned further", clean & ~frontal)):
        report.add(section, f"pose_{key}_score", f"clean photos, {title}: score", np.mean, s.person[rows], s.score[rows])
        report.add(section, f"pose_{key}_good", f"… share from {POSE_SCORE:.2f}", share, s.person[rows], s.score[rows] >= POSE_SCORE, percent=True)
    for side in np.unique(s.strength[s.kind == "size"]):
        rows = (s.kind == "size") & (s.strength == side)
        report.add(section, f"size_{side:.0f}_found", f"photos brought to {side:.0f} px: found", share, s.person[rows], s.found[rows], percent=True)
        rows &= s.found
        report.add(section, f"size_{side:.0f}_score", "… score", np.mean, s.person[rows], s.score[rows])
        report.add(section, f"size_{side:.0f}_poor", "… share under .40", share, s.person[rows], s.score[rows] < WHOLE, percent=True)


def unseen_kinds(report, faults):
    """Faults of src/degrade that the foreseeing head has not learnt from, of people that it has not seen."""
    section = "What if a kind of fault never occurred in training?"
    by_kind = collections.defaultdict(list)
    for fault in faults:
        by_kind[fault["fault"]].append([float(fault[name]) for name in ("person", "reached", "seen", "unseen")])
    for kind, rows in by_kind.items():
        people, reached, seen, unseen = np.array(rows).T
        passes = reached >= PASS
        report.add(section, f"seen_auroc_{kind}", f"{kind}: AUROC with the kind in training", auroc, people, seen, passes)
        report.add(section, f"unseen_auroc_{kind}", "… without", auroc, people, unseen, passes)
        report.add(section, f"seen_error_{kind}", "… size of the error of the similarity foreseen, with", np.mean, people, abs(seen - reached))
        report.add(section, f"unseen_error_{kind}", "… without", np.mean, people, abs(unseen - reached))


def second_shots(report, s):
    section = "Does the interval hold another shot of the scene?"
    scenes = collections.defaultdict(dict)
    for row in np.flatnonzero(s.found & np.isin(s.kind, DEGRADED)):
        scenes[s.photo[row], s.entries[row]["scene"]][int(s.shot[row])] = row
    pairs = np.array([(shots[0], shots[1]) for shots in scenes.values() if len(shots) == 2], int).reshape(-1, 2)
    first, second = pairs.T
    for low, high, title in ((-1.0, 2.0, "all scores"), *BANDS):
        in_band = (s.score[first] >= low) & (s.score[first] < high)
        one, other = first[in_band], second[in_band]
        is_all = title == "all scores"
        suffix = "" if is_all else f"_{max(low, 0):.1f}"
        held = (s.score[other] >= s.low[one]) & (s.score[other] <= s.high[one])
        report.add(section, f"interval_holds{suffix}", f"second shots inside, {title}", share, s.person[one], held, goal=(0.85, 0.95) if is_all else None, percent=True)
        report.add(section, f"interval_width{suffix}", f"width, {title}", np.mean, s.person[one], s.high[one] - s.low[one], goal=at_most(0.14) if is_all else None)


def iso_ladder(report, s):
    section = "Along the ISO numbers, five shots each (only faces that are found)"
    ladder = s.kind == "iso"
    rows = ladder & s.found
    for iso in np.unique(s.strength[ladder]):
        step = rows & (s.strength == iso)
        report.add(section, f"iso_{iso:.0f}", f"score at ISO {iso:.0f}", np.mean, s.person[step], s.score[step])
    report.add(section, "iso_found", "found", share, s.person[ladder], s.found[ladder], percent=True)
    report.add(section, "iso_rise", "largest rise from one to the next", iso_rise, s.person[rows], s.strength[rows], s.score[rows], goal=at_most(0.02))
    report.add(section, "iso_span", "first less last", iso_span, s.person[rows], s.strength[rows], s.score[rows], goal=at_least(0.45))
    shots = collections.defaultdict(list)
    for row in np.flatnonzero(rows & np.isfinite(s.own)):
        shots[s.photo[row], s.strength[row]].append(row)
    series = [member for member in shots.values() if len(member) > 1]
    people = np.array([s.person[member[0]] for member in series])
    score = np.array([s.score[member].mean() for member in series])
    spread = np.array([s.own[member].std(ddof=1) for member in series])
    for key, title, band in (("good", "from .60", score >= GOOD), ("poor", "under .40", score < WHOLE)):
        report.add(section, f"iso_spread_{key}", f"deviation of the similarity within five shots, score {title}", np.mean, people[band], spread[band])


def self_test():
    chance = np.random.default_rng(1)
    score, truth = np.round(chance.random(60), 1), chance.random(60) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in score[truth] for b in score[~truth]]
    assert abs(auroc(score, truth) - np.mean(pairs)) < 1e-12
    assert np.isnan(auroc(score, np.ones(60, bool)))
    # Two bins: .1 and .3 apart from what came true, three samples and one.
    assert abs(bin_gap(np.array([0.42, 0.44, 0.43, 0.7]), np.array([1.0, 0, 0.59, 1.0])) - (3 * 0.1 + 0.3) / 4) < 1e-12
    assert bin_gap(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0
    assert gap_by_chance(np.array([0.0, 1.0])) == 0
    # One bin of n at one half is off by √(1 / 2πn) on average.
    assert abs(gap_by_chance(np.full(100, 0.5)) - (1 / (200 * np.pi)) ** 0.5) < 0.005
    fails = np.arange(4000) < 800
    assert abs(edc(np.arange(4000.0), fails)) < 1e-12
    assert edc(-np.arange(4000.0), fails) > 1
    assert abs(np.mean([edc(chance.random(4000), fails) for _ in range(20)]) - 1) < 0.05
    assert abs(edc(np.zeros(4000), fails) - 1) < 1e-3
    # Equal scores: as good as the mean over their orders.
    score, fails = np.array([0, 0, 0, 1, 1, 2, 2, 2.0]), np.array([1, 0, 1, 0, 1, 0, 0, 0], bool)
    orders = [edc(score + 0.1 * np.array(order) / 8, fails) for order in itertools.islice(itertools.permutations(range(8)), 0, None, 7)]
    assert abs(edc(score, fails) - np.mean(orders)) < 0.02
    assert abs(curve(0.58) - 0.635) < 1e-12 and curve(-1) == 0
    iso = np.array([100, 100, 400, 400, 1600])
    assert abs(iso_rise(iso, np.array([0.9, 0.7, 0.9, 0.8, 0.1])) - 0.05) < 1e-12
    assert abs(iso_span(iso, np.array([0.9, 0.7, 0.9, 0.8, 0.1])) - 0.7) < 1e-12
    print("score_report: the statistics are right")


def outside(figures, bounds):
    """Sentences about figures that left their bounds, or that there is nothing to say about any more."""
    values = {figure["name"]: figure["value"] for figure in figures}
    for name, (low, high) in bounds.items():
        if name not in values:
            yield f"{name} could not be measured, bounds are {low} to {high}"
        elif not low <= values[name] <= high:
            yield f"{name} is {values[name]}, bounds are {low} to {high}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=pathlib.Path)
    parser.add_argument("--answers", type=pathlib.Path, nargs="+")
    parser.add_argument("--unseen-faults", type=pathlib.Path, help="what `models train --folds` foresaw without each kind of fault")
    parser.add_argument("--about", default="", help="what the report says about its own origin")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--bounds", type=pathlib.Path, help="JSON of name → [least, most]; outside is exit code 1")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    if not all((arguments.index, arguments.answers, arguments.out, arguments.json)):
        parser.error("--index, --answers, --out and --json are needed")
    entries = [json.loads(line) for line in arguments.index.read_text().splitlines()]
    answers, providers = {}, set()
    for line in (line for path in arguments.answers for line in path.read_text().splitlines()):
        answer = json.loads(line)
        answers[pathlib.PurePath(answer["file"]).name] = answer
        providers.add(answer.get("model", {}).get("provider"))
    report, samples = Report(), Samples(entries, answers)
    for part in (ranking, kinds, groups, covers, no_faces, detection, causes, second_shots, iso_ladder, design_rules):
        part(report, samples)
    if arguments.unseen_faults:
        with arguments.unseen_faults.open(newline="") as faults:
            unseen_kinds(report, csv.DictReader(faults))
    providers = ", ".join(sorted(filter(None, providers)))
    about = [
        *([arguments.about, ""] if arguments.about else []),
        f"{len(entries):,} pictures of {len(set(samples.person)):,} people, judged on {providers}. The 95 % come from drawing whole people again, {DRAWS}",
        "times from a fixed seed. *Norm alone* is what the embedding's norm does in place of the score. A face somewhere else than the",
        "one that the picture was made for counts as not found.",
    ]
    text = report.markdown(about)
    arguments.out.write_text(text)
    arguments.json.write_text(json.dumps(report.figures, indent=1) + "\n")
    print(text, end="")
    bounds = json.loads(arguments.bounds.read_text()) if arguments.bounds else {}
    problems = list(outside(report.figures, bounds))
    for problem in problems:
        print(f"score-report: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
