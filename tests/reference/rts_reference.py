#!/usr/bin/env python3
"""Makes rts.json and tensors.pt, which crates/admin/tests/it/import_rts.rs compares with: what PyTorch makes of the network of Random
Temperature Scaling, and a small file as PyTorch writes it.

    pip install torch numpy            # any release from 1.6 on; on the CPU
    rts_reference.py                   writes rts.json and tensors.pt
    rts_reference.py --checkpoint OUT [--small]    writes a checkpoint as torch.save does, both heads in it

No weights are stored: every number is a hash of its tensor's name and its own position, computed alike here and in the
test. The full network has the published shape (IR-SE-64, 512 numbers); the small one has a unit a stage and few channels.
"""
import argparse
import collections
import json
import math
import pathlib

import numpy as np
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
FULL = ([3, 8, 16, 3], [64, 128, 256, 512])
SMALL = ([1, 2, 1, 1], [16, 16, 32, 32])
ALPHA = 16


def conv(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class SqueezeExcitation(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1 = conv(channels, channels // 16, 1)
        self.fc2 = conv(channels // 16, channels, 1)

    def forward(self, x):
        gate = self.fc2(torch.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class Unit(nn.Module):
    def __init__(self, inputs, depth, stride):
        super().__init__()
        if inputs == depth:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(conv(inputs, depth, 1, stride), nn.BatchNorm2d(depth))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs), conv(inputs, depth, 3), nn.PReLU(depth), conv(depth, depth, 3, stride),
            nn.BatchNorm2d(depth), SqueezeExcitation(depth))

    def forward(self, x):
        return self.res_layer(x) + self.shortcut_layer(x)


class Rts(nn.Module):
    def __init__(self, units, channels):
        super().__init__()
        body, inputs = [], channels[0]
        for count, depth in zip(units, channels):
            for number in range(count):
                body.append(Unit(inputs, depth, 2 if number == 0 else 1))
                inputs = depth
        self.features = nn.Sequential(
            nn.Sequential(conv(3, channels[0], 3), nn.BatchNorm2d(channels[0]), nn.PReLU(channels[0])),
            nn.Sequential(*body),
            nn.Sequential(nn.BatchNorm2d(inputs), nn.Dropout(), nn.Flatten()))

        def head(outputs):
            return nn.Sequential(nn.Linear(inputs * 49, outputs), nn.BatchNorm1d(outputs))
        self.features_backbone = head(512)
        self.logvar_rts_backbone = head(1)
        self.logvar_rts_plus_backbone = head(ALPHA)

    def forward(self, face):
        x = self.features(face)
        return self.features_backbone(x), self.logvar_rts_backbone(x), self.logvar_rts_plus_backbone(x)


def hashed(name, count):
    """`count` numbers of [-1, 1) with 24 bits each."""
    seed = 2166136261
    for byte in name.encode():
        seed = ((seed ^ byte) * 16777619) % 2**32
    x = (np.arange(count, dtype=np.uint64) * 2654435761 + seed) & 0xFFFFFFFF
    x ^= x >> np.uint64(16)
    x = (x * 0x85EBCA6B) & 0xFFFFFFFF
    x ^= x >> np.uint64(13)
    x = (x * 0xC2B2AE35) & 0xFFFFFFFF
    x ^= x >> np.uint64(16)
    return (x >> np.uint64(8)).astype(np.float32) / np.float32(2**23) - np.float32(1)


def weights(name, shape):
    """Centre and reach are such that activations keep their size through the network."""
    u = hashed(name, math.prod(shape)).reshape(shape)
    if name.endswith("running_var"):
        centre, reach = 1.0, 0.5
    elif name.endswith("running_mean") or name.endswith("bias"):
        centre, reach = 0.0, 0.1
    elif name.endswith(".2.weight"):  # the slope of a PReLU
        centre, reach = 0.25, 0.25
    elif len(shape) == 1:
        centre, reach = 1.0, 0.5
    else:
        centre, reach = 0.0, math.sqrt((3 if len(shape) == 4 else 0.1) / math.prod(shape[1:]))
    return np.float32(centre) + np.float32(reach) * u


def network(architecture):
    rts = Rts(*architecture).eval()
    state = rts.state_dict()
    for name, tensor in state.items():
        if not name.endswith("num_batches_tracked"):
            tensor.copy_(torch.from_numpy(weights(name, tuple(tensor.shape))))
    return rts


def pattern():
    """As pack::verify::golden_picture."""
    row, column = np.mgrid[0:112, 0:112]
    planes = [((row * (c + 1) + column * (3 - c)) // 3 + ((row // 7) ^ (column // 5)) * 13) % 256 for c in range(3)]
    return np.stack(planes).astype(np.float32)


def noise():
    return np.floor((hashed("noise", 3 * 112 * 112) + 1) * np.float32(128)).reshape(3, 112, 112)


def reference(name, architecture):
    rts, rows = network(architecture), []
    for picture, levels in (("pattern", pattern()), ("noise", noise())):
        face = torch.from_numpy((levels / 255 - 0.5) / 0.5).unsqueeze(0).float()
        with torch.no_grad():
            embedding, logvar, plus = rts(face)
        rows.append({"network": name, "picture": picture, "torch": torch.__version__,
                     "embedding": [round(float(x), 5) for x in embedding[0]],
                     "logvar": round(float(logvar[0, 0]), 6),
                     "logvar_plus": [round(float(x), 6) for x in plus[0]]})
    return rows


def tensors():
    """Every kind of number and of layout that the reader knows, under state_dict and beside other things."""
    block = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    state = collections.OrderedDict()
    state["module.float"] = block
    state["module.transposed"] = block.permute(2, 0, 1)
    state["module.part"] = block[1, 1:]
    state["module.parameter"] = nn.Parameter(torch.tensor([1.5, -2.5]))
    state["module.half"] = torch.tensor([0.1, -65504.0, 6e-8]).half()
    state["module.bfloat16"] = torch.tensor([3.140625, -1e30]).bfloat16()
    state["module.double"] = torch.tensor([1 / 3], dtype=torch.float64)
    state["module.scalar"] = torch.tensor(-7)
    state._metadata = collections.OrderedDict(version=1)
    return {"epoch": 3, "lr": 0.1, "best": None, "done": True, "state_dict": state}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--checkpoint")
    arguments.add_argument("--small", action="store_true")
    arguments = arguments.parse_args()
    torch.set_grad_enabled(False)
    if arguments.checkpoint:
        torch.save(network(SMALL if arguments.small else FULL).state_dict(), arguments.checkpoint)
        return
    rows = reference("small", SMALL) + reference("full", FULL)
    (HERE / "rts.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    torch.save(tensors(), HERE / "tensors.pt")


main()
