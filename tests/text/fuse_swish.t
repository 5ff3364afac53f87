# run: fuse_swish
# tol: 1e-5

== SiLU, swapped, with a factor
const k: f32[1] = {1.702}
graph (x: f32[4], z: f32[4]) {
  a: f32[4] = Sigmoid(x)
  y: f32[4] = Mul(x, a)
  b: f32[4] = Mul(k, z)
  c: f32[4] = Sigmoid(b)
  w: f32[4] = Mul(c, z)
  return y, w
}
--
graph (x: f32[4], z: f32[4]) {
  y: f32[4] = Swish(x)
  w: f32[4] = Swish(z) <alpha=1.7020000219345093>
  return y, w
}

== the sigmoid of something else, or used elsewhere; factors that differ
const k: f32[4] = {1, 2, 3, 4}
graph (x: f32[4], z: f32[4], w: f32[4]) {
  a: f32[4] = Sigmoid(x)
  y: f32[4] = Mul(z, a)
  b: f32[4] = Sigmoid(z)
  v: f32[4] = Mul(z, b)
  c: f32[4] = Mul(w, k)
  d: f32[4] = Sigmoid(c)
  u: f32[4] = Mul(w, d)
  return y, v, b, u
}
--
const k: f32[4] = {1, 2, 3, 4}
graph (x: f32[4], z: f32[4], w: f32[4]) {
  a: f32[4] = Sigmoid(x)
  y: f32[4] = Mul(z, a)
  b: f32[4] = Sigmoid(z)
  v: f32[4] = Mul(z, b)
  c: f32[4] = Mul(w, k)
  d: f32[4] = Sigmoid(c)
  u: f32[4] = Mul(w, d)
  return y, v, b, u
}

== a sigmoid from an exponential
const one: f32[] = {1}
graph (x: f32[4], z: f32[4]) {
  a: f32[4] = Neg(x)
  b: f32[4] = Exp(a)
  c: f32[4] = Add(one, b)
  y: f32[4] = Div(one, c)
  d: f32[4] = Neg(z)
  e: f32[4] = Exp(d)
  f: f32[4] = Add(e, one)
  w: f32[4] = Div(z, f)
  return y, w
}
--
graph (x: f32[4], z: f32[4]) {
  y: f32[4] = Sigmoid(x)
  w: f32[4] = Swish(z)
  return y, w
}
