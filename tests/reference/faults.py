#!/usr/bin/env python3
"""Makes pictures worse the way cameras, lenses, networks and people do, for scripts/score-report. It shares no code with
crates/lab/src/degrade and never takes part in training: a score that only knows the faults of its own recipe is found out here.

    faults.py --photos DIR --boxes boxes.jsonl --out DIR [--every N] [--scenes N]

--photos holds named/PERSON, wild/PERSON, press/PERSON, single and masked; --boxes has the answers of `faceood-admin extract --json` to them.
Writes pictures and index.jsonl. All chance comes from each photo's path relative to --photos: the same photos give the same
pictures. Strength 0 is a fault that one has to look for, 1 a face that few recognisers still know.
"""
import argparse
import dataclasses
import json
import multiprocessing
import os
import pathlib
import zlib

import cv2
import numpy as np

# Display to light and back. A plain power: what matters is that light adds up, not the foot of the curve.
GAMMA = 2.2
# Electrons that white collects at ISO 100, and the read-out's own noise in electrons: a small phone sensor.
FULL_WELL, READ_NOISE = 4000, 1.5
# Noise of blue, green, red after white balance, which lifts blue and red.
CHANNEL_NOISE = np.array([1.25, 0.9, 1.15], np.float32)
# Longer side of a face in front of a gate, in pixels.
GATE_PX = (60, 220)
ISO_STEPS, ISO_SHOTS, ISO_FACE_PX = (100, 400, 1600, 3200, 6400, 12800, 25600), 5, 110
FAR_PX, FAR_FRAME = 42, (1080, 1920)
# Shorter sides to which large photos are brought, in pixels.
SIDES = (150, 200, 300, 400)
# Share of the picture's width by which a recaptured picture's corners may move at full strength.
KEYSTONE = 0.06
# Which scenes at the gate each photo is taken in; each sixth has two faults. Web crops and real masks are as bad as they are.
SCENES = {"named": range(12), "single": range(5), "press": (0, 1, 5), "wild": (), "masked": ()}
PERIOD = 6
# Longer side of a face in a picture that is passed on, in pixels, before it is enlarged again.
PASSED_ON_PX = (45, 110)


@dataclasses.dataclass
class Face:
    box: np.ndarray  # x, y, width, height
    points: np.ndarray  # eyes, nose, mouth corners; image left before right

    @property
    def size(self):
        return float(max(self.box[2:]))

    @property
    def centre(self):
        return self.box[:2] + self.box[2:] / 2

    def scaled(self, factor):
        return Face(self.box * factor, self.points * factor)


def chance_of(*names):
    """A generator from names alone, so that neither folder nor order of work changes a picture."""
    return np.random.default_rng(zlib.crc32(" ".join(map(str, names)).encode()))


def light_of(picture):
    return (picture.astype(np.float32) / 255) ** GAMMA


def picture_of(light):
    return (np.clip(light, 0, 1) ** (1 / GAMMA) * 255 + 0.5).astype(np.uint8)


def jpeg(picture, quality):
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1], cv2.IMREAD_COLOR)


def webp(picture, quality):
    return cv2.imdecode(cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, int(quality)])[1], cv2.IMREAD_COLOR)


def exposed(light, electrons, read_noise, chance):
    """Light as a sensor counts it: photons arrive by chance, so their noise grows with the root of the light; reading adds its own. No two
    shots have the same photons, though all else that was drawn for their scene be the same: they follow from the light, too."""
    photons = np.random.default_rng([chance.integers(2**32), zlib.crc32(np.ascontiguousarray(light))])
    deviation = np.sqrt(np.maximum(light, 0) / electrons + (read_noise / electrons) ** 2)
    return light + photons.normal(0, 1, light.shape).astype(np.float32) * deviation


def noise(picture, strength, chance, size):
    """Nine stops of amplification from ISO 100 on. Four cameras in ten smooth it away, edges left, as their processors do."""
    light = light_of(picture)
    noisy = picture_of(light + (exposed(light, FULL_WELL / 2 ** (9 * strength), READ_NOISE, chance) - light) * CHANNEL_NOISE)
    if chance.random() < 0.4:
        noisy = cv2.bilateralFilter(noisy, 5, 30 + 60 * strength, 3)
    return noisy


def blur(picture, strength, chance, size):
    """Out of focus by 1 to 15 % of the face: a point becomes the disc of the aperture, or a bell where the lens is poor."""
    across = size * (0.01 + 0.14 * strength)
    if chance.random() < 0.5:
        return cv2.GaussianBlur(picture, (0, 0), max(0.3, across / 2))
    side = max(3, int(across) | 1)
    disc = np.zeros((side, side), np.float32)
    cv2.circle(disc, (side // 2, side // 2), side // 2, 1, -1)
    return picture_of(cv2.filter2D(light_of(picture), -1, disc / disc.sum()))


def motion_blur(picture, strength, chance, size):
    """The head moves by 3 to 30 % of its size while the shutter is open, straight on or in an arc, in any direction."""
    side = max(3, int(size * (0.03 + 0.27 * strength))) | 1
    angle, half = chance.uniform(0, np.pi), side // 2
    path = np.zeros((side, side), np.float32)
    if chance.random() < 0.5:
        along = half * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(path, tuple((half - along).astype(int).tolist()), tuple((half + along).astype(int).tolist()), 1)
    else:
        cv2.ellipse(path, (half, half + half // 2), (half, half // 2 + 1), np.degrees(angle), 200, 340, 1)
    return cv2.filter2D(picture, -1, path / max(path.sum(), 1e-6))


def low_resolution(picture, strength, chance, size):
    """A face of 64 to 11 pixels that somebody enlarged again, by whichever scaler; three in ten were stored in between."""
    factor = 64 * (11 / 64) ** strength / size
    if factor >= 1:
        return picture
    down = (cv2.INTER_AREA, cv2.INTER_LINEAR)[chance.integers(2)]
    up = (cv2.INTER_NEAREST, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_LINEAR)[chance.integers(4)]
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=down)
    if chance.random() < 0.3:
        small = jpeg(small, chance.integers(50, 90))
    return cv2.resize(small, (picture.shape[1], picture.shape[0]), interpolation=up)


def compression(picture, strength, chance, size):
    """JPEG of quality 60 to 4, once, twice on shifted blocks (a messenger scales in between), or WebP on top of JPEG."""
    quality = 60 * (4 / 60) ** strength
    if chance.random() < 0.3:
        return webp(jpeg(picture, min(95, quality * 1.6)), max(1, quality * 0.5))
    if chance.random() < 0.5:
        small = jpeg(cv2.resize(picture, None, fx=0.9, fy=0.9), quality * 1.2)
        return cv2.resize(jpeg(small, quality), (picture.shape[1], picture.shape[0]))
    return jpeg(picture, quality)


def underexposure(picture, strength, chance, size):
    """A third down to 1/150 of the light: what is left drowns in the sensor's noise. Four cameras in ten amplify both again."""
    dark = exposed(light_of(picture) / (3 * 50**strength), 3000, 2.5, chance)
    if chance.random() < 0.4:
        dark = dark * np.clip(0.35 / max(np.median(dark), 1e-4), 1, 60) ** 0.7
    return picture_of(dark)


def overexposure(picture, strength, chance, size):
    """1.5 to 12 times the light: what is above white is lost, and in half of the cameras spills over its surroundings."""
    bright = light_of(picture) * 1.5 * 8**strength
    if chance.random() < 0.5:
        bright = bright + cv2.GaussianBlur(np.maximum(bright - 1, 0), (0, 0), size * 0.15) * 0.5
    return picture_of(bright)


def screen_recapture(picture, strength, chance, size):
    """A display held up to the camera. Its dots beat with the sensor's (moiré), its refresh with the shutter (bands); it has a
    colour of its own, mirrors a lamp in six of ten, is not quite in focus and is held at an angle."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dots, turn = 2 * np.pi / chance.uniform(2.1, 4.5), chance.uniform(0, 0.3)
    rows = np.sin(dots * (x * np.cos(turn) + y * np.sin(turn)))
    columns = np.sin(dots * 1.07 * (x * np.cos(turn + 0.12) - y * np.sin(turn + 0.12)))
    bands = np.sin(2 * np.pi * (x * 0.03 * chance.uniform(0.5, 2) + y * 0.04))
    beat = (1 + (0.08 + 0.4 * strength) * rows * columns) * (1 + (0.03 + 0.12 * strength) * bands)
    cast = np.array([1 + 0.35 * strength * chance.random(), 1, 1 - 0.25 * strength * chance.random()], np.float32)
    light = light_of(picture) * beat[..., None] * cast * 0.85 + 0.03 * strength
    if chance.random() < 0.6:
        lamp = (x - chance.uniform(0, width)) ** 2 + (y - chance.uniform(0, height * 0.5)) ** 2
        light = light + (0.7 * strength * np.exp(-lamp / (2 * (size * 0.3) ** 2)))[..., None]
    soft = cv2.GaussianBlur(picture_of(light), (0, 0), 0.4 + 0.6 * strength)
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    reach = KEYSTONE * strength * width
    moved = corners + chance.uniform(-reach, reach, (4, 2)).astype(np.float32)
    return cv2.warpPerspective(soft, cv2.getPerspectiveTransform(corners, moved), (width, height), borderMode=cv2.BORDER_REPLICATE)


FAULTS = {
    fault.__name__: fault
    for fault in (noise, blur, motion_blur, low_resolution, compression, underexposure, overexposure, screen_recapture)
}
KINDS = list(FAULTS)


def mask(picture, face, chance):
    """A mask printed over nose, mouth and chin: plain, pleated, checked or mottled, and shaded by the light on the face."""
    x, y, width, height = face.box
    left_eye, right_eye, nose, left_mouth, right_mouth = face.points
    eyes, mouth, across = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2, right_eye - left_eye
    bridge, chin = nose * 0.75 + eyes * 0.25, mouth * 1.9 - nose * 0.9
    outline = [
        left_eye - across * 0.42 + (nose - eyes) * 0.7,
        bridge - across * 0.25,
        bridge + across * 0.25,
        right_eye + across * 0.42 + (nose - eyes) * 0.7,
        right_mouth + across * 0.25 + (chin - mouth) * 0.6,
        chin + across * 0.15,
        chin - across * 0.15,
        left_mouth - across * 0.25 + (chin - mouth) * 0.6,
    ]
    shape = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(shape, [cv2.convexHull(np.array(outline).astype(np.int32))], 255)
    cover = cv2.GaussianBlur(shape, (0, 0), max(0.5, width / 120))[..., None] / 255
    cloths = [[235, 215, 190], [240, 240, 240], [40, 40, 40], [150, 90, 60], [60, 60, 170], [90, 140, 90]]
    cloth = np.array(cloths[chance.integers(6)], np.float32)
    rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
    pattern = (
        lambda: np.ones(picture.shape[:2], np.float32),
        lambda: 1 - 0.12 * (np.sin((rows - y) / height * 2 * np.pi * 7) > 0.3),
        lambda: 1 + 0.25 * np.sign(np.sin((columns - x) / width * 40) * np.sin((rows - y) / width * 40)),
        lambda: 1 + 0.3 * cv2.GaussianBlur(chance.normal(0, 1, picture.shape[:2]).astype(np.float32), (0, 0), 1.5),
    )[chance.integers(4)]()
    shade = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), width * 0.12)
    printed = cloth * (pattern * (0.55 + 0.45 * shade / max(shade.max(), 1)))[..., None]
    return np.clip(picture * (1 - cover) + printed * cover, 0, 255).astype(np.uint8)


def sunglasses(picture, face, chance):
    """Two dark glasses that nothing shines through, and the bridge between them."""
    left, right, nose = face.points[:3]
    across = right - left
    apart, turn, covered = float(np.hypot(*across)), float(np.degrees(np.arctan2(across[1], across[0]))), picture.copy()
    for eye in (left, right):
        middle = (eye + (nose - (left + right) / 2) * 0.08).astype(int).tolist()
        cv2.ellipse(covered, middle, (int(apart * 0.42), int(apart * 0.32)), turn, 0, 360, (18, 15, 15), -1)
    cv2.line(covered, left.astype(int).tolist(), right.astype(int).tolist(), (15, 15, 15), max(1, int(apart * 0.06)))
    return covered


def hand(picture, face, chance):
    """Four fingers of the face's own colour, a little in the shade, over one corner of the mouth."""
    left, right, nose, left_mouth, right_mouth = face.points
    apart, covered = float(np.hypot(*(right - left))), picture.copy()
    middle = (left_mouth if chance.random() < 0.5 else right_mouth) * 0.6 + nose * 0.4
    row, column = (int(np.clip(nose[axis], 0, picture.shape[1 - axis] - 1)) for axis in (1, 0))
    skin = picture[row, column].astype(float) * 0.85
    for finger in range(4):
        at = [int(middle[0] + (finger - 1.5) * apart * 0.26), int(middle[1])]
        colour = (skin * (1 - 0.04 * finger)).tolist()
        cv2.ellipse(covered, at, (int(apart * 0.14), int(apart * 0.6)), 10 * (finger - 1.5), 0, 360, colour, -1)
    return covered


def scarf(picture, face, chance):
    """Cloth of one colour from just under the nose's tip down over the neck."""
    x, y, width, height = face.box
    left, right, nose = face.points[:3]
    across, covered = right - left, picture.copy()
    below = np.array([0, np.hypot(*across) * 0.2])
    low = y + height * 1.25
    outline = [nose - across * 0.9 + below, nose + across * 0.9 + below, [x + width * 1.15, low], [x - width * 0.15, low]]
    cv2.fillPoly(covered, [np.array(outline).astype(np.int32)], chance.integers(20, 200, 3).tolist())
    return covered


COVERS = (sunglasses, hand, scarf)


def half(picture, face, chance):
    """Somebody who is only half in the picture: its edge runs through the face, a little before or beyond the nose."""
    x, y, width, height = face.box
    edge = int(x + width * chance.uniform(0.42, 0.55))
    if chance.random() < 0.5:
        return picture[:, edge:], Face(np.array([0, y, x + width - edge, height]), face.points - [edge, 0])
    return picture[:, :edge], Face(np.array([x, y, edge - x, height]), face.points)


def drawing(picture, face, chance):
    """OpenCV's two pencils and its brush: a face that nobody has."""
    tool = chance.integers(3)
    if tool == 2:
        return cv2.stylization(picture, sigma_s=60, sigma_r=0.6)
    grey, coloured = cv2.pencilSketch(picture, sigma_s=60, sigma_r=0.07, shade_factor=float(chance.uniform(0.02, 0.05)))
    return coloured if tool else cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def cut_tight(picture, face, chance, most):
    """The face with up to that much of its size around it, each side by itself: a few cuts run through chin or forehead."""
    low = np.maximum(face.box[:2] - chance.uniform(-0.05, most, 2) * face.size, 0).astype(int)
    high = (face.box[:2] + face.box[2:] + chance.uniform(-0.05, most, 2) * face.size).astype(int)
    part = picture[low[1] : high[1], low[0] : high[0]]
    return part, Face(np.concatenate([face.box[:2] - low, face.box[2:]]), face.points - low)


def passed_on(picture, face, chance):
    """As a picture looks that people have cut out, sent on and put up again: small, coded, enlarged, coded once more, and now and then
    retouched, tinted, grained, sharpened or photographed off a page. Any person's picture may go this way, so it tells no group."""
    part, there = cut_tight(picture, face, chance, 0.4)
    if chance.random() < 0.3:
        part = cv2.bilateralFilter(part, 7, chance.uniform(15, 50), 5)
    factor = chance.uniform(*PASSED_ON_PX) / there.size
    small = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    small = jpeg(small, chance.integers(25, 61))
    factor_back = chance.uniform(1, 2.5)
    enlarged = cv2.resize(small, None, fx=factor_back, fy=factor_back, interpolation=(cv2.INTER_LINEAR, cv2.INTER_CUBIC)[chance.integers(2)])
    hue, saturation, value = cv2.split(cv2.cvtColor(enlarged, cv2.COLOR_BGR2HSV).astype(np.float32))
    saturation *= 0 if chance.random() < 0.2 else chance.uniform(0.6, 1.5)
    value = 255 * (value / 255) ** chance.uniform(0.7, 1.4)
    tinted = np.clip(cv2.merge([hue, saturation, value]), 0, 255).astype(np.uint8)
    finished = cv2.cvtColor(tinted, cv2.COLOR_HSV2BGR).astype(np.float32)
    if chance.random() < 0.3:
        finished += chance.normal(0, chance.uniform(3, 12), (*finished.shape[:2], 1))
    if chance.random() < 0.3:
        finished += 0.6 * (finished - cv2.GaussianBlur(finished, (0, 0), 1.5))
    return np.clip(finished, 0, 255).astype(np.uint8), there.scaled(factor * factor_back)


def tight_grey(picture, face, chance):
    """A clean face cut tight and without colour, as on a document: still a whole face."""
    part, there = cut_tight(picture, face, chance, 0.12)
    return cv2.cvtColor(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), there


def far(picture, face, chance):
    """Somebody at the other end of a hall: 42 pixels of face in the middle of a full frame, coded as surveillance streams are."""
    height, width = FAR_FRAME
    floor = np.linspace(0.35, 0.12, height, dtype=np.float32)[:, None] * np.ones((1, width), np.float32)
    for _ in range(6):  # doors and pillars
        at, wide = chance.integers(0, width), chance.integers(30, 160)
        floor[int(height * chance.uniform(0.05, 0.3)) : int(height * 0.75), at : at + wide] *= chance.uniform(0.6, 1.3)
    hall = picture_of(exposed(np.repeat(floor[..., None], 3, axis=2), FULL_WELL / 4, READ_NOISE, chance))
    # The shoulders come along, the rest of the photo does not.
    low = np.maximum(face.centre - 1.5 * face.size, 0).astype(int)
    person = picture[low[1] : int(face.centre[1] + 1.5 * face.size), low[0] : int(face.centre[0] + 1.5 * face.size)]
    factor = FAR_PX / face.box[2]
    person = cv2.resize(person, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    corner = np.round(np.array([width, height]) / 2 - (face.centre - low) * factor).astype(int)
    hall[corner[1] : corner[1] + person.shape[0], corner[0] : corner[0] + person.shape[1]] = person
    return hall


def another_shot(picture, chance):
    """The moment after: the head has moved by up to three pixels, the light or the exposure is up to 10 % another."""
    shift = np.float32([[1, 0, chance.uniform(-3, 3)], [0, 1, chance.uniform(-3, 3)]])
    moved = cv2.warpAffine(picture, shift, (picture.shape[1], picture.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    return picture_of(light_of(moved) * chance.uniform(0.9, 1.1))


def brought_to(picture, face, size):
    """As a camera sees the face at `size` pixels; never enlarged, since that would be a fault of its own."""
    factor = min(1.0, size / face.size)
    if factor == 1:
        return picture, face
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), face.scaled(factor)


def scene_of(photo, number):
    """Size of the face in front of the gate, strength and faults of one scene. Each sixth has two faults."""
    chance = chance_of(photo, number)
    kind = KINDS[(number + zlib.crc32(photo.encode())) % len(KINDS)]
    strength, size = float(chance.random()), chance.uniform(*GATE_PX)
    if number % PERIOD != PERIOD - 1:
        return size, strength, kind, [(kind, strength)]
    return size, strength, "combo", [(kind, 0.7 * strength), (KINDS[chance.integers(len(KINDS))], 0.6 * float(chance.random()))]


def pictures_of(photo, group, picture, face, scenes, ladder):
    """(what it is, picture, JPEG quality or None, face) of all that is made of one photo."""
    yield {"kind": "clean", "strength": 0.0, "steps": []}, picture, None, face
    if face is None or group == "masked":
        return
    # There are so many press photos that every second one is enough for what is made once of each.
    is_one_of_two = group != "press" or int(pathlib.PurePath(photo).stem) % 2 == 0
    if (scenes or group == "wild") and is_one_of_two:
        made, there = passed_on(picture, face, chance_of(photo, "passed_on"))
        yield {"kind": "passed_on", "strength": 1.0, "steps": [("passed_on", 1.0)]}, made, 80, there
    if not scenes:
        return
    if is_one_of_two:
        made, there = tight_grey(picture, face, chance_of(photo, "tight_grey"))
        yield {"kind": "tight_grey", "strength": 0.0, "steps": [("tight_grey", 0.0)]}, made, 92, there
    for number in scenes:
        size, strength, kind, steps = scene_of(photo, number)
        seen, there = brought_to(picture, face, size)
        # Half of the scenes have a second shot: the same camera, file and screen, so all that is drawn for them is drawn again.
        for shot in range(2 - number % 2):
            chance = chance_of(photo, number, "scene")
            worse = another_shot(seen, chance_of(photo, number, "moment")) if shot else seen
            for name, amount in steps:
                worse = FAULTS[name](worse, amount, chance, there.size)
            about = {"kind": kind, "strength": strength, "steps": steps, "scene": number, "shot": shot}
            yield about, worse, chance.integers(80, 96), there
    if not is_one_of_two:
        return
    chance = chance_of(photo, "covers")
    yield {"kind": "mask", "strength": 1.0, "steps": [("mask", 1.0)]}, mask(picture, face, chance), 92, face
    cover = COVERS[chance.integers(len(COVERS))]
    yield {"kind": "occlusion", "strength": 1.0, "steps": [(cover.__name__, 1.0)]}, cover(picture, face, chance), 92, face
    if group == "press":
        return
    yield {"kind": "drawing", "strength": 1.0, "steps": [("drawing", 1.0)]}, drawing(picture, face, chance_of(photo, "drawing")), 92, face
    cut, there = half(picture, face, chance_of(photo, "half"))
    yield {"kind": "half", "strength": 1.0, "steps": [("half", 1.0)]}, cut, 92, there
    for side in SIDES if min(picture.shape[:2]) >= max(SIDES) else ():
        seen, there = brought_to(picture, face, face.size * side / min(picture.shape[:2]))
        yield {"kind": "size", "strength": side, "steps": [("size", side)]}, seen, 92, there
    if face.box[2] >= FAR_PX:
        chance, middle = chance_of(photo, "far"), np.array(FAR_FRAME[::-1]) / 2
        small = face.scaled(FAR_PX / face.box[2])
        small.box[:2] = middle - small.box[2:] / 2
        yield {"kind": "far", "strength": 1.0, "steps": [("far", 1.0)]}, far(picture, face, chance), chance.integers(30, 46), small
    if ladder:
        seen, there = brought_to(picture, face, ISO_FACE_PX)
        for iso in ISO_STEPS:
            for shot in range(ISO_SHOTS):
                taken = exposed(light_of(seen), FULL_WELL * 100 / iso, READ_NOISE, chance_of(photo, "iso", iso, shot))
                yield {"kind": "iso", "strength": iso, "steps": [("iso", iso)], "shot": shot}, picture_of(taken), None, there


def place_of(about, picture, face):
    """Where the face has to be found, and how far off: another face in the picture is not the one that is looked for."""
    if face is None:
        return None
    drift = KEYSTONE * picture.shape[1] if any(name == "screen_recapture" for name, _ in about["steps"]) else 0
    return [round(float(value), 1) for value in (*face.centre, face.size / 2 + drift)]


def make(job):
    """Writes all pictures of one photo; their entries in the index."""
    number, photo, group, person, scenes, face, ladder, photos, out = job
    picture = cv2.imread(str(photos / photo), cv2.IMREAD_COLOR)
    if picture is None:
        return []
    entries = []
    for about, made, quality, there in pictures_of(photo, group, picture, face, scenes, ladder):
        # What ends as a JPEG stays the file that it is; all else is kept to the bit.
        name = f"{number:04}-{len(entries):02}" + (".png" if quality is None else ".jpg")
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1] if quality is None else [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
        cv2.imwrite(str(out / name), made, options)
        entry = {"path": name, "photo": photo, "group": group, "person": person, "scene": None, "shot": 0, **about}
        entries.append({**entry, "place": place_of(about, made, there)})
    return entries


def collection(photos, every):
    """(photo, group, person, whether faults are made of it). With --every, all clean named photos stay, for references."""
    for group in ("named", "wild", "press"):
        people = sorted(folder for folder in (photos / group).glob("*") if folder.is_dir())
        # The first of each two is learnt from (training/photos.rs).
        for index, person in enumerate(people[1::2] if group == "press" else people):
            for number, file in enumerate(sorted(person.iterdir())):
                if group == "named":
                    yield f"{group}/{person.name}/{file.name}", group, person.name, (10 * index + number) % every == 0
                elif index % every == 0:
                    yield f"{group}/{person.name}/{file.name}", group, person.name, group == "press"
    for group in ("single", "masked"):
        for file in sorted((photos / group).glob("*"))[::every]:
            yield f"{group}/{file.name}", group, file.name, group == "single"


def faces_of(boxes, photos):
    """Photo → face, from the product's answers to the clean photos."""
    faces = {}
    for line in boxes.read_text().splitlines():
        answer = json.loads(line)
        for face in answer.get("faces", [])[:1]:
            box = np.array([face["box"][key] for key in ("x", "y", "width", "height")])
            faces[os.path.relpath(answer["file"], photos)] = Face(box, np.array(face["landmarks"], float))
    return faces


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=pathlib.Path, required=True)
    parser.add_argument("--boxes", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="make faults of each N-th photo only, for a quick try")
    parser.add_argument("--scenes", type=int, help="how often each photo is taken at the gate, in place of SCENES")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    faces = faces_of(arguments.boxes, arguments.photos)
    photos = list(collection(arguments.photos, arguments.every))
    # The ISO ladder is for one photo of each named person, or for a few photos where nobody has a name.
    worsened = [(photo, group, person) for photo, group, person, is_worsened in photos if is_worsened and photo in faces]
    named = {person: photo for photo, group, person in reversed(worsened) if group == "named"}
    ladder = set(named.values()) or {photo for photo, _, _ in worsened[:6]}
    def scenes_of(photo, group):
        if arguments.scenes:
            return range(arguments.scenes)
        # The checksums of a person's photos are alike, and with them the kinds: each photo goes on where the last one ended.
        first = PERIOD * int(pathlib.PurePath(photo).stem) if group == "press" else 0
        return [first + number for number in SCENES[group]]
    jobs = [
        (number, photo, group, person, scenes_of(photo, group) if is_worsened else (), faces.get(photo), photo in ladder)
        for number, (photo, group, person, is_worsened) in enumerate(photos)
    ]
    cv2.setNumThreads(1)
    with multiprocessing.Pool() as pool, open(arguments.out / "index.jsonl", "w") as index:
        for entries in pool.imap(make, [(*job, arguments.photos, arguments.out) for job in jobs], chunksize=4):
            index.writelines(json.dumps(entry) + "\n" for entry in entries)


if __name__ == "__main__":
    main()
