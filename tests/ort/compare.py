"""Holds wqcc against ONNX Runtime: every given model on inputs that nobody stored, and as wqcc writes it back.

    compare.py WQCC MODEL.onnx...       onnxruntime-node is found from the current folder

Inputs look like the stored ones of test_data_set_0 beside the model (same shapes, mean, spread and range), or are normal noise of
the declared shape (0 and 1 for integers). Two questions a model: are wqcc's outputs within 1e-4 of each output's range of ONNX Runtime's, and does
ONNX Runtime give the same bits for the model that `-emit onnx` wrote?
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
RUN_ORT = os.path.join(HERE, "..", "contrib", "run_ort.mjs")
TYPES = {"float32": np.float32, "float64": np.float64, "float16": np.float16, "int8": np.int8, "uint8": np.uint8, "bool": np.bool_,
         "int16": np.int16, "uint16": np.uint16, "int32": np.int32, "uint32": np.uint32, "int64": np.int64, "uint64": np.uint64}


def inputs_of(model):
    known = {t.name for t in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in known]


def stored(folder, k):
    tensor = onnx.TensorProto()
    with open(os.path.join(folder, "test_data_set_0", f"input_{k}.pb"), "rb") as f:
        tensor.ParseFromString(f.read())
    return numpy_helper.to_array(tensor)


def like(rng, a):
    """Other data of the same kind; constants (a sampling rate) stay."""
    if a.size <= 1 or (a == a.flat[0]).all():
        return a
    if a.dtype.kind in "iu":
        return rng.integers(a.min(), a.max() + 1, a.shape).astype(a.dtype)
    return np.clip(rng.normal(a.mean(), a.std(), a.shape), a.min(), a.max()).astype(a.dtype)


def make_inputs(path, model, seed):
    rng, folder = np.random.default_rng(seed), os.path.dirname(path)
    if os.path.exists(os.path.join(folder, "test_data_set_0")):
        return {i.name: like(rng, stored(folder, k)) for k, i in enumerate(inputs_of(model))}
    made = {}
    for i in inputs_of(model):
        dims = [d.dim_value or 1 for d in i.type.tensor_type.shape.dim]
        dtype = onnx.mapping.TENSOR_TYPE_TO_NP_TYPE[i.type.tensor_type.elem_type]
        made[i.name] = (rng.normal(0, 1, dims) if dtype.kind == "f" else rng.integers(0, 2, dims)).astype(dtype)
    return made


def job(tmp, key, path, inputs, level="disabled"):
    listed = []
    for k, (name, a) in enumerate(inputs.items()):
        file = f"{tmp}/{key}.in{k}"
        np.ascontiguousarray(a).tofile(file)
        listed.append({"name": name, "type": a.dtype.name, "dims": list(a.shape), "file": file})
    return {"model": path, "inputs": listed, "out": f"{tmp}/{key}"}


def results(tmp, key):
    with open(f"{tmp}/{key}.json") as f:
        return [(o["name"], np.fromfile(o["file"], TYPES[o["type"]]).reshape(o["dims"])) for o in json.load(f)]


def wqcc_outputs(wqcc, tmp, key, path, inputs, names):
    args = [wqcc, "run", path, "-O", "opt", "--output", f"{tmp}/{key}.d"]
    for k, (name, a) in enumerate(inputs.items()):
        np.save(f"{tmp}/{key}.{k}.npy", a)
        args += ["--input", f"{name}={tmp}/{key}.{k}.npy"]
    done = subprocess.run(args, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip(), []
    plain = lambda n: "".join(c if c.isalnum() or c in "._-" else "_" for c in n)
    return "", [np.load(f"{tmp}/{key}.d/{plain(n)}.npy") for n in names]


def distance(got, want):
    """The largest difference as a share of the output's range; infinite where one is finite and the other is not."""
    g, w = got.astype(np.float64), want.astype(np.float64)
    if g.shape != w.shape or not (np.isfinite(g) == np.isfinite(w)).all():
        return np.inf
    fine = np.isfinite(w)
    if not fine.any():
        return 0.0
    span = w[fine].max() - w[fine].min()
    return float(np.abs(g[fine] - w[fine]).max() / (span or max(abs(w[fine]).max(), 1e-30)))


def compare(wqcc, tmp, k, path):
    model = onnx.load(path)
    inputs = make_inputs(path, model, k)
    again = f"{tmp}/{k}.onnx"
    written = subprocess.run([wqcc, path, "-emit", "onnx", "-o", again], capture_output=True, text=True)
    if written.returncode:
        return f"not written: {written.stderr.strip()}"
    with open(f"{tmp}/jobs.json", "w") as f:
        json.dump([job(tmp, f"{k}a", path, inputs), job(tmp, f"{k}b", again, inputs)], f)
    subprocess.run(["node", RUN_ORT, f"{tmp}/jobs.json"], check=True)
    want, back = results(tmp, f"{k}a"), results(tmp, f"{k}b")
    for (name, a), (_, b) in zip(want, back):
        if a.tobytes() != b.tobytes():
            return f"ONNX Runtime's '{name}' of the written model has other bits"
    error, got = wqcc_outputs(wqcc, tmp, str(k), path, inputs, [n for n, _ in want])
    if error:
        return error
    worst = max(distance(g, w) for g, (_, w) in zip(got, want))
    return f"differs by {worst:.2g} of the range" if worst > 1e-4 else f"ok {worst:.2g}"


def main():
    wqcc, paths, failed = os.path.abspath(sys.argv[1]), sys.argv[2:], 0
    for k, path in enumerate(paths):
        with tempfile.TemporaryDirectory() as tmp:
            said = compare(wqcc, tmp, k, os.path.abspath(path))
        failed += not said.startswith("ok ")
        print(f"{path}: {said}", flush=True)
    print(f"{len(paths) - failed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
