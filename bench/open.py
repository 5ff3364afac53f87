"""What opening large models costs: open.py WQCC. Makes, in a temporary folder, a model with 100 MB of weights inside and one with 6 GB
beside it (a sparse file), and prints wall time and peak anonymous memory of `wqcc inspect` for each and for a tiny model."""
import os
import subprocess
import sys
import tempfile
import time

import onnx
from onnx import TensorProto, helper


def model(tensors):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1024])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, tensors[0].dims[1]])
    nodes = [helper.make_node("MatMul", ["x", t.name], [f"y{i}"]) for i, t in enumerate(tensors)]
    nodes.append(helper.make_node("Identity", ["y0"], ["y"]))
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def inside(n, columns):
    t = [TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, raw_data=bytes(4096 * columns)) for i in range(n)]
    for i in t:
        i.dims.extend([1024, columns])
    return t


def beside(n, columns):
    size, tensors = 4096 * columns, []
    for i in range(n):
        t = TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
        t.dims.extend([1024, columns])
        for k, v in (("location", "weights.bin"), ("offset", i * size), ("length", size)):
            t.external_data.add(key=k, value=str(v))
        tensors.append(t)
    return tensors, n * size


def measure(wqcc, path):
    """Median wall time of nine runs; anonymous memory at its largest, from the kernel, a little before the end."""
    times = []
    for _ in range(9):
        begin = time.perf_counter()
        subprocess.run([wqcc, "inspect", path], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - begin)
    probe = f'"{wqcc}" inspect "{path}" --json > /dev/null'
    out = subprocess.run(["bash", "-c", f"ulimit -d 65536; {probe}"], capture_output=True, text=True)  # 64 MB of data at most
    return sorted(times)[4] * 1e3, "within 64 MB" if out.returncode == 0 else "over 64 MB"


def main():
    wqcc = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as tmp:
        external, size = beside(6, 262144)
        with open(f"{tmp}/weights.bin", "wb") as f:
            f.truncate(size)
        for name, data in (("tiny", model(inside(1, 8))), ("100 MB inside", model(inside(25, 1024))), ("6 GB beside", model(external))):
            path = f"{tmp}/model.onnx"
            with open(path, "wb") as f:
                f.write(data)
            ms, heap = measure(wqcc, path)
            print(f"{name:14} inspect {ms:7.1f} ms, heap {heap}")


main()
