#!/usr/bin/env python3
"""Makes the vectors that crates/engine/tests/it/alignment.rs compares with: the chain picture -> box -> 68 landmarks -> similarity
transform -> crop -> SFace, written with OpenCV and ONNX Runtime and sharing no code with the product.

    pip install numpy opencv-python-headless onnxruntime
    alignment.py --models DIR --photos DIR [DIR ...]

--models holds yunet_f32.onnx (free height and width), fr_landmark.onnx and sface_f32.onnx. Writes alignment.json and
astronaut_aligned.png beside itself. Only numbers of photos are written, but for the astronaut's, which is in the public domain.
"""
import argparse
import hashlib
import json
import pathlib

import cv2
import numpy as np
import onnxruntime

HERE = pathlib.Path(__file__).parent
PHOTOS = ["astronaut.jpg", "t1.jpg", "Tom_Hanks_54745.png", "biden.jpg", "obama.jpg", "sample1.jpg", "user1-128x128.jpg"]
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])


def largest_face(session, picture):
    """(box, five points, score) of the largest face that scores .6, at 320 pixels, in pixels of the picture."""
    height, width = picture.shape[:2]
    factor = min(1.0, 320 / max(height, width))
    small = cv2.resize(picture, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
    rows, columns = -(-small.shape[0] // 32) * 32, -(-small.shape[1] // 32) * 32
    canvas = np.zeros((rows, columns, 3), np.float32)
    canvas[: small.shape[0], : small.shape[1]] = small
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, {"input": canvas.transpose(2, 0, 1)[None]})))
    found = []
    for stride in (8, 16, 32):
        cls, obj, box, points = (outputs[f"{kind}_{stride}"][0] for kind in ("cls", "obj", "bbox", "kps"))
        for cell, (a, b) in enumerate(zip(cls[:, 0], obj[:, 0])):
            score = float(np.sqrt(np.clip(a, 0, 1) * np.clip(b, 0, 1)))
            if score < 0.6:
                continue
            corner = np.array([cell % (columns // stride), cell // (columns // stride)])
            centre, size = (corner + box[cell, :2]) * stride, np.exp(box[cell, 2:]) * stride
            found.append((score, np.r_[centre - size / 2, size] / factor, (points[cell].reshape(5, 2) + corner) * stride / factor))
    boxes = [list(map(float, box)) for _, box, _ in found]
    kept = cv2.dnn.NMSBoxes(boxes, [score for score, _, _ in found], 0.6, 0.3)
    score, box, points = max((found[index] for index in np.ravel(kept)), key=lambda face: face[1][2] * face[1][3])
    return box, points, score


def area_warp(picture, matrix, side):
    """warpAffine onto side x side; where it shrinks, the picture is first averaged down to the scale of the output."""
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 1:
        height, width = picture.shape[:2]
        small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        x, y = small.shape[1] / width, small.shape[0] / height
        # Small -> original, both with pixel centres at whole numbers.
        back = np.array([[1 / x, 0, 0.5 / x - 0.5], [0, 1 / y, 0.5 / y - 0.5], [0, 0, 1]])
        matrix, picture = matrix @ back, small
    return cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR)


def landmarks(session, picture, box, points):
    """68 points: square of 1.15 x the longer box side around its centre, turned by the detector's eye line."""
    centre, side = box[:2] + box[2:] / 2, 1.15 * max(box[2], box[3])
    eyes = points[1] - points[0]
    angle, scale = -np.arctan2(eyes[1], eyes[0]), 64 / side
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.c_[turn, 32 - turn @ centre]
    grey = cv2.cvtColor(area_warp(picture, matrix, 64), cv2.COLOR_BGR2GRAY).astype(np.float32) / 256
    shares = session.run(None, {session.get_inputs()[0].name: grey[None, None]})[0].reshape(68, 2)
    return (shares * 64 - matrix[:, 2]) @ np.linalg.inv(turn).T


def five_points(p):
    return np.array([p[[37, 38, 40, 41]].mean(0), p[[43, 44, 46, 47]].mean(0), p[30], p[[48, 60]].mean(0), p[[54, 64]].mean(0)])


def similarity_transform(source, target):
    """Umeyama's closed form by singular values."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, d, vt = np.linalg.svd(b.T @ a / len(a))
    sign = np.diag([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    turn = u @ sign @ vt * (d * np.diag(sign)).sum() / (a**2).sum(1).mean()
    return np.c_[turn, target.mean(0) - turn @ source.mean(0)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--photos", type=pathlib.Path, required=True, nargs="+")
    arguments = parser.parse_args()
    detector, landmark, sface = (
        onnxruntime.InferenceSession(str(arguments.models / name), providers=["CPUExecutionProvider"])
        for name in ("yunet_f32.onnx", "fr_landmark.onnx", "sface_f32.onnx")
    )
    reference = []
    for name in PHOTOS:
        path = next((folder / name for folder in arguments.photos if (folder / name).exists()), None)
        if path is None:
            print(f"{name}: not there, left out")
            continue
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        box, points, score = largest_face(detector, picture)
        contour = landmarks(landmark, picture, box, points)
        five = five_points(contour)
        crop = area_warp(picture, similarity_transform(five, TEMPLATE), 112)
        face = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)[None].astype(np.float32)
        vector = sface.run(None, {"data": face})[0][0]
        reference.append(
            {
                "photo": name,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "box": [round(float(value), 2) for value in box],
                "detection_score": round(score, 4),
                "points": [[round(float(value), 2) for value in point] for point in points],
                "landmarks": [[round(float(value), 2) for value in point] for point in five],
                "sface": [round(float(value), 5) for value in vector / np.linalg.norm(vector)],
            }
        )
        if name == "astronaut.jpg":
            cv2.imwrite(str(HERE / "astronaut_aligned.png"), crop)
    lines = ",\n".join(json.dumps(entry) for entry in reference)
    (HERE / "alignment.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
