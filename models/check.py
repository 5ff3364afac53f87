#!/usr/bin/python3
"""Check the committed models, without training: check.py [NAME...]. With ORT_HOME set, the numbers too (see ort.py)."""

import json
import os
import sys
from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper

from measure import LIMIT, measure
from ort import HERE, Ort


def tensor(path):
    return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))


def structure(directory):
    """What can be said without running it: valid, small, and what is in it."""
    proto = onnx.load(str(directory / "model.onnx"))
    onnx.checker.check_model(proto, full_check=True)
    for file in directory.rglob("*"):
        assert file.is_dir() or file.stat().st_size < LIMIT, f"{file.name} is over the limit"
    ops = Counter(node.op_type for node in proto.graph.node)
    listed = " ".join(f"{op}:{n}" for op, n in sorted(ops.items()))
    print(f"{directory.name}: opset {proto.opset_import[0].version}, {listed}")


def numbers(directory):
    """The metric and the test cases, by ONNX Runtime."""
    session = Ort(directory / "model.onnx")
    report = json.loads((directory / "accuracy.json").read_text())
    data = np.load(directory / "data.npz")
    cases = sorted(directory.glob("test_data_set_*"))
    dtype = tensor(cases[0] / "input_0.pb").dtype
    found = measure(session.run, dtype, data["x"], data["y"])[report["metric"]]
    # Another CPU sums in another order; a sample or two on the edge may fall to the other side.
    assert abs(found - report["value"]) < 0.004, f"{directory.name}: {report['metric']} {found}, not {report['value']}"
    worst = max(np.abs(session.run(tensor(c / "input_0.pb")) - tensor(c / "output_0.pb")).max() for c in cases)
    assert worst < 1e-3, f"{directory.name}: test data off by {worst}"
    print(f"{directory.name}: {report['metric']} {found:.4f}, {len(cases)} cases within {worst:.1e}")


def main():
    names = sys.argv[1:] or ["digits", "tones", "chars"]
    for name in names:
        structure(HERE / name)
        if os.environ.get("ORT_HOME"):
            numbers(HERE / name)
        else:
            print(f"{name}: metric and cases not checked, ORT_HOME is not set")


if __name__ == "__main__":
    main()
