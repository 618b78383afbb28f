"""Compares what a part of the photos has taught (`scripts/build-pack --check-part`) with rebuild.json, which is committed.

Bytes come first. Processors without AVX-512 add floats in another order, and some numbers then come out a little different:
where bytes differ, numbers are compared within bounds. Counts may differ too: a degraded copy that hardly shows a face is
found on one processor and not on the other.

    rebuild.py LEARNT            compares the folder with rebuild.json; ends with code 1 where a number is out of bounds
    rebuild.py --write LEARNT    writes rebuild.json anew
    rebuild.py --self-test       checks the comparison itself
"""

import argparse
import hashlib
import json
import math
import pathlib
import random
import sys

REFERENCE = pathlib.Path(__file__).with_name("rebuild.json")
FILES = ["head.json", "calibration.json"]
# What ONNX Runtime and matrixmultiply choose their kernels by.
DECISIVE = {"sse4_1", "avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"}
# Seeded directions that each output's weights are projected on.
DIRECTIONS = 8
SIGNALS = [tenth / 10 for tenth in range(-2, 11)]
SCORES = [tenth / 10 for tenth in range(11)]

# For each kind of number how far it may be off: absolutely, and as a share of the expected number (the larger one counts).
# docs/training.md ("The rebuild") says what was measured: about four times what kernels without fused products differ by.
BOUNDS = {
    "settings": (0, 0),
    "counts": (2, 0.01),
    "figures": (0.04, 0),
    "clean_norms": (0, 0.001),
    "covered": (0.002, 0),
    "golden": (0.002, 0),
    "bias": (0.03, 0),
    "norms": (0, 0.03),
    "projections": (0.3, 0),
    "calibration": (0.012, 0),
}


def decisive_features():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return sorted(DECISIVE & set(line.split()))
    return []


def interpolated(knots, at):
    """The value of a line through sorted knots, level beyond its ends."""
    (left, low), *rest = knots
    if at <= left:
        return low
    for right, high in rest:
        if at < right:
            return low + (high - low) * (at - left) / (right - left)
        left, low = right, high
    return low


def projections(weights):
    """Each output's weights on seeded directions, as shares of their norm."""
    dice = random.Random(1)
    directions = [[1 if dice.getrandbits(1) else -1 for _ in weights[0]] for _ in range(DIRECTIONS)]
    return {
        f"{output}.{number}": sum(w * sign for w, sign in zip(row, direction)) / (math.hypot(*row) or 1)
        for output, row in enumerate(weights)
        for number, direction in enumerate(directions)
    }


def numbered(values):
    return {str(index): value for index, value in enumerate(values)}


def numbers_of(head, calibration):
    """What is compared, by kind and name."""
    golden = head["golden"]
    curves = {
        f"{curve} at {at}": interpolated(calibration[curve], at) for curve in ["similarity", "pass"] for at in SIGNALS
    }
    spread = {
        f"spread {side} {at}": interpolated([(knot["score"], knot[side]) for knot in calibration["spread"]], at)
        for side in ["below", "above"]
        for at in SCORES
    }
    weights = head["head"]["weights"]
    return {
        "settings": head["training"]["settings"],
        "counts": head["training"]["counts"],
        "figures": head["training"]["figures"],
        "clean_norms": numbered(head["clean_norms"]),
        "covered": numbered(head["covered"]),
        "golden": {
            **numbered(golden["embedding"]),
            "embedding_norm": golden["embedding_norm"],
            "ood_logit": golden["ood_logit"],
        },
        "bias": numbered(head["head"]["bias"]),
        "norms": numbered(math.hypot(*row) for row in weights),
        "projections": projections(weights),
        "calibration": curves | spread,
    }


def gaps(expected, got):
    """For each number: by what part of its bound it is off, its name, what was expected, and what came."""
    found = []
    for kind, (absolute, share) in BOUNDS.items():
        for name in sorted(expected[kind].keys() | got[kind].keys()):
            wanted, value = expected[kind].get(name, math.nan), got[kind].get(name, math.nan)
            bound = max(absolute, share * abs(wanted))
            gap = abs(value - wanted)
            # A number that is there on one side only is no number here: out of every bound.
            part = math.inf if math.isnan(gap) or gap > bound == 0 else gap / (bound or 1)
            found.append((part, f"{kind} {name}".strip(), wanted, value))
    return sorted(found, reverse=True)


def read(learnt):
    """What was learnt: hashes of the files and the numbers in them."""
    contents = {name: (learnt / name).read_bytes() for name in FILES}
    head, calibration = (json.loads(contents[name]) for name in FILES)
    return {
        "sha256": {name: hashlib.sha256(bytes).hexdigest() for name, bytes in contents.items()},
        "processor": decisive_features(),
        "numbers": numbers_of(head, calibration),
    }


def rounded(tree):
    if isinstance(tree, dict):
        return {key: rounded(value) for key, value in tree.items()}
    return round(tree, 6)


def write(learnt):
    learnt["numbers"] = rounded(learnt["numbers"])
    REFERENCE.write_text(json.dumps(learnt, indent=1) + "\n")
    print(f"rebuild: {REFERENCE} is written anew")


def compare(reference, learnt):
    """Says how the two differ; whether that is within bounds."""
    differing = [name for name in FILES if learnt["sha256"][name] != reference["sha256"][name]]
    if not differing:
        print("rebuild: equal bytes: this recipe learns what rebuild.json says")
        return True
    print(f"rebuild: other bytes in {' and '.join(differing)}; the numbers are compared within bounds")
    here, there = set(learnt["processor"]), set(reference["processor"])
    print(f"rebuild: this processor lacks: {' '.join(sorted(there - here)) or 'nothing'}; has besides: {' '.join(sorted(here - there)) or 'nothing'}")
    found = gaps(reference["numbers"], learnt["numbers"])
    part, name, wanted, value = found[0]
    print(f"rebuild: furthest off: {name}: expected {wanted}, got {value:.6g}: {part:.2f} of the bound")
    outside = [gap for gap in found if gap[0] > 1]
    for part, name, wanted, value in outside:
        print(f"rebuild: {name}: expected {wanted}, got {value:.6g}: {part:.1f} times the bound", file=sys.stderr)
    if outside:
        print(
            f"rebuild: {len(outside)} of {len(found)} numbers are out of bounds: the recipe, the photos or the networks are others. If that is "
            "meant, run scripts/build-pack --renew-part and commit tests/reference/rebuild.json",
            file=sys.stderr,
        )
    return not outside


def self_test():
    """Whether a number that is off, and one that is missing, is seen."""
    reference = json.loads(REFERENCE.read_text())
    assert all(part == 0 for part, *_ in gaps(reference["numbers"], reference["numbers"]))
    assert gaps(reference["numbers"], {**reference["numbers"], "counts": {}})[0][0] == math.inf
    for kind, (absolute, share) in BOUNDS.items():
        name, wanted = next(iter(reference["numbers"][kind].items()))
        bound = max(absolute, share * abs(wanted))
        off = {name: wanted + (1.5 * bound or 1)}
        moved = {**reference["numbers"], kind: reference["numbers"][kind] | off}
        part, found, *_ = gaps(reference["numbers"], moved)[0]
        assert found == f"{kind} {name}".strip() and (part > 1.4 if bound else part == math.inf), (found, part)
    assert [interpolated([(0, 0), (1, 10), (3, 20)], at) for at in (-1, 0.5, 2, 9)] == [0, 5, 15, 20]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("learnt", type=pathlib.Path, nargs="?", metavar="LEARNT")
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("--self-test", action="store_true")
    options = arguments.parse_args()
    if options.self_test:
        return self_test()
    if options.learnt is None:
        arguments.error("LEARNT is missing: a folder of `faceood-admin models train`")
    learnt = read(options.learnt)
    if options.write:
        return write(learnt)
    sys.exit(not compare(json.loads(REFERENCE.read_text()), learnt))


if __name__ == "__main__":
    main()
