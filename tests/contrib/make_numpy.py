#!/usr/bin/python3
"""Test folders for what ONNX Runtime has not: outputs by the formulas of the ONNX specification, in numpy. See cases.py."""
import math

import numpy as np

from cases import Cases, node

rng = np.random.default_rng(17)
cases = Cases()


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def one(name, op, inputs, expect, opset, **attrs):
    expect = {k: np.asarray(v, np.float32) for k, v in expect.items()}
    cases.add(name, [node(op, ",".join(inputs), ",".join(expect), domain="", **attrs)], inputs, list(expect), opset, expect=expect)


def softmax(x):
    e = np.exp(x - np.max(x, -1, keepdims=True, initial=-1e30))
    s = e.sum(-1, keepdims=True)
    return np.where(s == 0, 0, e / np.where(s == 0, 1, s))


def attention(name, b=2, s=3, t=5, past=0, lens=None, causal=0, left=-1, right=-1, masked=False):
    q, k, v = f(b, 2, s, 4), f(b, 2, t, 4), f(b, 2, t, 4)
    inputs = {"q": q, "k": k, "v": v}
    slots = "q,k,v,mask,pk,pv,lens".split(",")
    offset = np.full(b, past)
    if past:
        inputs.update(pk=f(b, 2, past, 4), pv=f(b, 2, past, 4))
        k, v = np.concatenate([inputs["pk"], k], 2), np.concatenate([inputs["pv"], v], 2)
    if lens:
        inputs["lens"] = np.array(lens, np.int64)
        offset = inputs["lens"] - s
    place = np.arange(s)[None, :, None] + offset[:, None, None]
    j = np.arange(k.shape[2])[None, None, :]
    ok = np.ones((b, s, k.shape[2]), bool)
    ok &= (j <= place) | (not causal)
    ok &= (j >= place - left) | (left < 0)
    ok &= (j <= place + right) | (right < 0)
    if lens:
        ok &= j < inputs["lens"][:, None, None]
    if masked:
        inputs["mask"] = rng.integers(0, 2, (s, k.shape[2])).astype(bool)
        ok &= inputs["mask"]
    scores = np.where(ok[:, None], q @ k.transpose(0, 1, 3, 2) / 2, -np.inf)
    inputs = {n: inputs[n] for n in slots if n in inputs}
    names = ",".join(n if n in inputs else "" for n in slots).rstrip(",")
    attrs = {n: a for n, a in (("left_window_size", left), ("right_window_size", right)) if a >= 0}
    y = (softmax(scores) @ v).astype(np.float32)
    cases.add("attention_25_" + name, [node("Attention", names, "y", domain="", is_causal=causal, **attrs)], inputs, ["y"], 25,
              expect={"y": y})


attention("left", left=1)
attention("right", right=1)
attention("both", s=4, t=6, left=2, right=1)
attention("causal_left", s=5, causal=1, left=1)
attention("causal_right", s=5, causal=1, right=2)
attention("past", past=3, left=2, right=0)
attention("lens", t=7, lens=[7, 4], left=2, right=1)
attention("lens_short", s=4, t=6, lens=[2, 6], causal=1, left=1)
attention("masked", s=4, masked=True, left=1, right=2)


def batch_norm(x, s, b, m, v, axis=1, eps=1e-5):
    shape = [1] * x.ndim
    shape[axis:axis + s.ndim] = s.shape
    s, b, m, v = (p.reshape(shape) for p in (s, b, m, v))
    return s * (x - m) / np.sqrt(v + eps) + b


x, p = f(2, 3, 4), {"s": f(3), "b": f(3), "m": f(3), "v": np.abs(f(3))}
one("batch_norm_6_test", "BatchNormalization", {"x": x, **p}, {"y": batch_norm(x, *p.values())}, 6, is_test=1)
wide = {"s": f(3, 4), "b": f(3, 4), "m": f(3, 4), "v": np.abs(f(3, 4))}
one("batch_norm_7_not_spatial", "BatchNormalization", {"x": x, **wide}, {"y": batch_norm(x, *wide.values())}, 7, spatial=0)
mean, var = x.mean((0, 2)), x.var((0, 2))
one("batch_norm_9_training", "BatchNormalization", {"x": x, **p},
    {"y": batch_norm(x, p["s"], p["b"], mean, var), "rm": p["m"] * 0.7 + mean * 0.3, "rv": p["v"] * 0.7 + var * 0.3, "sm": mean, "sv": var},
    9, momentum=0.7)
g = f(2, 6, 3)
s, b = f(2), f(2)
parts = g.reshape(2, 2, 9)
norm = (parts - parts.mean(-1, keepdims=True)) / np.sqrt(parts.var(-1, keepdims=True) + 1e-5)
one("group_norm_18", "GroupNormalization", {"x": g, "s": s, "b": b}, {"y": (norm * s[:, None] + b[:, None]).reshape(g.shape)}, 18, num_groups=2)
r = f(1, 6, 2, 2)
squares = np.stack([(r[:, max(0, c - 1):c + 3] ** 2).sum(1) for c in range(6)], 1)
one("lrn_even", "LRN", {"x": r}, {"y": r / (1.5 + 0.2 / 4 * squares) ** 0.6}, 13, size=4, alpha=0.2, beta=0.6, bias=1.5)
one("upsample_1", "Upsample", {"x": r}, {"y": r.repeat(2, 2).repeat(3, 3)}, 1, height_scale=2.0, width_scale=3.0)
one("global_lp_pool_1", "GlobalLpPool", {"x": r}, {"y": (np.abs(r) ** 3).sum((2, 3), keepdims=True) ** (1 / 3)}, 1, p=3.0)


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def lstm(x, w, r, b, h, c, steps):
    ys = {}
    for t in steps:
        i, o, fg, z = np.split(x[t] @ w.T + h @ r.T + b[:b.size // 2] + b[b.size // 2:], 4, -1)
        c = sigmoid(fg) * c + sigmoid(i) * np.tanh(z)
        h = sigmoid(o) * np.tanh(c)
        ys[t] = h
    return np.stack([ys[t] for t in range(len(x))]), h, c


T, B, N, H = 4, 2, 3, 2
x, w, r, b, h0, c0 = f(B, T, N), f(2, 4 * H, N), f(2, 4 * H, H), f(2, 8 * H), f(B, 2, H), f(B, 2, H)
runs = [lstm(x.transpose(1, 0, 2), w[d], r[d], b[d], h0[:, d], c0[:, d], range(T) if d == 0 else range(T - 1, -1, -1)) for d in (0, 1)]
y, yh, yc = (np.stack([run[k] for run in runs]) for k in range(3))
cases.add("rnn_lstm_batchwise_both", [node("LSTM", "x,w,r,b,,h,c", "y,yh,yc", domain="", hidden_size=H, layout=1, direction="bidirectional")],
          {"x": x, "w": w, "r": r, "b": b, "h": h0, "c": c0}, None, 22,
          expect={"y": y.transpose(2, 1, 0, 3), "yh": yh.transpose(1, 0, 2), "yc": yc.transpose(1, 0, 2)})

def gelu(v):
    return v * 0.5 * (1 + np.vectorize(math.erf)(v / math.sqrt(2)))


def contrib(name, op, inputs, y, **attrs):
    names = ",".join(k if v is not None else "" for k, v in inputs.items())
    cases.add(name, [node(op, names, "y", **attrs)], {k: v for k, v in inputs.items() if v is not None}, ["y"],
              expect={"y": np.asarray(y, np.float32)})


x, bias, skip = f(2, 3, 8), f(8), f(2, 3, 8)
contrib("ms_bias_split_gelu", "BiasSplitGelu", {"x": x, "b": bias}, (x + bias)[..., :4] * gelu((x + bias)[..., 4:]))
contrib("ms_bias_add", "BiasAdd", {"x": x, "b": bias, "skip": skip}, x + bias + skip)
packed, bias = f(2, 3, 2, 3, 4), f(24)  # [B,S,heads,3,D]
q, k, v = (packed[:, :, :, i] + bias[8 * i:8 * i + 8].reshape(2, 4) for i in range(3))
q, k, v = (a.transpose(0, 2, 1, 3) for a in (q, k, v))
y = (softmax(q @ k.transpose(0, 1, 3, 2) / 2) @ v).transpose(0, 2, 1, 3).reshape(2, 3, 8)
contrib("ms_mha_packed", "MultiHeadAttention", {"qkv": packed, "k": None, "v": None, "b": bias}, y, num_heads=2)
query, packed = f(2, 2, 8), f(2, 3, 2, 2, 4)
q, k, v = query.reshape(2, 2, 2, 4).transpose(0, 2, 1, 3), packed[:, :, :, 0].transpose(0, 2, 1, 3), packed[:, :, :, 1].transpose(0, 2, 1, 3)
y = (softmax(q @ k.transpose(0, 1, 3, 2) / 2) @ v).transpose(0, 2, 1, 3).reshape(2, 2, 8)
contrib("ms_mha_packed_kv", "MultiHeadAttention", {"q": query, "kv": packed}, y, num_heads=2)
cases.write()
