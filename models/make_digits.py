#!/usr/bin/python3
"""digits: a small residual CNN that reads digits drawn by this script. Writes models/digits/."""

import numpy as np
import torch
from torch import nn

import common

SIZE = 28


def arc(cx, cy, rx, ry, start, stop, n=12):
    """Points of an ellipse arc; degrees, clockwise from the right, y down."""
    t = np.radians(np.linspace(start, stop, n))
    return np.stack([cx + rx * np.cos(t), cy + ry * np.sin(t)], 1)


def line(*points):
    return np.array(points, float)


# Every digit in a few handwritings, each a list of strokes in the unit square.
GLYPHS = [
    [[arc(.5, .5, .28, .42, -90, 270, 20)],
     [arc(.5, .5, .22, .42, -60, 300, 20)]],
    [[line((.35, .25), (.55, .08), (.55, .92))],
     [line((.5, .08), (.5, .92))],
     [line((.35, .25), (.53, .08), (.53, .92)), line((.33, .92), (.73, .92))]],
    [[arc(.5, .32, .26, .24, -170, 40), line((.7, .47), (.22, .92), (.8, .92))],
     [arc(.48, .3, .24, .22, -150, 50), line((.64, .47), (.28, .84)), arc(.38, .86, .12, .07, 150, 330),
      line((.49, .83), (.8, .9))]],
    [[arc(.47, .3, .26, .22, -150, 90), arc(.47, .71, .29, .21, -90, 150)],
     [line((.24, .08), (.74, .08), (.46, .42)), arc(.46, .67, .28, .25, -90, 150)]],
    [[line((.62, .92), (.62, .08), (.2, .64), (.82, .64))],
     [line((.3, .08), (.24, .52), (.78, .52)), line((.66, .2), (.62, .92))]],
    [[line((.74, .08), (.32, .08), (.28, .45)), arc(.46, .66, .28, .26, -120, 140)],
     [line((.76, .1), (.3, .1), (.27, .48), (.5, .42)), arc(.47, .67, .26, .25, -80, 150)]],
    [[arc(.62, .5, .38, .42, -100, -180), arc(.5, .68, .26, .24, -180, 180, 18)],
     [line((.66, .08), (.34, .52)), arc(.5, .68, .24, .24, -140, 220, 18)]],
    [[line((.2, .08), (.78, .08), (.42, .92))],
     [line((.22, .2), (.24, .1), (.78, .1), (.46, .92)), line((.34, .5), (.7, .5))]],
    [[arc(.5, .29, .22, .21, -90, 270, 18), arc(.5, .71, .27, .22, -90, 270, 18)],
     [line((.72, .2), (.3, .66)), arc(.5, .28, .23, .2, 0, -200), arc(.48, .74, .22, .18, -160, 30),
      line((.67, .83), (.3, .36))]],
    [[arc(.5, .32, .25, .24, 0, 360, 18), arc(.36, .5, .39, .42, -20, 80)],
     [arc(.48, .32, .23, .24, -20, 340, 18), line((.71, .28), (.66, .92))]],
]


def strokes_of(rng, digit):
    """Segments [n, 4] of one handwriting of the digit, warped, in pixels."""
    variants = GLYPHS[digit]
    strokes = variants[rng.integers(len(variants))]
    turn, shear = rng.normal(0, .2), rng.normal(0, .22)
    sx, sy = rng.uniform(.5, 1.0, 2)
    wave, phase = rng.normal(0, .045, 2), rng.uniform(0, 2 * np.pi, 2)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[sx, shear * sx], [0, sy]]
    shift = SIZE / 2 + rng.uniform(-3, 3, 2)
    segments = []
    for stroke in strokes:
        p = stroke - .5 + rng.normal(0, .012, stroke.shape) + rng.normal(0, .02, 2)
        p = p + wave * np.sin(5 * p[:, ::-1] + phase)  # a slow bend of the paper, the same for all strokes
        p = p @ matrix.T * 24 + shift
        segments.append(np.concatenate([p[:-1], p[1:]], 1))
    return np.concatenate(segments)


PIXELS = np.stack(np.meshgrid(np.arange(SIZE) + .5, np.arange(SIZE) + .5), -1).reshape(-1, 1, 2)


def ink(segments, width):
    """Coverage 0..1 of every pixel by a pen of that width: a ramp over the distance to the nearest segment."""
    a, b = segments[None, :, :2], segments[None, :, 2:]
    along = ((PIXELS - a) * (b - a)).sum(-1) / np.maximum(((b - a) ** 2).sum(-1), 1e-6)
    near = a + np.clip(along, 0, 1)[..., None] * (b - a)
    distance = np.sqrt(((PIXELS - near) ** 2).sum(-1).min(1))
    return np.clip(width / 2 + .5 - distance, 0, 1).reshape(SIZE, SIZE)


def render(rng, digit):
    """One picture, uint8 [1, SIZE, SIZE]: the digit, a stray line, a smudge, uneven light and sensor noise."""
    image = ink(strokes_of(rng, digit), rng.uniform(1.0, 3.6)) * rng.uniform(.45, 1.0)
    if rng.random() < .5:
        stray = ink(rng.uniform(0, SIZE, (1, 4)), rng.uniform(.6, 1.6))
        image = np.maximum(image, stray * rng.uniform(.3, .8))
    if rng.random() < .3:
        x, y = rng.integers(2, SIZE - 8, 2)
        w, h = rng.integers(3, 8, 2)
        image[y:y + h, x:x + w] *= rng.uniform(0, .3)
    slope = rng.normal(0, .15, 2)
    image = image + rng.uniform(0, .25) + (PIXELS[:, 0] / SIZE - .5).dot(slope).reshape(SIZE, SIZE)
    image = image + rng.normal(0, rng.uniform(.03, .26), image.shape)
    # 32 grey levels are all this noise deserves, and they keep data.npz small.
    return (np.round(np.clip(image, 0, 1) * 31) * 8).astype(np.uint8)[None]


def dataset(seed, n):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 10).astype(np.int64)
    return np.stack([render(rng, d) for d in y]), y


class ConvBn(nn.Sequential):
    def __init__(self, cin, cout):
        super().__init__(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout))


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a, self.b = ConvBn(c, c), ConvBn(c, c)

    def forward(self, x):
        return torch.relu(x + self.b(torch.relu(self.a(x))))


class Digits(nn.Module):
    """Takes pixels as they are, 0..255: the scaling is part of the model."""

    def __init__(self):
        super().__init__()
        self.stem, self.body1 = ConvBn(1, 20), Residual(20)
        self.widen, self.body2 = ConvBn(20, 48), Residual(48)
        self.pool, self.head = nn.MaxPool2d(2), nn.Linear(48, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.stem(x * (1 / 255))))
        x = self.pool(torch.relu(self.widen(self.body1(x))))
        x = nn.functional.adaptive_avg_pool2d(self.body2(x), 1)
        return self.head(x.flatten(1))


def main():
    common.seed_everything(1)
    model = Digits()
    x, y = dataset(10, 16000)

    def batch(step):
        pick = np.random.default_rng((11, step)).integers(0, len(x), 64)
        return x[pick].astype(np.float32), y[pick]

    common.train(model, batch, nn.CrossEntropyLoss(label_smoothing=.05), steps=1600, lr=4e-3)
    test, labels = dataset(20, 1000)
    calib, _ = dataset(30, 100)
    common.export(model, torch.zeros(2, 1, SIZE, SIZE), common.HERE / "digits" / "model.onnx", ["image"], ["logits"],
                  {"image": {0: "batch"}, "logits": {0: "batch"}}, opset=13)
    common.finish("digits", model, ("image", "logits"), np.float32, {"x": test, "y": labels, "x_calib": calib},
                  [test[:1].astype(np.float32), test[1:4].astype(np.float32)], "top1")


if __name__ == "__main__":
    main()
