"""Makes test folders (model.onnx, test_data_set_0/) whose outputs are ONNX Runtime's.

    cases = Cases()
    cases.add("ms_gelu", [node("Gelu", "x", "y")], {"x": array})
    cases.write()           # command line: MAKE_SCRIPT.py [FOLDER]; onnxruntime-node is found from the current folder
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
ORT = {"float32": np.float32, "float16": np.float16, "int8": np.int8, "uint8": np.uint8, "int32": np.int32, "int64": np.int64,
       "bool": np.bool_, "float64": np.float64}


def node(op, inputs, outputs, domain="com.microsoft", **attrs):
    return helper.make_node(op, inputs.split(","), outputs.split(","), domain=domain, **attrs)


def ort_type(a):
    return next(k for k, v in ORT.items() if v == a.dtype.type)


class Cases:
    def __init__(self, opset=17, ml=3):
        self.list, self.opset, self.ml = [], opset, ml

    def add(self, name, nodes, inputs, outputs=None, opset=None, dims=None, types=None, expect=None):
        """outputs: the names to compare; default: all results of the last node. dims: shapes to declare, with symbols. types:
        TensorProto types of outputs that ONNX Runtime cannot tell. expect: the outputs, where it has not the operator."""
        outputs = outputs or [o for o in nodes[-1].output if o]
        self.list.append((name, nodes, inputs, outputs, opset or self.opset, dims or {}, types or {}, expect))

    def _model(self, name, nodes, inputs, outputs, opset, dims, types, _=None):
        given = [self._info(k, v, dims.get(k)) for k, v in inputs.items()]
        results = [onnx.ValueInfoProto(name=o) for o in outputs]
        for r in results:
            if r.name in types:
                r.type.tensor_type.elem_type = types[r.name]
        graph = helper.make_graph(nodes, name, given, results)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        if any(n.domain == "ai.onnx.ml" for n in nodes):
            opsets.append(helper.make_opsetid("ai.onnx.ml", self.ml))
        return helper.make_model(graph, opset_imports=opsets, ir_version=8 if opset < 21 else 10, producer_name="wqcc tests")

    def write(self):
        folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "conformance")
        with tempfile.TemporaryDirectory() as tmp:
            jobs = [self._job(tmp, i, *case) for i, case in enumerate(self.list) if case[-1] is None]
            with open(f"{tmp}/jobs.json", "w") as f:
                json.dump(jobs, f)
            subprocess.run(["node", f"{HERE}/run_ort.mjs", f"{tmp}/jobs.json"], check=True)
            for i, case in enumerate(self.list):
                self._store(folder, f"{tmp}/{i}.out.json", *case)

    def _job(self, tmp, i, name, nodes, inputs, outputs, *how):
        onnx.save(self._model(name, nodes, inputs, outputs, *how), f"{tmp}/{i}.onnx")
        given = []
        for k, v in inputs.items():
            file = f"{tmp}/{i}.{k}"
            v.tofile(file)
            given.append({"name": k, "type": ort_type(v), "dims": v.shape, "file": file})
        return {"model": f"{tmp}/{i}.onnx", "inputs": given, "out": f"{tmp}/{i}.out"}

    def _store(self, folder, result, name, nodes, inputs, outputs, *how):
        values = how[-1]
        if values is None:
            if not os.path.exists(result):
                print(f"{name}: not run")
                return
            values = {o["name"]: np.fromfile(o["file"], dtype=ORT[o["type"]]).reshape(o["dims"]) for o in json.load(open(result))}
        data = f"{folder}/{name}/test_data_set_0"
        os.makedirs(data, exist_ok=True)
        for i, (k, v) in enumerate(inputs.items()):
            self._pb(f"{data}/input_{i}.pb", k, v)
        for i, k in enumerate(outputs):
            self._pb(f"{data}/output_{i}.pb", k, values[k])
        model = self._model(name, nodes, inputs, outputs, *how)
        for o in model.graph.output:
            o.CopyFrom(self._info(o.name, values[o.name], [None] * values[o.name].ndim if how[1] else None))
        onnx.save(model, f"{folder}/{name}/model.onnx")

    @staticmethod
    def tensor(v):
        """An attribute that is a tensor."""
        return numpy_helper.from_array(v)

    @staticmethod
    def _info(name, v, dims=None):
        return helper.make_tensor_value_info(name, onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[v.dtype], dims or v.shape)

    @staticmethod
    def _pb(file, name, v):
        with open(file, "wb") as f:
            f.write(numpy_helper.from_array(np.asarray(v, order="C"), name).SerializeToString())
