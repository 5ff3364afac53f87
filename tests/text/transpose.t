# run: transpose,dce
# tol: 1e-6

== a sandwich
graph (x: f32[1,2,3,4]) {
  a: f32[1,3,4,2] = Transpose(x) <perm=[0,2,3,1]>
  b: f32[1,3,4,2] = Relu(a)
  y: f32[1,2,3,4] = Transpose(b) <perm=[0,3,1,2]>
  return y
}
--
graph (x: f32[1,2,3,4]) {
  y: f32[1,2,3,4] = Relu(x)
  return y
}

== constants are turned, single numbers are not
const c: f32[2] = {1, 2}
const k: f32[1] = {3}
graph (x: f32[1,2,3,4], s: f32[]) {
  a: f32[1,3,4,2] = Transpose(x) <perm=[0,2,3,1]>
  b: f32[1,3,4,2] = Mul(a, c)
  d: f32[1,3,4,2] = Add(k, b)
  e: f32[1,3,4,2] = Mul(d, s)
  y: f32[1,2,3,4] = Transpose(e) <perm=[0,3,1,2]>
  return y
}
--
const new1: f32[1,2,1,1] = {1, 2}
const k: f32[1] = {3}
graph (x: f32[1,2,3,4], s: f32[]) {
  new2: f32[1,2,3,4] = Mul(x, new1)
  new3: f32[1,2,3,4] = Add(k, new2)
  y: f32[1,2,3,4] = Mul(new3, s)
  return y
}

== both operands of a sum, and what follows
const axes: i64[1] = {3}
graph (x: f32[1,2,3,4], z: f32[1,2,3,4]) {
  a: f32[1,3,4,2] = Transpose(x) <perm=[0,2,3,1]>
  b: f32[1,3,4,2] = Transpose(z) <perm=[0,2,3,1]>
  c: f32[1,3,4,2] = Add(a, b)
  d: f32[1,3,4,2] = Softmax(c) <axis=-1>
  e: f32[1,3,4,4] = Concat(d, a) <axis=3>
  f: f32[1,3,4] = ReduceMean(e, axes) <keepdims=0>
  return f
}
--
const new1: i64[1] = {1}
graph (x: f32[1,2,3,4], z: f32[1,2,3,4]) {
  new2: f32[1,2,3,4] = Add(x, z)
  new3: f32[1,2,3,4] = Softmax(new2) <axis=1>
  new4: f32[1,4,3,4] = Concat(new3, x) <axis=1>
  f: f32[1,3,4] = ReduceMean(new4, new1) <keepdims=0>
  return f
}

== a residual block in channels-last clothes
graph (x: f32[1,2,3,4], w: f32[2,2,1,1]) {
  a: f32[1,3,4,2] = Transpose(x) <perm=[0,2,3,1]>
  b: f32[1,3,4,2] = Relu(a)
  c: f32[1,2,3,4] = Transpose(b) <perm=[0,3,1,2]>
  d: f32[1,2,3,4] = Conv(c, w)
  e: f32[1,3,4,2] = Transpose(d) <perm=[0,2,3,1]>
  f: f32[1,3,4,2] = Add(e, b)
  g: f32[1,3,4,2] = Relu(f)
  y: f32[1,2,3,4] = Transpose(g) <perm=[0,3,1,2]>
  return y
}
--
graph (x: f32[1,2,3,4], w: f32[2,2,1,1]) {
  c: f32[1,2,3,4] = Relu(x)
  d: f32[1,2,3,4] = Conv(c, w)
  new1: f32[1,2,3,4] = Add(d, c)
  y: f32[1,2,3,4] = Relu(new1)
  return y
}

== slices, padding, reductions
const from: i64[2] = {1, 0}
const to: i64[2] = {3, 1}
const ax: i64[2] = {1, -1}
const st: i64[2] = {1, 1}
const p: i64[6] = {0, 1, 2, 0, 0, 3}
const two: i64[1] = {1}
graph (x: f32[2,3,4]) {
  a: f32[3,4,2] = Transpose(x) <perm=[1,2,0]>
  b: f32[3,2,1] = Slice(a, from, to, ax, st)
  c: f32[3,3,6] = Pad(b, p)
  d: f32[3,6] = ReduceMax(c, two) <keepdims=0>
  return d
}
--
const from: i64[2] = {1, 0}
const to: i64[2] = {3, 1}
const new1: i64[2] = {2, 0}
const st: i64[2] = {1, 1}
const new2: i64[6] = {2, 0, 1, 3, 0, 0}
const new3: i64[1] = {2}
graph (x: f32[2,3,4]) {
  new4: f32[1,3,2] = Slice(x, from, to, new1, st)
  new5: f32[6,3,3] = Pad(new4, new2)
  new6: f32[6,3] = ReduceMax(new5, new3) <keepdims=0>
  d: f32[3,6] = Transpose(new6) <perm=[1, 0]>
  return d
}

== another permutation; another use; an operand that is not transposed
graph (x: f32[2,3,4], z: f32[4,2,3], w: f32[3,4,2]) {
  a: f32[3,4,2] = Transpose(x) <perm=[1,2,0]>
  b: f32[3,4,2] = Transpose(z) <perm=[2,0,1]>
  c: f32[3,4,2] = Add(a, b)
  d: f32[3,4,2] = Transpose(x) <perm=[1,2,0]>
  e: f32[3,4,2] = Exp(d)
  f: f32[3,4,2] = Mul(d, w)
  return c, e, f
}
--
graph (x: f32[2,3,4], z: f32[4,2,3], w: f32[3,4,2]) {
  a: f32[3,4,2] = Transpose(x) <perm=[1, 2, 0]>
  b: f32[3,4,2] = Transpose(z) <perm=[2, 0, 1]>
  c: f32[3,4,2] = Add(a, b)
  d: f32[3,4,2] = Transpose(x) <perm=[1, 2, 0]>
  e: f32[3,4,2] = Exp(d)
  f: f32[3,4,2] = Mul(d, w)
  return c, e, f
}

== a Reshape that is undone
const s: i64[1] = {6}
const t: i64[2] = {2, 3}
const k: f32[] = {2}
graph (x: f32[2,3]) {
  a: f32[6] = Reshape(x, s)
  b: f32[6] = Relu(a)
  c: f32[2,3] = Reshape(b, t)
  d: f32[6] = Reshape(c, s)
  e: f32[6] = Mul(d, k)
  f: f32[2,3] = Reshape(e, t)
  return f
}
--
const k: f32[] = {2}
graph (x: f32[2,3]) {
  c: f32[2,3] = Relu(x)
  f: f32[2,3] = Mul(c, k)
  return f
}

== a Reshape that is not undone, or used elsewhere
const s: i64[1] = {6}
const t: i64[2] = {3, 2}
const u: i64[2] = {2, 3}
graph (x: f32[2,3]) {
  a: f32[6] = Reshape(x, s)
  b: f32[6] = Relu(a)
  c: f32[3,2] = Reshape(b, t)
  d: f32[6] = Reshape(x, s)
  e: f32[6] = Exp(d)
  f: f32[2,3] = Reshape(e, u)
  return c, d, f
}
--
const s: i64[1] = {6}
const t: i64[2] = {3, 2}
const u: i64[2] = {2, 3}
graph (x: f32[2,3]) {
  a: f32[6] = Reshape(x, s)
  b: f32[6] = Relu(a)
  c: f32[3,2] = Reshape(b, t)
  d: f32[6] = Reshape(x, s)
  e: f32[6] = Exp(d)
  f: f32[2,3] = Reshape(e, u)
  return c, d, f
}
