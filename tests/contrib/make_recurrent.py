#!/usr/bin/python3
"""Test folders for RNN, GRU and LSTM. See cases.py."""
import numpy as np

from cases import Cases, node

rng = np.random.default_rng(11)
cases = Cases(opset=14)
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def f(*shape):
    return (rng.standard_normal(shape) * 0.5).astype(np.float32)


def rnn(name, op, t=4, b=2, n=3, h=2, bias=True, lens=None, init=False, peepholes=False, opset=None, dims=None, **attrs):
    d, g = 2 if attrs.get("direction") == "bidirectional" else 1, GATES[op]
    v = {"x": f(t, b, n), "w": f(d, g * h, n), "r": f(d, g * h, h)}
    if bias:
        v["b"] = f(d, 2 * g * h)
    if lens:
        v["lens"] = np.array(lens, np.int32)
    if init:
        v["h0"] = f(d, b, h)
        if op == "LSTM":
            v["c0"] = f(d, b, h)
    if peepholes:
        v["p"] = f(d, 3 * h)
    slots = "x,w,r,b,lens,h0,c0,p".split(",")
    names = ",".join(s if s in v else "" for s in slots).rstrip(",")
    results = "y,yh,yc" if op == "LSTM" else "y,yh"
    cases.add(f"rnn_{op.lower()}_{name}", [node(op, names, results, domain="", hidden_size=h, **attrs)], v, opset=opset, dims=dims)


for op in GATES:
    rnn("reverse_lens", op, direction="reverse", lens=[2, 4], init=True)
    rnn("both_lens", op, direction="bidirectional", lens=[3, 1])
    rnn("both_init", op, direction="bidirectional", init=True)
    rnn("one_step", op, t=1, init=True, lens=[1, 1])
    rnn("clip", op, clip=0.2, init=True)
    rnn("symbolic", op, direction="bidirectional", lens=[3, 4], dims={"x": ["T", "B", 3], "lens": ["B"]})
    rnn("old", op, opset=7, bias=False, init=True)
rnn("peepholes", "LSTM", peepholes=True, init=True, direction="bidirectional")
rnn("coupled", "LSTM", input_forget=1, init=True)
rnn("activations", "LSTM", activations=["HardSigmoid", "Softsign", "ScaledTanh"], activation_alpha=[0.3, 1.2],
    activation_beta=[0.4, 0.7], init=True)
rnn("late_reset", "GRU", linear_before_reset=1, init=True, direction="bidirectional", lens=[4, 2])
rnn("activations", "GRU", activations=["Sigmoid", "LeakyRelu"], activation_alpha=[0.3], init=True)
for i, (act, params) in enumerate({"Affine": dict(activation_alpha=[0.7], activation_beta=[0.1]), "Elu": dict(activation_alpha=[0.9]),
                                   "Relu": {}, "Softplus": {}, "ThresholdedRelu": dict(activation_alpha=[0.3])}.items()):
    rnn(act.lower(), "RNN", activations=[act], init=True, **params)
cases.write()
