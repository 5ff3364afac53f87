#!/usr/bin/python3
"""chars: a tiny decoder-only transformer that writes text letter by letter. Writes models/chars/.

The text is an endless stream of short lines. Some are the sentences of chars/prose.txt, to be known by heart; the
others come from the little grammars below, where a name from the start of a line often comes back later in it, so that
attention has something to look up.
"""

import json
import math

import numpy as np
import torch
from torch import nn

import common

CONTEXT = 128
PROSE = (common.HERE / "chars" / "prose.txt").read_text().splitlines()

ADJECTIVES = "small large quick slow sparse dense plain clever early late quiet narrow wide stale".split()
THINGS = "kernel tensor layer buffer router sensor planner reader writer graph tile row column scale".split()
DOES = "reads writes folds packs drops keeps moves checks scales sorts fills skips".split()
PLACES = "in flash|in the cache|on the chip|before the loop|after the pass|at every step|behind the bus".split("|")
OPS = ["add", "mul", "relu", "conv", "pool", "gate"]
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()


def pick(rng, words):
    return words[rng.integers(len(words))]


def name(rng):
    """A name the model cannot know, of five letters."""
    return "".join(pick(rng, letters) for letters in ("bdfklmnrstv", "aeiou", "bdfklmnrstv", "aeiou", "kmnrs"))


def statement(rng):
    a, b = pick(rng, THINGS), pick(rng, THINGS)
    return f"the {pick(rng, ADJECTIVES)} {a} {pick(rng, DOES)} the {pick(rng, ADJECTIVES)} {b} {pick(rng, PLACES)}."


def placed(rng):
    who = name(rng)
    return f"{who} needs {rng.integers(2, 100)} kb; {pick(rng, ADJECTIVES)} as it is, {who} goes {pick(rng, PLACES)}."


def product(rng):
    a, b = rng.integers(2, 10, 2)
    return f"{a} rows of {b} weights are {a * b} weights."


def count(rng):
    start = rng.integers(0, len(NUMBERS) - 4)
    return "count: " + ", ".join(NUMBERS[start:start + rng.integers(3, 5)]) + "."


def expression(rng, depth=0):
    if depth == 3 or rng.random() < .25 * depth:
        return pick(rng, "xyzw")
    op = pick(rng, OPS)
    n = 2 if op in ("add", "mul", "gate") else 1
    return f"{op}({', '.join(expression(rng, depth + 1) for _ in range(n))})"


def rename(rng):
    old, new = name(rng), name(rng)
    return f"{old} -> {new}: {pick(rng, THINGS)} {old} is {new} now."


def repeat(rng):
    names = " ".join(name(rng) for _ in range(rng.integers(1, 4)))
    return f"ask {names}, get {names}."


COPIES = [(.1, repeat), (.15, placed), (.1, rename)]
MAKERS = COPIES + [(.2, lambda rng: pick(rng, PROSE)), (.2, statement), (.08, product), (.07, count),
                   (.1, lambda rng: f"{pick(rng, 'abc')} = {expression(rng)};")]


def text(seed, length, makers=MAKERS):
    """length characters of the stream that belongs to the seed."""
    rng = np.random.default_rng(seed)
    weights = np.array([w for w, _ in makers])
    lines, size = [], 0
    while size < length:
        lines.append(makers[rng.choice(len(makers), p=weights / weights.sum())][1](rng) + "\n")
        size += len(lines[-1])
    return "".join(lines)[:length]


VOCAB = sorted(set("\n .,:;()=->0123456789" + "abcdefghijklmnopqrstuvwxyz"))
CODE = np.zeros(128, np.int64)
CODE[[ord(c) for c in VOCAB]] = np.arange(len(VOCAB))


def encode(s):
    assert set(s) <= set(VOCAB), set(s) - set(VOCAB)
    return CODE[np.frombuffer(s.encode("ascii"), np.uint8)]


def windows(ids):
    """x and the next characters y, in rows of CONTEXT."""
    n = (len(ids) - 1) // CONTEXT
    return ids[:n * CONTEXT].reshape(n, CONTEXT), ids[1:n * CONTEXT + 1].reshape(n, CONTEXT)


class RMSNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


def rotate(x, cos, sin):
    """Rotary positions: the halves of each head's vector are the two axes of a plane."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Block(nn.Module):
    def __init__(self, d, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = RMSNorm(d), RMSNorm(d)
        self.q, self.k, self.v, self.o = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.gate, self.up = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False)
        self.down = nn.Linear(hidden, d, bias=False)

    def forward(self, x, cos, sin, future):
        b, t, d = x.shape
        h = self.norm1(x)
        q, k, v = (m(h).view(b, t, self.heads, d // self.heads).transpose(1, 2) for m in (self.q, self.k, self.v))
        scores = rotate(q / math.sqrt(d // self.heads), cos, sin) @ rotate(k, cos, sin).transpose(2, 3)
        mixed = torch.softmax(scores.masked_fill(future, float("-inf")), -1) @ v
        x = x + self.o(mixed.transpose(1, 2).reshape(b, t, d))
        h = self.norm2(x)
        return x + self.down(nn.functional.silu(self.gate(h)) * self.up(h))


class Chars(nn.Module):
    def __init__(self, d=64, heads=4, hidden=160, layers=3):
        super().__init__()
        self.embed = nn.Embedding(len(VOCAB), d)
        self.blocks = nn.ModuleList(Block(d, heads, hidden) for _ in range(layers))
        self.norm, self.head = RMSNorm(d), nn.Linear(d, len(VOCAB), bias=False)
        half = d // heads // 2
        self.register_buffer("frequency", 1000.0 ** (-torch.arange(half) / half), persistent=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=d ** -.5)

    def forward(self, ids):
        x = self.embed(ids)
        place = torch.arange(ids.shape[1])
        angle = place.unsqueeze(1).float() * self.frequency
        angle = torch.cat((angle, angle), -1)
        future = place.unsqueeze(0) > place.unsqueeze(1)
        for block in self.blocks:
            x = block(x, angle.cos(), angle.sin(), future)
        return self.head(self.norm(x))


def loss(logits, y):
    return nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())


def main():
    common.seed_everything(3)
    model = Chars()
    copies, everything = encode(text(70, 400_000, COPIES)), encode(text(71, 1_500_000))

    def batch(step):
        # Attention learns to copy in a few hundred short rows of nothing else, and hardly ever in the full mixture.
        ids, rows, length = (copies, 32, CONTEXT // 2) if step < 600 else (everything, 16, CONTEXT)
        start = np.random.default_rng((72, step)).integers(0, len(ids) - length - 1, rows)
        both = ids[start[:, None] + np.arange(length + 1)]
        return both[:, :-1].copy(), both[:, 1:].copy()

    common.train(model, batch, loss, steps=3000, lr=6e-3)
    x, y = windows(encode(text(80, 300 * CONTEXT + 1)))
    calib, _ = windows(encode(text(90, 40 * CONTEXT + 1)))
    directory = common.HERE / "chars"
    axes = {0: "batch", 1: "seq"}
    common.export(model, torch.from_numpy(x[:2, :24]), directory / "model.onnx", ["ids"], ["logits"],
                  {"ids": axes, "logits": axes}, opset=17)
    (directory / "vocab.json").write_text(json.dumps(VOCAB) + "\n")
    common.finish("chars", model, ("ids", "logits"), np.int64,
                  {"x": x.astype(np.uint8), "y": y.astype(np.uint8), "x_calib": calib.astype(np.uint8)},
                  [x[:1, :32], x[1:4, :19]], "ppl")


if __name__ == "__main__":
    main()
