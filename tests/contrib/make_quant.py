#!/usr/bin/env python3
"""Test folders of quantized com.microsoft operators, and of old versions of ai.onnx operators.

What the first compute is what ONNX Runtime's CPU kernels say (see cases.py: onnxruntime-node is found from the current folder). ONNX
has no cases for the second any more: numpy says what they compute.

    make_quant.py [CASE...]

Every case gives a folder in which the weights are initializers; those marked `run` also one, NAME_run, in which they are inputs.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import helper as h, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "conformance")
F32 = np.float32
rng = np.random.default_rng(1)
cases = []


def f(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(F32)


def u8(*shape, lo=0, hi=256):
    return rng.integers(lo, hi, shape).astype(np.uint8)


def i8(*shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def case(name, op, operands, n_in=1, run=False, domain="com.microsoft", opset=21, want=None, outs=1, **attrs):
    """operands: arrays, tensors (sub-byte) or None; the first n_in are the graph's inputs. want: numpy results, or ONNX Runtime's."""
    name = f"ms_{name}" if domain else name
    cases.append(dict(name=name, op=op, operands=operands, n_in=n_in, run=run, domain=domain, opset=opset, want=want, outs=outs,
                      attrs=attrs))


def old(name, op, opset, operands, want, **attrs):
    case(f"old_{name}", op, operands, n_in=len(operands), domain="", opset=opset, want=[np.asarray(want)], **attrs)


# ---- weights of few bits ----------------------------------------------------------------------------------------------

def pack(q, bits):
    """Numbers along the last axis into bytes, low bits first; padded with 0 to whole bytes."""
    per = 8 // bits
    pad = -q.shape[-1] % per
    q = np.concatenate([q, np.zeros(q.shape[:-1] + (pad,), q.dtype)], -1).reshape(q.shape[:-1] + (-1, per))
    return sum(q[..., i].astype(np.uint8) << (i * bits) for i in range(per)).astype(np.uint8)


def nbits(name, n, k, block, bits, zeros=None, bias=False, shape=(3,), dtype=F32, run=False):
    blocks = -(-k // block)
    q = rng.integers(0, 1 << bits, (n, blocks, block))
    scales = (rng.random((n, blocks)) * 0.1 + 0.05).astype(dtype)
    zp = None
    if zeros == "packed":
        zp = pack(rng.integers(0, 1 << bits, (n, blocks)), bits)
    elif zeros == "float":
        zp = (rng.random((n, blocks)) * (1 << bits)).astype(dtype)
    elif zeros == "whole":
        zp = rng.integers(0, 1 << bits, (n, blocks)).astype(dtype)
    operands = [f(*shape, k).astype(dtype), pack(q, bits), scales, zp]
    if bias:
        operands += [None, f(n).astype(dtype)]
    case(f"matmulnbits_{name}", "MatMulNBits", operands, run=run, N=n, K=k, bits=bits, block_size=block, accuracy_level=1)


nbits("4", 5, 64, 32, 4, run=True)
nbits("4_zeros", 6, 96, 32, 4, "packed", run=True)
nbits("4_float_zeros", 4, 64, 16, 4, "float", run=True)
nbits("4_whole_zeros", 4, 64, 16, 4, "whole")
nbits("4_bias_batch", 7, 32, 16, 4, "packed", bias=True, shape=(2, 3))
nbits("4_cut", 5, 40, 16, 4, "packed", run=True)
nbits("2", 8, 64, 32, 2, run=True)
nbits("2_zeros", 8, 96, 32, 2, "packed", run=True)
nbits("4_f16", 5, 64, 32, 4, "packed", dtype=np.float16)
nbits("8", 5, 64, 32, 8, run=True)
nbits("8_zeros", 5, 48, 32, 8, "packed", run=True)


def bnb4(name, n, k, block, kind, shape=(3,), run=False):
    count = n * k
    b = u8((count + 1) // 2)
    absmax = (rng.random(-(-count // block)) + 0.5).astype(F32)
    case(f"matmulbnb4_{name}", "MatMulBnb4", [f(*shape, k), b, absmax], run=run, N=n, K=k, block_size=block, quant_type=kind)


bnb4("nf4", 6, 32, 16, 1, run=True)
bnb4("fp4", 4, 64, 64, 0, shape=(2, 2))
bnb4("nf4_cut", 5, 24, 16, 1, run=True)


UINT4, INT4 = 21, 22  # python3-onnx may be older than these types


def sub(kind, q):
    """A tensor of a type of 4 bits."""
    return onnx.TensorProto(data_type=kind, dims=q.shape, raw_data=pack(q.reshape(-1) & 15, 4).tobytes())


def gathered(name, data, indices, scales, zeros=None, run=False, **attrs):
    case(f"gatherblock_{name}", "GatherBlockQuantized", [indices, data, scales, zeros], run=run, **attrs)
    cases[-1]["order"] = [1, 0, 2, 3]  # the indices are the graph's input


idx = np.array([[3, 0], [-1, 2]], np.int64)
gathered("u4", sub(UINT4, rng.integers(0, 16, (5, 32))), idx, (rng.random((5, 2)) + .5).astype(F32),
         sub(UINT4, rng.integers(0, 16, (5, 2))), gather_axis=0, quantize_axis=1, block_size=16)
gathered("i4", sub(INT4, rng.integers(-8, 8, (5, 32))), idx, (rng.random((5, 2)) + .5).astype(F32),
         gather_axis=0, quantize_axis=1, block_size=16)
gathered("i4_axis", sub(INT4, rng.integers(-8, 8, (32, 5, 2))), idx, (rng.random((2, 5, 2)) + .5).astype(F32),
         gather_axis=1, quantize_axis=0, block_size=16)
gathered("i4_same_axis", sub(INT4, rng.integers(-8, 8, (20, 3))), idx, (rng.random((2, 3)) + .5).astype(F32),
         gather_axis=0, quantize_axis=0, block_size=16)
gathered("u8_bits4", pack(rng.integers(0, 16, (5, 48)), 4), idx.astype(np.int32), (rng.random((5, 3)) + .5).astype(F32),
         gather_axis=0, quantize_axis=1, block_size=16, bits=4, run=True)
gathered("u8_bits4_zeros", pack(rng.integers(0, 16, (5, 48)), 4), idx, (rng.random((5, 3)) + .5).astype(F32),
         pack(rng.integers(0, 16, (5, 3)), 4), gather_axis=0, quantize_axis=1, block_size=16, bits=4, run=True)
gathered("u8_bits8", u8(5, 32), idx, (rng.random((5, 2)) + .5).astype(F32), u8(5, 2), gather_axis=0, quantize_axis=1,
         block_size=16, bits=8)

F8, F4 = 17, 23  # float8e4m3fn, float4e2m1
F8_CODES, F8_VALUES = np.array([0x38, 0x40, 0x30, 0xB8, 0x00, 0x7E, 0xC4], np.uint8), np.array([1, 2, 0.5, -1, 0, 448, -3], F32)
F4_VALUES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], F32)


def f8(q):
    return onnx.TensorProto(data_type=F8, dims=q.shape, raw_data=F8_CODES[q].tobytes())


q, sc = rng.integers(0, 7, (5, 20)), (rng.random((5, 2)) + .5).astype(F32)
gathered("f8", f8(q), idx, sc, want=[(F8_VALUES[q] * sc.repeat(16, 1)[:, :20])[idx]], quantize_axis=1, block_size=16)
sc = np.array([[0.75]], F32)
gathered("f8_one_scale", f8(q), idx, sc, want=[(F8_VALUES[q] * sc)[idx]], quantize_axis=1, block_size=0)
q, sc = rng.integers(0, 16, (5, 32)), (rng.random((1, 2)) + .5).astype(F32)
gathered("f4", sub(F4, q), idx, sc, want=[(F4_VALUES[q] * sc.repeat(16, 1))[idx]], quantize_axis=1, block_size=16)

# groups in another order than that of the columns
q, sc, zp = rng.integers(0, 16, (4, 3, 16)), (rng.random((4, 3)) + .5).astype(F32), rng.integers(0, 16, (4, 3))
g, x = rng.permutation(np.arange(48) // 16).astype(np.int32), f(2, 48)
w = (q.reshape(4, 48) - zp[:, g]) * sc[:, g]
case("matmulnbits_groups", "MatMulNBits", [x, pack(q, 4), sc, pack(zp, 4), g], run=True, want=[(x @ w.T).astype(F32)], N=4, K=48,
     bits=4, block_size=16)
case("matmulnbits_groups_default", "MatMulNBits", [x, pack(q, 4), sc, None, np.arange(48, dtype=np.int32) // 16],
     want=[(x @ ((q - 8) * sc[..., None]).reshape(4, 48).T).astype(F32)], N=4, K=48, bits=4, block_size=16)

# ---- quantized operators ----------------------------------------------------------------------------------------------

s = lambda v: np.array(v, F32)
z = lambda v, t=np.uint8: np.array(v, t)
per = lambda n: (rng.random(n) * 0.02 + 0.01).astype(F32)

case("dynamicquantizematmul", "DynamicQuantizeMatMul", [f(3, 8), i8(8, 5), s(0.03), z(3, np.int8), f(5)])
case("dynamicquantizematmul_columns", "DynamicQuantizeMatMul", [f(2, 3, 8), u8(8, 5), per(5), u8(5)])
case("matmulintegertofloat", "MatMulIntegerToFloat", [u8(3, 8), i8(8, 5), s(0.02), s(0.03), z(120), z(3, np.int8), f(5)])
case("matmulintegertofloat_columns", "MatMulIntegerToFloat", [u8(2, 3, 8), u8(8, 5), s(0.02), per(5), None, u8(5)])
case("qgemm", "QGemm", [u8(3, 8), s(0.02), z(120), u8(8, 5), s(0.03), z(128), rng.integers(-999, 999, 5).astype(np.int32), s(0.2),
                        z(100)], alpha=0.7)
case("qgemm_columns", "QGemm", [i8(3, 8), s(0.02), z(3, np.int8), i8(5, 8), per(5), np.zeros(5, np.int8), None, s(0.1),
                                z(-5, np.int8)], transB=1)
case("qgemm_float", "QGemm", [u8(8, 3), s(0.02), z(120), i8(8, 5), s(0.03), z(0, np.int8)], transA=1)
for op in "Add", "Mul":
    case(f"qlinear{op.lower()}", f"QLinear{op}", [u8(2, 3, 4), s(0.021), z(120), u8(3, 1), s(0.033), z(10), s(0.053), z(100)], n_in=2)
case("qlinearadd_s8", "QLinearAdd", [i8(2, 9), s(0.021), z(12, np.int8), i8(9), s(0.033), z(0, np.int8), s(0.053)])
case("qlinearsigmoid", "QLinearSigmoid", [u8(3, 40), s(0.05), z(120), s(1 / 256), z(0)])
case("qlinearleakyrelu", "QLinearLeakyRelu", [i8(3, 40), s(0.05), z(4, np.int8), s(0.04), z(-9, np.int8)], alpha=0.3)
case("qlinearsoftmax", "QLinearSoftmax", [u8(3, 4, 5), s(0.05), z(120), s(1 / 256), z(0)], axis=-1, opset_=13)
case("qlinearsoftmax_flat", "QLinearSoftmax", [u8(3, 4, 5), s(0.03), z(120), s(1 / 256), z(0)], axis=1, opset_=11)
q = u8(3, 4, 5)
case("qlinearreducemean", "QLinearReduceMean", [q, s(0.03), z(120), s(0.023), z(90)], axes=[1], keepdims=0,
     want=[np.clip(np.rint((q.astype(float) - 120).mean(1) * 0.03 / 0.023) + 90, 0, 255).astype(np.uint8)])  # ONNX Runtime has no kernel
case("qlinearaveragepool", "QLinearAveragePool", [u8(1, 2, 6, 6), s(0.03), z(120), s(0.0237), z(90)], kernel_shape=[3, 3], strides=[2, 2],
     pads=[1, 1, 1, 1])
case("qlinearaveragepool_nhwc", "QLinearAveragePool", [u8(1, 6, 5, 2), s(0.03), z(120), s(0.0237), z(90)], kernel_shape=[2, 2],
     channels_last=1, pads=[0, 0, 1, 1], count_include_pad=1)
case("qlinearglobalaveragepool", "QLinearGlobalAveragePool", [u8(2, 3, 4, 4), s(0.03), z(120), s(0.02), z(90)])
case("qlinearglobalaveragepool_nhwc", "QLinearGlobalAveragePool", [u8(2, 4, 4, 3), s(0.03), z(120), s(0.02), z(90)], channels_last=1)
case("qlinearconcat", "QLinearConcat", [s(0.05), z(100), u8(2, 3), s(0.031), z(120), u8(2, 5), s(0.063), z(7)], axis=1)
cases[-1]["inputs"] = [2, 5]
case("qlinearwhere", "QLinearWhere", [rng.random((2, 5)) < 0.5, u8(2, 5), s(0.031), z(120), u8(5), s(0.063), z(7), s(0.05), z(100)])
cases[-1]["inputs"] = [0, 1, 4]
case("qlinearconv_nhwc", "QLinearConv", [u8(1, 5, 5, 4), s(0.02), z(120), i8(6, 2, 3, 3), per(6), np.zeros(6, np.int8), s(0.1), z(128),
                                         rng.integers(-999, 999, 6).astype(np.int32)], channels_last=1, group=2, pads=[1, 1, 1, 1])
case("quantizelinear", "QuantizeLinear", [f(3, 4, 5, scale=3), per(4), u8(4)], axis=1)
case("quantizelinear_u16", "QuantizeLinear", [f(3, 4), s(0.001), z(30000, np.uint16)])
case("dequantizelinear", "DequantizeLinear", [i8(3, 4, 5), per(5), i8(5)], axis=2)

# 8-bit floats multiply as f32; every result here is one of their values
qa, qb = np.array([[0, 1, 2], [3, 0, 4]]), np.array([[0, 2], [1, 1], [3, 0]])
prod = (F8_VALUES[qa] @ F8_VALUES[qb]) * 2
case("qlinearmatmul_f8", "QLinearMatMul", [f8(qa), s(0.5), f8(np.array([4])), f8(qb), s(1), f8(np.array([4])), s(0.25), f8(np.array([4]))],
     n_in=8, domain="", want=[onnx.TensorProto(data_type=F8, dims=prod.shape, raw_data=bytes(
         {2: 0x40, 3: 0x44, 9: 0x51, 10: 0x52}[int(v)] for v in prod.reshape(-1)))])

# ---- products ------------------------------------------------------------------------------------------------------------

case("fusedmatmul", "FusedMatMul", [f(2, 4, 3), f(2, 5, 4)], n_in=2, transA=1, transB=1, alpha=0.5)
case("fusedmatmul_batch", "FusedMatMul", [f(3, 2, 4), f(4, 2, 5)], n_in=2, transBatchA=1, transBatchB=1)
case("transposematmul", "TransposeMatMul", [f(2, 3, 4), f(2, 5, 4)], n_in=2, transB=1)
for act, more in (("Relu", {}), ("LeakyRelu", dict(activation_alpha=0.2)), ("Tanh", {}),
                  ("HardSigmoid", dict(activation_alpha=0.3, activation_beta=0.4)), ("Elu", dict(activation_alpha=0.7))):
    case(f"fusedgemm_{act.lower()}", "FusedGemm", [f(3, 4), f(5, 4), f(5)], transB=1, activation=act, alpha=0.5, beta=2.0, **more)

# ---- old versions of standard operators ---------------------------------------------------------------------------------

a, b = f(2, 3, 4, 5), f(3, 4)
old("add_axis", "Add", 6, [a, b], a + b[None, :, :, None], broadcast=1, axis=1)
c = f(2)
old("sub_first_axis", "Sub", 1, [a, c], a - c[:, None, None, None], broadcast=1, axis=0, consumed_inputs=[0, 0])
c = f(1, 1)
old("mul_single", "Mul", 6, [a, c], a * c, broadcast=1, axis=1)
c = f(4, 5)
old("div_suffix", "Div", 6, [a, c], a / c, broadcast=1)
p = np.abs(a)
c = f(3)
old("pow_axis", "Pow", 1, [p, c], p ** c[None, :, None, None], broadcast=1, axis=1)
x, y = a > 0, b > 0
old("and_axis", "And", 1, [x, y], x & y[None, :, :, None], broadcast=1, axis=1)
old("greater_axis", "Greater", 1, [a, b], a > b[None, :, :, None], broadcast=1, axis=1)
old("equal_axis", "Equal", 1, [x.astype(np.int32), y.astype(np.int32)], x == y[None, :, :, None], broadcast=1, axis=1)
old("clip_attributes", "Clip", 6, [a], np.clip(a, -0.5, 0.75), min=-0.5, max=0.75)
old("clip_below", "Clip", 6, [a], np.maximum(a, 0.25), min=0.25)
c = f(3)
old("prelu_channels", "PRelu", 6, [a, c], np.where(a < 0, a * c[None, :, None, None], a))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


flat = a.reshape(6, 20)
old("softmax_flat", "Softmax", 11, [a], softmax(flat).reshape(a.shape), axis=2)
old("softmax_default", "Softmax", 1, [a], softmax(a.reshape(2, 60)).reshape(a.shape))
old("logsoftmax_flat", "LogSoftmax", 11, [a], np.log(softmax(flat)).reshape(a.shape), axis=-2)
old("hardmax_flat", "Hardmax", 11, [a], np.eye(20, dtype=F32)[flat.argmax(1)].reshape(a.shape), axis=2)
old("reducesum_attribute", "ReduceSum", 11, [a], a.sum((1, 3)), axes=[1, -1], keepdims=0)
old("reducel2_all", "ReduceL2", 1, [a], np.sqrt((a * a).sum(keepdims=True)))
old("reducelogsumexp", "ReduceLogSumExp", 13, [a * 100], np.logaddexp.reduce(a.astype(np.float64) * F32(100), 2).astype(F32), axes=[2],
    keepdims=0)
m, n, c = f(4, 3), f(5, 4), f(5)
old("gemm_broadcast", "Gemm", 6, [m, n, c], (0.5 * m.T @ n.T + 2 * c).astype(F32), alpha=0.5, beta=2.0, transA=1, transB=1, broadcast=1)
old("max_variadic", "Max", 6, [a, -a, a * 2], np.maximum(np.maximum(a, -a), a * 2))
old("mean_broadcast", "Mean", 8, [a, c], (a + c) / 2)
old("selu_default", "Selu", 1, [a], (1.0507 * np.where(a > 0, a, 1.6732 * (np.exp(a) - 1))).astype(F32))
old("mvn", "MeanVarianceNormalization", 9, [a], (a - a.mean((0, 2, 3), keepdims=True)) / a.std((0, 2, 3), keepdims=True))

# ---- writing --------------------------------------------------------------------------------------------------------------

def tensor(name, v):
    if isinstance(v, onnx.TensorProto):
        t = onnx.TensorProto()
        t.CopyFrom(v)
        t.name = name
        return t
    return numpy_helper.from_array(v, name)


def build(c, all_inputs):
    names, inputs, weights = [], [], []
    graph_inputs = c.get("inputs", list(range(c["n_in"])))
    order = c.get("order", list(range(len(c["operands"]))))
    for i, v in enumerate(c["operands"]):
        names.append("" if v is None else f"x{i}")
        if v is None:
            continue
        t = tensor(f"x{i}", v)
        (inputs if all_inputs or i in graph_inputs else weights).append(t)
    names = [names[i] for i in order]
    while not names[-1]:
        names.pop()
    attrs = {("opset" if k == "opset_" else k): v for k, v in c["attrs"].items()}
    outs = [f"y{i}" for i in range(c["outs"])]
    node = h.make_node(c["op"], names, outs, domain=c["domain"], **attrs)
    info = [h.make_tensor_value_info(t.name, t.data_type, t.dims) for t in inputs]
    if c["want"]:
        want = [tensor(o, w) for o, w in zip(outs, c["want"])]
        out = [h.make_tensor_value_info(t.name, t.data_type, t.dims) for t in want]
    else:
        out = [onnx.ValueInfoProto(name=o) for o in outs]
    imports = [h.make_opsetid("", c["opset"])] + ([h.make_opsetid(c["domain"], 1)] if c["domain"] else [])
    g = h.make_graph([node], c["name"], info, out, weights)
    return h.make_model(g, opset_imports=imports, ir_version=10, producer_name="wqcc"), inputs


def write(name, model, inputs, outputs):
    folder = os.path.join(OUT, name)
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    for old_file in os.listdir(data):
        os.remove(os.path.join(data, old_file))
    onnx.save(model, os.path.join(folder, "model.onnx"))
    for kind, tensors in ("input", inputs), ("output", outputs):
        for i, t in enumerate(tensors):
            with open(os.path.join(data, f"{kind}_{i}.pb"), "wb") as out:
                out.write(t.SerializeToString())


def oracle(todo):
    """Runs the cases' models through ONNX Runtime; results by case name."""
    results = {}
    with tempfile.TemporaryDirectory() as tmp:
        jobs = []
        for c in todo:
            model, inputs = build(c, False)
            path = os.path.join(tmp, c["name"])
            onnx.save(model, path)
            job = dict(model=path, inputs=[], out=path + ".out")
            for t in inputs:
                v = numpy_helper.to_array(t)
                v.tofile(f"{path}.{t.name}")
                job["inputs"].append(dict(name=t.name, file=f"{path}.{t.name}", type=v.dtype.name, dims=v.shape))
            jobs.append(job)
        with open(f"{tmp}/jobs.json", "w") as out:
            json.dump(jobs, out)
        subprocess.run(["node", os.path.join(HERE, "run_ort.mjs"), f"{tmp}/jobs.json"], check=True)
        for c, job in zip(todo, jobs):
            if os.path.exists(job["out"] + ".json"):
                with open(job["out"] + ".json") as r:
                    results[c["name"]] = [np.fromfile(o["file"], np.dtype(o["type"])).reshape(o["dims"]) for o in json.load(r)]
    return results


def main():
    names = sys.argv[1:]
    todo = [c for c in cases if not names or c["name"] in names]
    results = oracle([c for c in todo if not c["want"]])
    for c in todo:
        c["want"] = c["want"] or results.get(c["name"])
        if not c["want"]:
            continue
        outputs = [tensor(f"y{i}", w) for i, w in enumerate(c["want"])]
        write(c["name"], *build(c, False), outputs)
        if c["run"]:
            write(c["name"] + "_run", *build(c, True), outputs)


main()
