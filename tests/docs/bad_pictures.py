"""Pictures that hardly any gate should accept: one photo with each fault of tests/reference/faults.py, covered in several ways, far away, and
without anybody. What a camera in a wrong place sends. One more shows two people: it is accepted, with a hint."""
import pathlib
import sys

import cv2
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))
import faults  # noqa: E402


def make(photo, face):
    """Name → JPEG. `face` is the service's own answer about the photo."""
    picture = cv2.imread(str(photo))
    box = face["box"]
    found = faults.Face(np.array([box[side] for side in ("x", "y", "width", "height")], float), np.array(face["landmarks"], float))
    worse = {name: fault(picture, 1.0, faults.chance_of(name), found.size) for name, fault in faults.FAULTS.items()}
    worse |= {cover.__name__: cover(picture, found, faults.chance_of(cover.__name__)) for cover in (faults.mask, *faults.COVERS)}
    worse["far"] = faults.far(picture, found, faults.chance_of("far"))
    worse["compression_to_quality_5"] = faults.jpeg(picture, 5)
    worse["small"] = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    worse["several"] = cv2.hconcat([picture, picture])
    worse["nobody"] = np.full_like(picture, 127)
    return {name: cv2.imencode(".jpg", made, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes() for name, made in worse.items()}
