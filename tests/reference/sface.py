#!/usr/bin/env python3
"""Makes sface.json, which crates/admin/tests/it/packs.rs compares with: what OpenCV's own FaceRecognizerSF makes of three crops.

    pip install numpy opencv-python-headless
    sface.py face_recognition_sface_2021dec_int8bq.onnx

The crops: the astronaut of astronaut_aligned.png, a pattern (pack::verify::golden_face), and noise of a linear congruential
generator, both computed alike here and in the test.
"""
import json
import pathlib
import sys

import cv2
import numpy as np

HERE = pathlib.Path(__file__).parent


def pattern():
    row, column = np.mgrid[0:112, 0:112]
    planes = [((row * (c + 1) + column * (3 - c)) // 3 + ((row // 7) ^ (column // 5)) * 13) % 256 for c in range(3)]
    return np.stack(planes, axis=2).astype(np.uint8)


def noise():
    state, levels = 1, []
    for _ in range(112 * 112 * 3):
        state = (state * 1103515245 + 12345) % 2**31
        levels.append(state >> 23)
    return np.array(levels, np.uint8).reshape(112, 112, 3)


def main():
    recogniser = cv2.FaceRecognizerSF.create(sys.argv[1], "")
    astronaut = cv2.cvtColor(cv2.imread(str(HERE / "astronaut_aligned.png")), cv2.COLOR_BGR2RGB)
    rows = []
    for name, crop in (("astronaut", astronaut), ("pattern", pattern()), ("noise", noise())):
        feature = recogniser.feature(np.ascontiguousarray(crop[:, :, ::-1]))[0]
        rows.append({"crop": name, "opencv": cv2.__version__, "sface": [round(float(value), 6) for value in feature]})
    (HERE / "sface.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


main()
