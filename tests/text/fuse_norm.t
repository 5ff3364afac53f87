# run: fuse_norm
# tol: 1e-5

== layer norm of the torch exporter
const axis: i64[1] = {-1}
const two: f32[] = {2}
const eps: f32[] = {1e-5}
const w: f32[4] = {1, 2, 3, 4}
const b: f32[4] = {5, 6, 7, 8}
graph (x: f32[2,4]) {
  m: f32[2,1] = ReduceMean(x, axis)
  d: f32[2,4] = Sub(x, m)
  q: f32[2,4] = Pow(d, two)
  v: f32[2,1] = ReduceMean(q, axis)
  a: f32[2,1] = Add(v, eps)
  s: f32[2,1] = Sqrt(a)
  n: f32[2,4] = Div(d, s)
  o: f32[2,4] = Mul(n, w)
  y: f32[2,4] = Add(o, b)
  return y
}
--
const w: f32[4] = {1, 2, 3, 4}
const b: f32[4] = {5, 6, 7, 8}
graph (x: f32[2,4]) {
  y: f32[2,4] = LayerNormalization(x, w, b) <axis=1, epsilon=9.9999997473787516e-06>
  return y
}

== several axes, a product, a reciprocal, scale and bias swapped and with axes of one
const axes: i64[2] = {-1, 1}
const one: f32[] = {1}
const eps: f32[] = {1e-5}
graph (x: f32[2,3,4], w: f32[1,3,4], b: f32[3,4]) {
  m: f32[2,1,1] = ReduceMean(x, axes)
  d: f32[2,3,4] = Sub(x, m)
  q: f32[2,3,4] = Mul(d, d)
  v: f32[2,1,1] = ReduceMean(q, axes)
  a: f32[2,1,1] = Add(eps, v)
  s: f32[2,1,1] = Sqrt(a)
  r: f32[2,1,1] = Div(one, s)
  n: f32[2,3,4] = Mul(r, d)
  o: f32[2,3,4] = Mul(w, n)
  y: f32[2,3,4] = Add(b, o)
  return y
}
--
const new1: i64[2] = {3, 4}
graph (x: f32[2,3,4], w: f32[1,3,4], b: f32[3,4]) {
  new2: f32[3,4] = Reshape(w, new1) <allowzero=1>
  y: f32[2,3,4] = LayerNormalization(x, new2, b) <axis=1, epsilon=9.9999997473787516e-06>
  return y
}

== bias alone; a scale of another shape stays outside
const axis: i64[1] = {1}
const eps: f32[] = {1e-5}
const mh: f32[] = {-0.5}
graph (x: f32[2,4], b: f32[4], c: f32[2,1]) {
  m: f32[2,1] = ReduceMean(x, axis)
  d: f32[2,4] = Sub(x, m)
  q: f32[2,4] = Mul(d, d)
  v: f32[2,1] = ReduceMean(q, axis)
  a: f32[2,1] = Add(v, eps)
  r: f32[2,1] = Pow(a, mh)
  n: f32[2,4] = Mul(d, r)
  y: f32[2,4] = Add(n, b)
  z: f32[2,4] = Mul(y, c)
  return z
}
--
graph (x: f32[2,4], b: f32[4], c: f32[2,1]) {
  y: f32[2,4] = LayerNormalization(x, _, b) <axis=1, epsilon=9.9999997473787516e-06>
  z: f32[2,4] = Mul(y, c)
  return z
}

== axes that are not the last
const axis: i64[1] = {0}
const eps: f32[] = {1e-5}
graph (x: f32[2,4]) {
  m: f32[1,4] = ReduceMean(x, axis)
  d: f32[2,4] = Sub(x, m)
  q: f32[2,4] = Mul(d, d)
  v: f32[1,4] = ReduceMean(q, axis)
  a: f32[1,4] = Add(v, eps)
  s: f32[1,4] = Sqrt(a)
  y: f32[2,4] = Div(d, s)
  return y
}
--
const axis: i64[1] = {0}
const eps: f32[] = {9.99999975e-06}
graph (x: f32[2,4]) {
  m: f32[1,4] = ReduceMean(x, axis)
  d: f32[2,4] = Sub(x, m)
  q: f32[2,4] = Mul(d, d)
  v: f32[1,4] = ReduceMean(q, axis)
  a: f32[1,4] = Add(v, eps)
  s: f32[1,4] = Sqrt(a)
  y: f32[2,4] = Div(d, s)
  return y
}

== the variance is used elsewhere
const axis: i64[1] = {1}
const eps: f32[] = {1e-5}
graph (x: f32[2,4]) {
  m: f32[2,1] = ReduceMean(x, axis)
  d: f32[2,4] = Sub(x, m)
  q: f32[2,4] = Mul(d, d)
  v: f32[2,1] = ReduceMean(q, axis)
  a: f32[2,1] = Add(v, eps)
  s: f32[2,1] = Sqrt(a)
  y: f32[2,4] = Div(d, s)
  return y, v
}
--
const axis: i64[1] = {1}
const eps: f32[] = {9.99999975e-06}
graph (x: f32[2,4]) {
  m: f32[2,1] = ReduceMean(x, axis)
  d: f32[2,4] = Sub(x, m)
  q: f32[2,4] = Mul(d, d)
  v: f32[2,1] = ReduceMean(q, axis)
  a: f32[2,1] = Add(v, eps)
  s: f32[2,1] = Sqrt(a)
  y: f32[2,4] = Div(d, s)
  return y, v
}

== the mean is used elsewhere: the rest is an RMS norm
const axis: i64[1] = {1}
const eps: f32[] = {1e-5}
graph (x: f32[2,4]) {
  m: f32[2,1] = ReduceMean(x, axis)
  d: f32[2,4] = Sub(x, m)
  q: f32[2,4] = Mul(d, d)
  v: f32[2,1] = ReduceMean(q, axis)
  a: f32[2,1] = Add(v, eps)
  s: f32[2,1] = Sqrt(a)
  y: f32[2,4] = Div(d, s)
  return y, m
}
--
const axis: i64[1] = {1}
graph (x: f32[2,4]) {
  m: f32[2,1] = ReduceMean(x, axis)
  d: f32[2,4] = Sub(x, m)
  y: f32[2,4] = RMSNormalization(d) <axis=1, epsilon=9.9999997473787516e-06>
  return y, m
}

== RMS norm with a weight, three spellings
const axis: i64[1] = {-1}
const two: f32[] = {2}
const one: f32[] = {1}
const eps: f32[] = {1e-6}
const w: f32[4] = {1, 2, 3, 4}
graph (x: f32[2,4]) {
  q: f32[2,4] = Pow(x, two)
  v: f32[2,1] = ReduceMean(q, axis)
  a: f32[2,1] = Add(v, eps)
  s: f32[2,1] = Sqrt(a)
  n: f32[2,4] = Div(x, s)
  y: f32[2,4] = Mul(w, n)
  q2: f32[2,4] = Mul(y, y)
  v2: f32[2,1] = ReduceMean(q2, axis)
  a2: f32[2,1] = Add(v2, eps)
  s2: f32[2,1] = Sqrt(a2)
  r2: f32[2,1] = Div(one, s2)
  y2: f32[2,4] = Mul(y, r2)
  q3: f32[2,4] = Mul(y2, y2)
  v3: f32[2,1] = ReduceMean(q3, axis)
  a3: f32[2,1] = Add(v3, eps)
  i3: f32[2,1] = Div(one, a3)
  s3: f32[2,1] = Sqrt(i3)
  y3: f32[2,4] = Mul(s3, y2)
  return y3
}
--
const w: f32[4] = {1, 2, 3, 4}
graph (x: f32[2,4]) {
  y: f32[2,4] = RMSNormalization(x, w) <axis=1, epsilon=9.9999999747524271e-07>
  y2: f32[2,4] = RMSNormalization(y) <axis=1, epsilon=9.9999999747524271e-07>
  y3: f32[2,4] = RMSNormalization(y2) <axis=1, epsilon=9.9999999747524271e-07>
  return y3
}

== RMS norm of halves, computed in f32
const axis: i64[1] = {-1}
const two: f32[] = {2}
const eps: f32[] = {1e-6}
const w: f16[4] = {1, 2, 3, 4}
graph (x: f16[2,4]) {
  f: f32[2,4] = Cast(x) <to=f32>
  q: f32[2,4] = Pow(f, two)
  v: f32[2,1] = ReduceMean(q, axis)
  a: f32[2,1] = Add(v, eps)
  s: f32[2,1] = Sqrt(a)
  n: f32[2,4] = Div(f, s)
  h: f16[2,4] = Cast(n) <to=f16>
  y: f16[2,4] = Mul(w, h)
  return y
}
--
const w: f16[4] = {1, 2, 3, 4}
graph (x: f16[2,4]) {
  y: f16[2,4] = RMSNormalization(x, w) <axis=1, epsilon=9.9999999747524271e-07>
  return y
}
