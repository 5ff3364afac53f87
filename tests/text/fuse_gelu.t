# run: fuse_gelu
# tol: 1e-5

== erf, divided, the half last
const r: f32[] = {1.4142135}
const one: f32[] = {1}
const half: f32[] = {0.5}
graph (x: f32[2,3]) {
  a: f32[2,3] = Div(x, r)
  b: f32[2,3] = Erf(a)
  c: f32[2,3] = Add(one, b)
  d: f32[2,3] = Mul(x, c)
  y: f32[2,3] = Mul(half, d)
  return y
}
--
graph (x: f32[2,3]) {
  y: f32[2,3] = Gelu(x)
  return y
}

== erf, multiplied, the half first, swapped
const r: f32[1] = {0.70711}
const one: f32[] = {1}
const half: f32[] = {0.5}
graph (x: f32[2,3]) {
  a: f32[2,3] = Mul(r, x)
  b: f32[2,3] = Erf(a)
  c: f32[2,3] = Add(b, one)
  d: f32[2,3] = Mul(half, x)
  y: f32[2,3] = Mul(c, d)
  return y
}
--
graph (x: f32[2,3]) {
  y: f32[2,3] = Gelu(x)
  return y
}

== erf, the half on the other factor; division by two; distributed
const r: f32[] = {1.4142135}
const one: f32[] = {1}
const two: f32[] = {2}
const half: f32[] = {0.5}
graph (x: f32[2], z: f32[2], w: f32[2]) {
  a: f32[2] = Div(x, r)
  b: f32[2] = Erf(a)
  c: f32[2] = Add(b, one)
  d: f32[2] = Mul(c, half)
  y: f32[2] = Mul(d, x)
  a2: f32[2] = Div(z, r)
  b2: f32[2] = Erf(a2)
  c2: f32[2] = Add(b2, one)
  d2: f32[2] = Mul(z, c2)
  y2: f32[2] = Div(d2, two)
  a3: f32[2] = Div(w, r)
  b3: f32[2] = Erf(a3)
  c3: f32[2] = Mul(b3, half)
  d3: f32[2] = Add(c3, half)
  y3: f32[2] = Mul(w, d3)
  return y, y2, y3
}
--
graph (x: f32[2], z: f32[2], w: f32[2]) {
  y: f32[2] = Gelu(x)
  y2: f32[2] = Gelu(z)
  y3: f32[2] = Gelu(w)
  return y, y2, y3
}

== half precision rounds the constants
const r: f16[] = {1.4142135}
const one: f16[] = {1}
const half: f16[] = {0.5}
graph (x: f16[4]) {
  a: f16[4] = Div(x, r)
  b: f16[4] = Erf(a)
  c: f16[4] = Add(b, one)
  d: f16[4] = Mul(x, c)
  y: f16[4] = Mul(d, half)
  return y
}
--
graph (x: f16[4]) {
  y: f16[4] = Gelu(x)
  return y
}

== another constant, another x, another use
const r: f32[] = {1.5}
const s: f32[] = {1.4142135}
const one: f32[] = {1}
const half: f32[] = {0.5}
graph (x: f32[2], z: f32[2]) {
  a: f32[2] = Div(x, r)
  b: f32[2] = Erf(a)
  c: f32[2] = Add(b, one)
  d: f32[2] = Mul(x, c)
  y: f32[2] = Mul(d, half)
  a2: f32[2] = Div(x, s)
  b2: f32[2] = Erf(a2)
  c2: f32[2] = Add(b2, one)
  d2: f32[2] = Mul(z, c2)
  y2: f32[2] = Mul(d2, half)
  a3: f32[2] = Div(z, s)
  b3: f32[2] = Erf(a3)
  c3: f32[2] = Add(b3, one)
  d3: f32[2] = Mul(z, c3)
  y3: f32[2] = Mul(d3, half)
  return y, y2, y3, c3
}
--
const r: f32[] = {1.5}
const one: f32[] = {1}
const half: f32[] = {0.5}
const s: f32[] = {1.41421354}
graph (x: f32[2], z: f32[2]) {
  a: f32[2] = Div(x, r)
  b: f32[2] = Erf(a)
  c: f32[2] = Add(b, one)
  d: f32[2] = Mul(x, c)
  y: f32[2] = Mul(d, half)
  a2: f32[2] = Div(x, s)
  b2: f32[2] = Erf(a2)
  c2: f32[2] = Add(b2, one)
  d2: f32[2] = Mul(z, c2)
  y2: f32[2] = Mul(d2, half)
  a3: f32[2] = Div(z, s)
  b3: f32[2] = Erf(a3)
  c3: f32[2] = Add(b3, one)
  d3: f32[2] = Mul(z, c3)
  y3: f32[2] = Mul(d3, half)
  return y, y2, y3, c3
}

== tanh of a cube
const three: f32[] = {3}
const c: f32[] = {0.044715}
const k: f32[] = {0.7978846}
const one: f32[] = {1}
const half: f32[] = {0.5}
graph (x: f32[4]) {
  a: f32[4] = Pow(x, three)
  b: f32[4] = Mul(a, c)
  d: f32[4] = Add(x, b)
  e: f32[4] = Mul(d, k)
  f: f32[4] = Tanh(e)
  g: f32[4] = Add(f, one)
  h: f32[4] = Mul(x, half)
  y: f32[4] = Mul(h, g)
  return y
}
--
graph (x: f32[4]) {
  y: f32[4] = Gelu(x) <approximate="tanh">
  return y
}

== tanh of products
const c: f32[] = {0.044715}
const k: f32[] = {0.7978846}
const one: f32[] = {1}
const half: f32[] = {0.5}
graph (x: f32[4]) {
  a: f32[4] = Mul(x, c)
  b: f32[4] = Mul(x, a)
  d: f32[4] = Add(one, b)
  e1: f32[4] = Mul(x, k)
  e: f32[4] = Mul(e1, d)
  f: f32[4] = Tanh(e)
  g: f32[4] = Add(f, one)
  h: f32[4] = Mul(x, g)
  y: f32[4] = Mul(h, half)
  return y
}
--
graph (x: f32[4]) {
  y: f32[4] = Gelu(x) <approximate="tanh">
  return y
}

== the sigmoid of twice the argument
const c: f32[] = {0.044715}
const k: f32[] = {1.5957691}
graph (x: f32[4]) {
  a: f32[4] = Mul(x, x)
  b: f32[4] = Mul(x, a)
  d: f32[4] = Mul(b, c)
  e: f32[4] = Add(d, x)
  f: f32[4] = Mul(e, k)
  g: f32[4] = Sigmoid(f)
  y: f32[4] = Mul(x, g)
  return y
}
--
graph (x: f32[4]) {
  y: f32[4] = Gelu(x) <approximate="tanh">
  return y
}
