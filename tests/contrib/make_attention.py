#!/usr/bin/python3
"""Test folders for com.microsoft's attention operators, their embeddings and normalisations. See cases.py."""
import numpy as np
from onnx import helper

from cases import Cases, node

rng = np.random.default_rng(7)
cases = Cases()


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def i32(*v):
    return np.array(v, np.int32)


def angles(rows, half):
    a = np.arange(rows)[:, None] / 10.0 ** (np.arange(half) / half)[None, :]
    return np.cos(a).astype(np.float32), np.sin(a).astype(np.float32)


def mha(name, inputs, outputs="y", heads=2, dims=None, **attrs):
    slots = "q,k,v,bias,mask,attention_bias,past_k,past_v".split(",")
    names = ",".join(s if s in inputs else "" for s in slots)
    cases.add("ms_mha_" + name, [node("MultiHeadAttention", names, outputs, num_heads=heads, **attrs)], inputs, dims=dims, types={"qk": 1} if "qk" in outputs else None)


def qkv(b=2, s=3, t=5, hidden=8, v_hidden=8):
    return {"q": f(b, s, hidden), "k": f(b, t, hidden), "v": f(b, t, v_hidden)}


mha("plain", qkv())
mha("bias_v_hidden", {**qkv(v_hidden=12), "bias": f(28)})
mha("scale", qkv(), scale=0.3)
mha("mask_lengths", {**qkv(), "mask": i32(2, 5)})
mha("mask_padding", {**qkv(), "mask": i32(1, 1, 0, 1, 0, 0, 0, 1, 1, 1).reshape(2, 5)})
mha("mask_padding_causal", {**qkv(s=5), "mask": i32(0, 0, 1, 1, 1, 1, 1, 1, 0, 0).reshape(2, 5)}, unidirectional=1)
mha("mask_filter", {**qkv(), "mask": i32(1, 1, 0, 1, 0, 0, 0, 0, 0, 0).reshape(2, 5)}, mask_filter_value=-3.0)
mha("attention_bias", {**qkv(), "attention_bias": f(1, 2, 3, 5)})
mha("bias_and_mask", {**qkv(), "mask": i32(1, 1, 0, 1, 0, 0, 0, 1, 1, 1).reshape(2, 5), "attention_bias": f(2, 1, 3, 5)})
mha("past", {**qkv(s=2, t=2), "past_k": f(2, 2, 3, 4), "past_v": f(2, 2, 3, 4)}, "y,pk,pv")
mha("past_causal", {**qkv(s=2, t=2), "past_k": f(2, 2, 3, 4), "past_v": f(2, 2, 3, 4)}, "y,pk,pv", unidirectional=1)
mha("cross_cache", {"q": f(2, 3, 8), "k": f(2, 2, 5, 4), "v": f(2, 2, 5, 4), "mask": i32(3, 5)})


def attention(name, inputs, outputs="y", heads=2, **attrs):
    slots = "x,w,bias,mask,past,attention_bias".split(",")
    names = ",".join(s if s in inputs else "" for s in slots).rstrip(",")
    cases.add("ms_attention_" + name, [node("Attention", names, outputs, num_heads=heads, **attrs)], inputs)


def xw(b=2, s=4, hidden=6, out=24):
    return {"x": f(b, s, hidden), "w": f(hidden, out), "bias": f(out)}


attention("plain", xw())
attention("causal", xw(), unidirectional=1)
attention("sizes", xw(out=28), qkv_hidden_sizes=[8, 8, 12])
attention("mask_lengths", {**xw(), "mask": i32(2, 4)})
attention("mask_begins", {**xw(), "mask": i32(3, 4, 0, 2)})
attention("mask_padding", {**xw(), "mask": i32(0, 1, 1, 1, 1, 1, 0, 0).reshape(2, 4)}, unidirectional=1)
attention("mask_3d", {**xw(), "mask": rng.integers(0, 2, (2, 4, 4)).astype(np.int32)})
attention("past", {**xw(s=2), "past": f(2, 2, 2, 3, 4)}, "y,present", unidirectional=1)
attention("attention_bias", {**xw(), "attention_bias": f(2, 2, 4, 4)})


def gqa(name, inputs, outputs="y,pk,pv", heads=4, kv=2, compare=None, **attrs):
    """compare: what of the results is defined; rows of the buffer that belong to no key are not."""
    slots = "q,k,v,past_k,past_v,seqlens,total,cos,sin,positions,attention_bias,sink".split(",")
    names = ",".join(s if s in inputs else "" for s in slots).rstrip(",")
    nodes = [node("GroupQueryAttention", names, outputs, num_heads=heads, kv_num_heads=kv, **attrs)]
    cases.add("ms_gqa_" + name, nodes, inputs, compare)


def group(seqlens, total, s=1, past=None, d=16, heads=4, kv=2, packed=False):
    b = len(seqlens)
    r = {"q": f(b, s, (heads + 2 * kv) * d)} if packed else {"q": f(b, s, heads * d), "k": f(b, s, kv * d), "v": f(b, s, kv * d)}
    if past is not None:
        r.update(past_k=f(b, kv, past, d), past_v=f(b, kv, past, d))
    r.update(seqlens=i32(*seqlens), total=i32(total).reshape(()))
    return r


def turns(rows=16, half=8):
    cos, sin = angles(rows, half)
    return {"cos": cos, "sin": sin}


gqa("prompt", group([2, 2], 3, s=3))
gqa("prompt_rotary", {**group([2, 2], 3, s=3), **turns()}, do_rotary=1)
gqa("prompt_empty_past", group([2], 3, s=3, past=0))
gqa("decode", group([5], 6, past=5))
gqa("decode_batch", {**group([5, 3], 6, past=5), **turns()}, compare=["y"], do_rotary=1)
gqa("decode_rotary", {**group([5], 6, past=5), **turns()}, do_rotary=1)
gqa("decode_interleaved", {**group([5], 6, past=5), **turns()}, do_rotary=1, rotary_interleaved=1)
gqa("decode_packed", {**group([5], 6, past=5, packed=True), **turns()}, do_rotary=1)
gqa("decode_part_rotary", {**group([5], 6, past=5, d=32), **turns()}, do_rotary=1)
gqa("append", {**group([5], 6, s=3, past=3), **turns()}, do_rotary=1)
gqa("window", group([8], 9, past=8), local_window_size=3)
gqa("window_prompt", group([5], 6, s=6), local_window_size=2)
gqa("softcap", group([5], 6, past=5), softcap=0.7)
gqa("scale", group([5], 6, past=5), scale=0.25)
gqa("buffer", group([4], 5, past=8), compare=["y"])
gqa("smooth", group([5], 6, past=5), smooth_softmax=1)
gqa("sink", {**group([5], 6, past=5), "sink": f(4)})
gqa("attention_bias", {**group([5], 6, past=5), "attention_bias": f(1, 4, 1, 6)})
gqa("positions", {**group([5], 6, s=2, past=4), **turns(), "positions": np.array([[7, 2]], np.int64)}, do_rotary=1)


def rotary(name, x, positions, half=4, **attrs):
    cos, sin = angles(16, half)
    cases.add("ms_rotary_" + name, [node("RotaryEmbedding", "x,p,cos,sin", "y", **attrs)],
              {"x": x, "p": np.array(positions, np.int64), "cos": cos, "sin": sin})


rotary("hidden", f(2, 3, 16), [[0, 1, 2], [4, 7, 3]])
rotary("heads", f(2, 2, 3, 8), [[0, 1, 2], [4, 7, 3]])
rotary("begin", f(2, 3, 16), [5])
rotary("interleaved", f(2, 3, 16), [5], interleaved=1)
rotary("part", f(2, 3, 24), [5], half=4, rotary_embedding_dim=8, num_heads=2)

x, skip, gamma, beta, bias = f(2, 3, 8), f(2, 3, 8), f(8), f(8), f(8)
cases.add("ms_skip_layer_norm", [node("SkipLayerNormalization", "x,skip,g,b,bias", "y,,,sum", epsilon=1e-5)],
          {"x": x, "skip": skip, "g": gamma, "b": beta, "bias": bias})
cases.add("ms_skip_layer_norm_broadcast", [node("SkipLayerNormalization", "x,skip,g", "y")],
          {"x": x, "skip": f(1, 3, 8), "g": gamma})
cases.add("ms_skip_rms_norm", [node("SkipSimplifiedLayerNormalization", "x,skip,g,bias", "y,,,sum", epsilon=1e-5)],
          {"x": x, "skip": skip, "g": gamma, "bias": bias})
cases.add("ms_rms_norm", [node("SimplifiedLayerNormalization", "x,g", "y,inv", domain="", axis=-1, epsilon=1e-5, stash_type=1)],
          {"x": x, "g": gamma})
ids = np.array([[1, 4, 2], [0, 3, 3]], np.int32)
cases.add("ms_embed_layer_norm", [node("EmbedLayerNormalization", "ids,seg,word,pos,segment,g,b,mask", "y,index,sum")],
          {"ids": ids, "seg": ids % 2, "word": f(5, 8), "pos": f(4, 8), "segment": f(2, 8), "g": gamma, "b": beta,
           "mask": i32(1, 1, 0, 1, 0, 0).reshape(2, 3)})
cases.add("ms_embed_layer_norm_positions", [node("EmbedLayerNormalization", "ids,,word,pos,,g,b,,p", "y,index")],
          {"ids": ids, "word": f(5, 8), "pos": f(4, 8), "g": gamma, "b": beta, "p": i32(2, 0, 1).reshape(1, 3)})
cases.add("ms_gelu", [node("Gelu", "x", "y")], {"x": x})
cases.add("ms_bias_gelu", [node("BiasGelu", "x,b", "y")], {"x": x, "b": bias})
cases.add("ms_fast_gelu", [node("FastGelu", "x,b", "y")], {"x": x, "b": bias})
cases.add("ms_quick_gelu", [node("QuickGelu", "x", "y", alpha=1.3)], {"x": x})
image = {"x": f(1, 4, 5, 6), "w": f(6, 2, 3, 3), "b": f(6)}
for act, params in ("Relu", []), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 0.5]), ("HardSigmoid", [0.3, 0.4]), ("Tanh", []):
    attrs = {"activation_params": params} if params else {}
    cases.add("ms_fused_conv_" + act.lower(),
              [node("FusedConv", "x,w,b", "y", activation=act, group=2, strides=[2, 1], auto_pad="SAME_LOWER", **attrs)], image)
cases.add("ms_fused_conv_sum", [node("FusedConv", "x,w,b,z", "y", activation="Relu", group=2, pads=[1, 1, 1, 1])],
          {**image, "z": f(1, 6, 5, 6)})
cases.add("ms_nhwc_max_pool", [node("NhwcMaxPool", "x", "y", kernel_shape=[2, 3], strides=[2, 1], pads=[1, 1, 0, 1])],
          {"x": rng.integers(0, 255, (1, 5, 6, 2)).astype(np.uint8)})

def decoder(name, b, s, past, lens):
    """As language models are exported: lengths come from the attention mask, and all sizes but the model's own are symbols."""
    total = past + s
    mask = np.array([[1] * n + [0] * (total - n) for n in lens], np.int64)
    v = {"q": f(b, s, 64), "k": f(b, s, 32), "v": f(b, s, 32), "past_k": f(b, 2, past, 16), "past_v": f(b, 2, past, 16), "mask": mask,
         **turns()}
    one, last = helper.make_tensor("one", 7, [1], [1]), helper.make_tensor("last", 7, [], [1])
    nodes = [helper.make_node("Constant", [], ["one"], value=one), helper.make_node("Constant", [], ["last"], value=last),
             helper.make_node("ReduceSum", ["mask", "one"], ["lengths"], keepdims=0),
             helper.make_node("Sub", ["lengths", "one"], ["minus"]), helper.make_node("Cast", ["minus"], ["seqlens"], to=6),
             helper.make_node("Shape", ["mask"], ["shape"]), helper.make_node("Gather", ["shape", "last"], ["total64"], axis=0),
             helper.make_node("Cast", ["total64"], ["total"], to=6),
             node("GroupQueryAttention", "q,k,v,past_k,past_v,seqlens,total,cos,sin", "y,pk,pv", num_heads=4, kv_num_heads=2, do_rotary=1)]
    dims = {"q": ["B", "S", 64], "k": ["B", "S", 32], "v": ["B", "S", 32], "past_k": ["B", 2, "P", 16], "past_v": ["B", 2, "P", 16],
            "mask": ["B", "T"]}
    cases.add("ms_gqa_" + name, nodes, v, dims=dims)


decoder("decoder_prompt", 2, 4, 0, [4, 4])
decoder("decoder_step", 2, 1, 5, [6, 6])
sizes = {"q": ["B", "S", 8], "k": ["B", "S", 8], "v": ["B", "S", 8], "past_k": ["B", 2, "P", 4], "past_v": ["B", 2, "P", 4]}
mha("symbolic", {**qkv(s=2, t=2), "past_k": f(2, 2, 3, 4), "past_v": f(2, 2, 3, 4)}, "y,pk,pv", unidirectional=1, dims=sizes)

mha("qk", {**qkv(), "mask": i32(1, 1, 0, 1, 0, 0, 0, 1, 1, 1).reshape(2, 5), "attention_bias": f(2, 1, 3, 5)}, "y,,,qk")
mha("qk_causal", {**qkv(s=2, t=2), "past_k": f(2, 2, 3, 4), "past_v": f(2, 2, 3, 4)}, "y,pk,pv,qk", unidirectional=1)
for mode in 1, 2:
    gqa(f"qk_softcap_{mode}", {**group([5], 6, past=5), "attention_bias": f(1, 4, 1, 6)}, "y,pk,pv,qk", qk_output=mode, softcap=0.7)
    gqa(f"qk_window_{mode}", group([5], 6, s=6), "y,pk,pv,qk", local_window_size=2, qk_output=mode)
cases.write()
