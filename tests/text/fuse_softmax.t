# run: fuse_softmax
# tol: 1e-5

== with the maximum
const axis: i64[1] = {-1}
const one: i64[1] = {1}
graph (x: f32[2,3]) {
  m: f32[2,1] = ReduceMax(x, axis)
  d: f32[2,3] = Sub(x, m)
  e: f32[2,3] = Exp(d)
  s: f32[2,1] = ReduceSum(e, one)
  y: f32[2,3] = Div(e, s)
  return y
}
--
graph (x: f32[2,3]) {
  y: f32[2,3] = Softmax(x) <axis=1>
  return y
}

== without it, and with the reciprocal
const axis: i64[1] = {0}
const one: f32[] = {1}
graph (x: f32[2,3]) {
  e: f32[2,3] = Exp(x)
  s: f32[1,3] = ReduceSum(e, axis)
  r: f32[1,3] = Div(one, s)
  y: f32[2,3] = Mul(r, e)
  return y
}
--
graph (x: f32[2,3]) {
  y: f32[2,3] = Softmax(x) <axis=0>
  return y
}

== an axis that goes and comes back
const axis: i64[1] = {0}
const shape: i64[2] = {1, 3}
graph (x: f32[2,3]) {
  m0: f32[3] = ReduceMax(x, axis) <keepdims=0>
  m: f32[1,3] = Reshape(m0, shape)
  d: f32[2,3] = Sub(x, m)
  e: f32[2,3] = Exp(d)
  s0: f32[3] = ReduceSum(e, axis) <keepdims=0>
  s: f32[1,3] = Reshape(s0, shape)
  y: f32[2,3] = Div(e, s)
  return y
}
--
graph (x: f32[2,3]) {
  y: f32[2,3] = Softmax(x) <axis=0>
  return y
}

== two axes, another axis, another use
const both: i64[2] = {0, 1}
const zero: i64[1] = {0}
const one: i64[1] = {1}
graph (x: f32[2,3], z: f32[2,3], w: f32[2,3]) {
  e: f32[2,3] = Exp(x)
  s: f32[1,1] = ReduceSum(e, both)
  y: f32[2,3] = Div(e, s)
  m2: f32[1,3] = ReduceMax(z, zero)
  d2: f32[2,3] = Sub(z, m2)
  e2: f32[2,3] = Exp(d2)
  s2: f32[2,1] = ReduceSum(e2, one)
  y2: f32[2,3] = Div(e2, s2)
  e3: f32[2,3] = Exp(w)
  s3: f32[2,1] = ReduceSum(e3, one)
  y3: f32[2,3] = Div(e3, s3)
  return y, y2, y3, s3
}
--
const both: i64[2] = {0, 1}
const zero: i64[1] = {0}
const one: i64[1] = {1}
graph (x: f32[2,3], z: f32[2,3], w: f32[2,3]) {
  e: f32[2,3] = Exp(x)
  s: f32[1,1] = ReduceSum(e, both)
  y: f32[2,3] = Div(e, s)
  m2: f32[1,3] = ReduceMax(z, zero)
  d2: f32[2,3] = Sub(z, m2)
  y2: f32[2,3] = Softmax(d2) <axis=1>
  e3: f32[2,3] = Exp(w)
  s3: f32[2,1] = ReduceSum(e3, one)
  y3: f32[2,3] = Div(e3, s3)
  return y, y2, y3, s3
}
