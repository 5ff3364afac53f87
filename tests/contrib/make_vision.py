#!/usr/bin/python3
"""Test folders for convolutions, pools, resizing and norms where ONNX's own cases leave attributes and versions out. See cases.py."""
import numpy as np

from cases import Cases, node

rng = np.random.default_rng(13)
cases = Cases(opset=17)


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def one(name, op, inputs, results="y", opset=None, dims=None, **attrs):
    """An input whose value is None is left out."""
    names = ",".join(k if v is not None else "" for k, v in inputs.items())
    given = {k: v for k, v in inputs.items() if v is not None}
    cases.add(name, [node(op, names, results, domain="", **attrs)], given, opset=opset, dims=dims)


image = f(1, 4, 7, 8)
for pad in "SAME_UPPER", "SAME_LOWER", "VALID":
    low = pad.lower()
    one(f"conv_{low}", "Conv", {"x": image, "w": f(2, 4, 3, 2)}, auto_pad=pad, strides=[2, 3])
    one(f"conv_{low}_symbolic", "Conv", {"x": image, "w": f(4, 2, 3, 2), "b": f(4)}, auto_pad=pad, strides=[2, 3], group=2,
        dims={"x": ["N", 4, "H", "W"]})
    one(f"conv_transpose_{low}", "ConvTranspose", {"x": f(1, 2, 4, 3), "w": f(2, 3, 4, 3)}, auto_pad=pad, strides=[3, 2])
    one(f"max_pool_{low}", "MaxPool", {"x": image}, auto_pad=pad, kernel_shape=[3, 2], strides=[2, 3])
    one(f"average_pool_{low}", "AveragePool", {"x": image}, auto_pad=pad, kernel_shape=[3, 2], strides=[2, 3])
    one(f"lp_pool_{low}", "LpPool", {"x": image}, auto_pad=pad, kernel_shape=[3, 2], strides=[2, 3], p=3)
one("conv_1d_dilated", "Conv", {"x": f(2, 3, 9), "w": f(4, 3, 3), "b": f(4)}, dilations=[2], pads=[3, 1])
one("conv_3d_group", "Conv", {"x": f(1, 4, 4, 5, 3), "w": f(4, 2, 2, 3, 2)}, group=2, pads=[1, 0, 1, 0, 2, 0], strides=[1, 2, 1])
one("conv_transpose_group", "ConvTranspose", {"x": f(1, 4, 3, 4), "w": f(4, 2, 3, 3), "b": f(4)}, group=2, strides=[2, 1],
    pads=[1, 0, 0, 1], output_padding=[1, 0], dilations=[1, 2])
one("conv_transpose_shape", "ConvTranspose", {"x": f(1, 2, 3, 4), "w": f(2, 3, 3, 3)}, strides=[2, 2], output_shape=[6, 8])
one("conv_transpose_shape_upper", "ConvTranspose", {"x": f(1, 2, 3, 4), "w": f(2, 3, 3, 3)}, strides=[2, 2], output_shape=[6, 8],
    auto_pad="SAME_UPPER")
one("conv_transpose_symbolic", "ConvTranspose", {"x": f(1, 2, 3, 4), "w": f(2, 3, 3, 3)}, strides=[2, 3], auto_pad="SAME_LOWER",
    dims={"x": [1, 2, "H", "W"]})
one("max_pool_indices", "MaxPool", {"x": image}, "y,i", kernel_shape=[3, 3], pads=[1, 0, 1, 2], strides=[2, 2], dilations=[1, 2])
one("max_pool_indices_columns", "MaxPool", {"x": image}, "y,i", kernel_shape=[3, 3], strides=[2, 2], storage_order=1)
one("max_pool_ceil", "MaxPool", {"x": image}, kernel_shape=[3, 3], strides=[2, 3], ceil_mode=1, pads=[1, 1, 1, 1])
one("max_pool_symbolic", "MaxPool", {"x": image}, kernel_shape=[3, 3], strides=[2, 3], ceil_mode=1, dims={"x": ["N", "C", "H", "W"]})
one("average_pool_ceil", "AveragePool", {"x": image}, kernel_shape=[3, 3], strides=[2, 3], ceil_mode=1, pads=[1, 1, 1, 1], opset=19)
one("average_pool_ceil_padded", "AveragePool", {"x": image}, kernel_shape=[3, 3], strides=[2, 3], ceil_mode=1, pads=[1, 1, 1, 1],
    count_include_pad=1, opset=19)
one("lp_pool_ceil", "LpPool", {"x": image}, kernel_shape=[3, 3], strides=[2, 3], ceil_mode=1, pads=[1, 1, 1, 1], opset=18)
one("lp_pool_1d_dilated", "LpPool", {"x": f(2, 3, 9)}, kernel_shape=[3], dilations=[2], p=1, opset=18)
one("global_lp_pool", "GlobalLpPool", {"x": image}, p=3)
one("max_unpool_shape", "MaxUnpool", {"x": f(1, 1, 2, 2), "i": np.array([5, 7, 13, 15], np.int64).reshape(1, 1, 2, 2)},
    kernel_shape=[2, 2], strides=[2, 2])
one("depth_to_space_crd", "DepthToSpace", {"x": f(2, 12, 2, 3)}, blocksize=2, mode="CRD")
one("lrn", "LRN", {"x": f(2, 5, 3, 2)}, size=3, alpha=0.2, beta=0.6, bias=1.5)
one("batch_norm_3d", "BatchNormalization", {"x": f(2, 3, 4), "s": f(3), "b": f(3), "m": f(3), "v": np.abs(f(3))}, epsilon=1e-3)
one("batch_norm_training", "BatchNormalization", {"x": f(2, 3, 4), "s": f(3), "b": f(3), "m": f(3), "v": np.abs(f(3))}, "y,rm,rv",
    training_mode=1, momentum=0.8)
one("instance_norm_3d", "InstanceNormalization", {"x": f(2, 3, 4), "s": f(3), "b": f(3)}, epsilon=1e-3)
one("layer_norm_results", "LayerNormalization", {"x": f(2, 3, 4), "s": f(3, 4), "b": f(3, 4)}, "y,m,i", axis=1)
one("layer_norm_broadcast", "LayerNormalization", {"x": f(2, 3, 4), "s": f(4)}, axis=-1)
one("group_norm", "GroupNormalization", {"x": f(2, 6, 3, 2), "s": f(6), "b": f(6)}, num_groups=3, opset=21)

small = f(1, 2, 4, 5)


def scales(*v):
    return np.array(v, np.float32)


one("upsample_attribute", "Upsample", {"x": small}, scales=[1.0, 1.0, 2.0, 3.0], opset=7)
one("upsample_linear", "Upsample", {"x": small, "s": scales(1, 1, 2, 1.5)}, mode="linear", opset=9)
one("resize_10_up", "Resize", {"x": small, "s": scales(1, 1, 1.7, 2)}, opset=10)
one("resize_10_down", "Resize", {"x": small, "s": scales(1, 1, 0.6, 0.5)}, opset=10)
one("resize_10_mixed", "Resize", {"x": small, "s": scales(1, 1, 0.6, 1.7)}, opset=10)
one("resize_10_linear", "Resize", {"x": small, "s": scales(1, 1, 0.6, 1.7)}, mode="linear", opset=10)
one("resize_11_tf_nearest", "Resize", {"x": small, "r": scales(), "s": scales(1, 1, 2.3, 0.6)}, opset=11, mode="nearest",
    coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor")
for mode in "nearest", "linear", "cubic":
    for place in "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric":
        # with align_corners ONNX's own cases and ONNX Runtime agree on whole sizes only
        s = scales(1, 1, 0.5 if place == "align_corners" else 0.7, 1.6)
        one(f"resize_13_{mode}_{place}", "Resize", {"x": small, "r": None, "s": s}, opset=13, mode=mode,
            coordinate_transformation_mode=place)
one("resize_18_antialias_cubic", "Resize", {"x": f(1, 1, 9, 8), "r": None, "s": scales(0.5, 0.6)}, opset=18, mode="cubic", antialias=1,
    axes=[2, 3])
one("resize_19_not_larger", "Resize", {"x": small, "r": None, "s": None, "z": np.array([9, 7], np.int64)}, opset=19, axes=[3, 2],
    mode="linear", keep_aspect_ratio_policy="not_larger")
one("resize_sizes_symbolic", "Resize", {"x": small, "r": None, "s": None, "z": np.array([1, 2, 3, 9], np.int64)}, opset=13,
    mode="linear", dims={"x": ["N", "C", "H", "W"]})
theta = f(2, 2, 3)
one("grid_sample_cubic_reflection", "GridSample", {"x": f(2, 2, 4, 5), "g": f(2, 3, 4, 2)}, mode="bicubic", padding_mode="reflection",
    opset=16)
one("grid_sample_border_corners", "GridSample", {"x": f(2, 2, 4, 5), "g": f(2, 3, 4, 2) * 2}, mode="bilinear", padding_mode="border",
    align_corners=1, opset=16)
rois = np.array([[0, 0, 5, 4], [1, 1.5, 6, 3]], np.float32)
for mode in "avg", "max":
    one(f"roi_align_{mode}", "RoiAlign", {"x": f(2, 2, 7, 8), "r": rois, "i": np.array([0, 1], np.int64)}, mode=mode, output_height=3,
        output_width=2, sampling_ratio=2, spatial_scale=0.8, opset=16)
one("roi_align_10", "RoiAlign", {"x": f(2, 2, 7, 8), "r": rois, "i": np.array([0, 1], np.int64)}, output_height=2, output_width=2,
    opset=10)
one("max_roi_pool", "MaxRoiPool", {"x": f(2, 2, 7, 8), "r": np.array([[0, 0, 0, 5, 4], [1, 1, 2, 6, 6]], np.float32)}, pooled_shape=[2, 3],
    spatial_scale=1.0)
cases.write()
