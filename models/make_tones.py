#!/usr/bin/python3
"""tones: separable 1-D convolutions and a GRU that name the kind of a sound synthesized here. Writes models/tones/."""

import numpy as np
import torch
from torch import nn

import common

RATE, LENGTH = 8000, 1024
KINDS = ["sine", "triangle", "square", "sawtooth", "chirp", "tremolo", "vibrato", "chord"]


def harmonics(phase, weights):
    """A band-limited periodic wave: weights of the harmonics 1, 2, ..."""
    k = np.arange(1, len(weights) + 1)[:, None]
    return (np.asarray(weights)[:, None] * np.sin(k * phase)).sum(0)


def wave(rng, kind):
    """LENGTH samples of a sound of that kind, about -1..1."""
    t = np.arange(LENGTH) / RATE
    f = np.exp(rng.uniform(np.log(120), np.log(700)))
    phase = 2 * np.pi * f * t + rng.uniform(0, 2 * np.pi)
    k = np.arange(1, int(RATE / 2 / f) + 1)
    if kind == "sine":
        return np.sin(phase)
    if kind == "triangle":
        # Odd harmonics; without the alternating sign the corners would be round.
        return harmonics(phase, np.where(k % 2, (-1.0) ** (k // 2) / k ** 2, 0))
    if kind == "square":
        return harmonics(phase, np.where(k % 2, 1 / k, 0))
    if kind == "sawtooth":
        return harmonics(phase, 1 / k) * .7
    swing = 2 * np.pi * rng.uniform(8, 20) * t + rng.uniform(0, 2 * np.pi)
    if kind == "chirp":
        end = f * 2 ** (rng.choice([-1, 1]) * rng.uniform(.25, 1))
        return np.sin(phase + np.pi * (end - f) * t * t * RATE / LENGTH)
    if kind == "tremolo":
        return np.sin(phase) * (1 - rng.uniform(.5, .95) * (.5 + .5 * np.sin(swing)))
    if kind == "vibrato":
        return np.sin(phase + rng.uniform(.8, 2.5) * np.sin(swing))
    other = f * rng.choice([5 / 4, 4 / 3, 3 / 2, 8 / 5, 2])  # chord
    return .5 * np.sin(phase) + rng.uniform(.25, .5) * np.sin(phase * other / f + rng.uniform(0, 2 * np.pi))


def record(rng, label):
    """int8 [1, LENGTH]: the sound at some loudness, with hum, noise and now and then a click."""
    x = wave(rng, KINDS[label]) * rng.uniform(.3, .8)
    x = x + rng.uniform(0, .06) * np.sin(2 * np.pi * 50 * np.arange(LENGTH) / RATE + rng.uniform(0, 6))
    x = x + rng.normal(0, np.exp(rng.uniform(np.log(.01), np.log(.17))), LENGTH)
    if rng.random() < .2:
        x[rng.integers(LENGTH - 4):][:4] += rng.choice([-.6, .6])
    # Seven of the eight bits: the last one would be noise, and would only make data.npz big.
    return np.clip(np.round(x * 50) * 2, -128, 126).astype(np.int8)[None]


def dataset(seed, n):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % len(KINDS)).astype(np.int64)
    return np.stack([record(rng, k) for k in y]), y


class Separable(nn.Sequential):
    """Depthwise along time, pointwise across channels; halves the time."""

    def __init__(self, cin, cout):
        super().__init__(nn.Conv1d(cin, cin, 9, stride=2, padding=4, groups=cin, bias=False), nn.BatchNorm1d(cin),
                         nn.ReLU6(), nn.Conv1d(cin, cout, 1, bias=False), nn.BatchNorm1d(cout), nn.ReLU6())


class Tones(nn.Module):
    """Takes 8-bit samples as they are, -128..127: the scaling is part of the model."""

    def __init__(self):
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(1, 24, 17, stride=4, padding=8, bias=False), nn.BatchNorm1d(24),
                                   nn.ReLU6())
        self.body = nn.Sequential(Separable(24, 48), Separable(48, 64), Separable(64, 64))
        self.gru = nn.GRU(64, 64)
        self.head = nn.Linear(64, len(KINDS))

    def forward(self, x):
        x = self.body(self.front(x * (1 / 128)))
        _, last = self.gru(x.permute(2, 0, 1))
        return self.head(last[0])


def main():
    common.seed_everything(2)
    model = Tones()
    x, y = dataset(40, 16000)

    def batch(step):
        pick = np.random.default_rng((41, step)).integers(0, len(x), 64)
        return x[pick].astype(np.float32), y[pick]

    common.train(model, batch, nn.CrossEntropyLoss(), steps=2000, lr=4e-3)
    test, labels = dataset(50, 720)
    calib, _ = dataset(60, 80)
    common.export(model, torch.zeros(2, 1, LENGTH), common.HERE / "tones" / "model.onnx", ["samples"], ["logits"],
                  {"samples": {0: "batch"}, "logits": {0: "batch"}}, opset=14)
    common.finish("tones", model, ("samples", "logits"), np.float32, {"x": test, "y": labels, "x_calib": calib},
                  [test[:1].astype(np.float32), test[1:4].astype(np.float32)], "top1")


if __name__ == "__main__":
    main()
