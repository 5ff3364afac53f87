"""Writes files that a hostile or unlucky user might hand over, into the folder given: NAME.onnx and NAME.says, a part of the message
that must come. Well-formed ones stand beside them as controls (says: empty)."""
import os
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

folder = sys.argv[1]
F = TensorProto.FLOAT


def save(name, says, data):
    with open(os.path.join(folder, name + ".onnx"), "wb") as f:
        f.write(data)
    with open(os.path.join(folder, name + ".says"), "w") as f:
        f.write(says)


def model(nodes, inputs, outputs, initializers=(), opset=17):
    g = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def io(name, shape=(2, 3)):
    return helper.make_tensor_value_info(name, F, shape)


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def nested_types():
    """TypeProto.sequence_type.elem_type..., as deep as 60 KB allow."""
    t = b""
    while len(t) < 60000:
        t = field(4, field(1, t))
    return varint(1 << 3) + b"\x08" + field(7, field(11, field(1, b"x") + field(2, t)))


def tensor(name, dims, raw, **extra):
    t = TensorProto(name=name, data_type=F, raw_data=raw, **extra)
    t.dims.extend(dims)
    return t


def with_weight(t):
    return model([helper.make_node("Add", ["x", "w"], ["y"])], [io("x")], [io("y")], [t]).SerializeToString()


def external(location, offset="0", length="24"):
    t = TensorProto(name="w", data_type=F, data_location=TensorProto.EXTERNAL)
    t.dims.extend([2, 3])
    for k, v in (("location", location), ("offset", offset), ("length", length)):
        t.external_data.add(key=k, value=v)
    return with_weight(t)


good = with_weight(numpy_helper.from_array(np.zeros((2, 3), np.float32), "w"))
save("good", "", good)
save("nested_types", "deep", nested_types())
save("overflow", "overflow", with_weight(tensor("w", [1 << 40, 1 << 40], b"")))
save("negative_dim", "w", with_weight(tensor("w", [-2, 3], b"")))
save("short_data", "w", with_weight(tensor("w", [2, 3], b"\0" * 20)))
save("long_data", "w", with_weight(tensor("w", [2, 3], b"\0" * 28)))
save("bad_type", "w", with_weight(TensorProto(name="w", data_type=99, dims=[2, 3], raw_data=b"\0" * 24)))
save("truncated", "truncated.onnx", good[:-9])
save("cyclic", "cycl", model([helper.make_node("Add", ["x", "b"], ["a"], "n1"), helper.make_node("Relu", ["a"], ["b"], "n2")],
                             [io("x")], [io("b")]).SerializeToString())
save("undefined", "nobody", model([helper.make_node("Add", ["x", "nobody"], ["y"])], [io("x")], [io("y")]).SerializeToString())
save("twice", "y", model([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["y"])], [io("x")],
                         [io("y")]).SerializeToString())
save("missing_external", "none.bin", external("none.bin"))
save("absolute_external", "w", external("/etc/passwd"))
save("climbing_external", "w", external("../good.onnx"))
save("short_external", "w", external("good.onnx", "0", "24000000"))
save("far_external", "w", external("good.onnx", str(1 << 62)))
save("huge_expand", "memory", model([helper.make_node("Expand", ["x", "s"], ["y"])], [io("x", (1,))], [io("y", None)],
                                    [numpy_helper.from_array(np.array([1 << 33, 1 << 10], np.int64), "s")]).SerializeToString())
save("unknown_operator", "NoSuchOp", model([helper.make_node("NoSuchOp", ["x"], ["y"], "n")], [io("x")], [io("y")]).SerializeToString())
save("shapes_disagree", "broadcast", model([helper.make_node("Add", ["x", "z"], ["y"])], [io("x"), io("z", (4, 5))],
                                           [io("y")]).SerializeToString())
save("future_opset", "99", model([helper.make_node("Relu", ["x"], ["y"])], [io("x")], [io("y")], opset=99).SerializeToString())
save("text", "", b"this is not a model, it is a text\n" * 50)
save("zeros", "", bytes(5000))
