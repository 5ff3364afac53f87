"""What the make_*.py scripts share: seeds, the training loop, the export, and the files beside a model."""

import json
import os
import sys
import time
import warnings

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from measure import LIMIT, measure
from ort import HERE, Ort


def seed_everything(seed):
    """One thread and a fixed seed: the same machine gives the same model again."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def train(model, batch, loss, steps, lr, decay=0.01):
    """AdamW with a short warm-up and a cosine down to zero; batch(step) gives x, y as arrays."""
    opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay)
    warmup = max(1, steps // 20)

    def rate(step):
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + np.cos(np.pi * (step - warmup) / (steps - warmup)))

    schedule = torch.optim.lr_scheduler.LambdaLR(opt, rate)
    model.train()
    start, mean = time.time(), None
    for step in range(steps):
        x, y = batch(step)
        opt.zero_grad()
        value = loss(model(torch.from_numpy(x)), torch.from_numpy(y))
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        schedule.step()
        mean = value.item() if mean is None else 0.98 * mean + 0.02 * value.item()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}/{steps}  loss {mean:.4f}  {time.time() - start:.0f} s", file=sys.stderr)
    model.eval()


def export(model, example, path, inputs, outputs, dims, opset):
    """Write the ONNX file.

    PRESERVE with a model in eval mode folds the constants but leaves every BatchNormalization a node of its own:
    plain EVAL would merge it into its convolution, and wqcc's own folding would have nothing left to do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises against folding in training mode, and PRESERVE counts as that
        torch.onnx.export(model.eval(), example, str(path), input_names=inputs, output_names=outputs,
                          dynamic_axes=dims, opset_version=opset, do_constant_folding=True,
                          training=torch.onnx.TrainingMode.PRESERVE)
    proto = onnx.load(str(path))
    proto.graph.name = path.parent.name
    for node in proto.graph.node:
        node.ClearField("doc_string")  # the exporter puts the paths of our sources there
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(path))


def save_data(directory, **arrays):
    """data.npz: x and y to measure with, x_calib to calibrate with."""
    np.savez_compressed(directory / "data.npz", **arrays)


def save_case(directory, number, graph_io, feed, result):
    """One case in the layout of ONNX's own backend tests."""
    folder = directory / f"test_data_set_{number}"
    folder.mkdir(exist_ok=True)
    for kind, name, array in (("input", graph_io[0], feed), ("output", graph_io[1], result)):
        tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
        (folder / f"{kind}_0.pb").write_bytes(tensor.SerializeToString())


def runner(model, path):
    """x -> outputs by ONNX Runtime where there is one (see ort.py), otherwise by the model we trained."""
    if os.environ.get("ORT_HOME"):
        session = Ort(path)
        return session.run, session.version

    def run(x):
        with torch.no_grad():
            return model(torch.from_numpy(x)).numpy()
    return run, f"torch {torch.__version__}"


def finish(name, model, io, dtype, data, cases, metric):
    """Everything that goes beside models/<name>/model.onnx. cases are inputs for test_data_set_0, 1, ..."""
    directory = HERE / name
    run, reference = runner(model, directory / "model.onnx")
    save_data(directory, **data)
    for number, feed in enumerate(cases):
        save_case(directory, number, io, feed, run(feed))
    found = measure(run, dtype, data["x"], data["y"])
    report = {
        "model": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "metric": metric,
        "value": round(found[metric], 4),
        "also": {k: round(v, 4) for k, v in found.items() if k != metric},
        "samples": int(data["y"].size),
        "measured_with": reference,
        "command": f"wqcc eval models/{name}/model.onnx --data models/{name}/data.npz --metric {metric}",
    }
    (directory / "accuracy.json").write_text(json.dumps(report, indent=1) + "\n")
    for file in directory.rglob("*"):
        if file.is_file() and file.stat().st_size >= LIMIT:
            sys.exit(f"{file.name}: {file.stat().st_size} bytes, the limit is {LIMIT}")
    print(json.dumps(report, indent=1))
