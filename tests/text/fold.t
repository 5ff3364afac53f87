# run: fold,dce

== constants are computed
const k: f32[2] = {1,2}
const l: f32[] = {3}
graph (x: f32[2]) {
  a: f32[2] = Mul(k, l)
  y: f32[2] = Add(x, a)
  return y
}
--
const new1: f32[2] = {3, 6}
graph (x: f32[2]) {
  y: f32[2] = Add(x, new1)
  return y
}

== a known branch is taken
const p: bool[] = {1}
graph (x: f32[2]) {
  a: f32[2] = Neg(x)
  y: f32[2] = If(p) graph () {
    b: f32[2] = Exp(a)
    return b
  } graph () {
    c: f32[2] = Relu(x)
    return c
  }
  return y
}
--
graph (x: f32[2]) {
  a: f32[2] = Neg(x)
  b: f32[2] = Exp(a)
  return y=b
}

== a size that is a number
graph (x: f32[2,3]) {
  s: i64[2] = Shape(x)
  return s
}
--
const new1: i64[2] = {2, 3}
graph (x: f32[2,3]) {
  return s=new1
}

== a small weight stays as small as it is
const q: u8[300] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
const s: f32[] = {0.5}
graph (x: f32[300]) {
  w: f32[300] = DequantizeLinear(q, s) <to=f32>
  y: f32[300] = Mul(x, w)
  return y
}
--
const q: u8[300] = hash 7b2081ef0a8041ee
const s: f32[] = {0.5}
graph (x: f32[300]) {
  w: f32[300] = DequantizeLinear(q, s) <to=f32>
  y: f32[300] = Mul(x, w)
  return y
}

== a constant remembers how it came from the initializer
const w: f32[2,3] from "fc.weight" = {1, 2, 3, 4, 5, 6}
const s: i64[1] = {6}
const t: i64[2] = {2, 3}
graph (x: f32[2]) {
  a: f32[3,2] = Transpose(w) <perm=[1,0]>
  b: f32[2,3] = Transpose(a) <perm=[1,0]>
  c: f32[6] = Reshape(a, s)
  d: f32[2,3] = Reshape(c, t)
  e: f32[3,2] = Transpose(d)
  f: f32[3,2] = Neg(a)
  return a, b, c, e, f
}
--
const new1: f32[3,2] from "fc.weight" perm [1, 0] = {1, 4, 2, 5, 3, 6}
const new2: f32[2,3] from "fc.weight" perm [0, 1] = {1, 2, 3, 4, 5, 6}
const new3: f32[6] from "fc.weight" perm [1, 0] reshaped = {1, 4, 2, 5, 3, 6}
const new4: f32[3,2] = {1, 5, 4, 3, 2, 6}
const new5: f32[3,2] = {-1, -4, -2, -5, -3, -6}
graph (x: f32[2]) {
  return a=new1, b=new2, c=new3, e=new4, f=new5
}
