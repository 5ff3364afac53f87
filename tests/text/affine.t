# run: affine,dce
# tol: 1e-4

== batch normalisation after a convolution
const w: f32[2,1,1,2] = {1, 2, 3, 4}
const s: f32[2,1,1] = {2, 3}
const c: f32[2,1,1] = {5, 6}
graph (x: f32[1,1,3,4]) {
  a: f32[1,2,3,3] = Conv(x, w)
  b: f32[1,2,3,3] = Mul(s, a)
  y: f32[1,2,3,3] = Add(c, b)
  return y
}
--
const new1: f32[2,1,1,2] = {2, 4, 9, 12}
const new2: f32[2] = {5, 6}
graph (x: f32[1,1,3,4]) {
  y: f32[1,2,3,3] = Conv(x, new1, new2)
  return y
}

== with a bias, in groups; one number for all
const w: f32[4,1,1,1] = {1, 2, 3, 4}
const b: f32[4] = {1, 1, 1, 1}
const s: f32[] = {2}
const c: f32[1,4,1,1] = {5, 6, 7, 8}
graph (x: f32[1,2,3,3]) {
  a: f32[1,4,3,3] = Conv(x, w, b) <group=2>
  d: f32[1,4,3,3] = Mul(a, s)
  y: f32[1,4,3,3] = Add(d, c)
  return y
}
--
const new1: f32[4,1,1,1] = {2, 4, 6, 8}
const new2: f32[4] = {7, 8, 9, 10}
graph (x: f32[1,2,3,3]) {
  y: f32[1,4,3,3] = Conv(x, new1, new2) <group=2>
  return y
}

== a transposed convolution in groups
const w: f32[4,1,1,2] = {1, 2, 3, 4, 5, 6, 7, 8}
const s: f32[2,1,1] = {2, 3}
const c: f32[2,1,1] = {5, 6}
graph (x: f32[1,4,2,2]) {
  a: f32[1,2,2,3] = ConvTranspose(x, w) <group=2>
  d: f32[1,2,2,3] = Mul(a, s)
  y: f32[1,2,2,3] = Add(d, c)
  return y
}
--
const new1: f32[4,1,1,2] = {2, 4, 6, 8, 15, 18, 21, 24}
const new2: f32[2] = {5, 6}
graph (x: f32[1,4,2,2]) {
  y: f32[1,2,2,3] = ConvTranspose(x, new1, new2) <group=2>
  return y
}

== before the convolution: factors always, terms without padding
const w: f32[2,2,1,2] = {1, 2, 3, 4, 5, 6, 7, 8}
const v: f32[2,2,1,2] = {1, 2, 3, 4, 5, 6, 7, 8}
const s: f32[2,1,1] = {2, 3}
const c: f32[2,1,1] = {5, 6}
graph (x: f32[1,2,3,4]) {
  a: f32[1,2,3,4] = Mul(x, s)
  b: f32[1,2,3,4] = Add(a, c)
  d: f32[1,2,3,3] = Conv(b, w)
  e: f32[1,2,3,3] = Mul(d, s)
  f: f32[1,2,3,3] = Relu(e)
  g: f32[1,2,3,3] = Mul(f, s)
  h: f32[1,2,3,3] = Add(g, c)
  y: f32[1,2,3,4] = Conv(h, v) <pads=[0,1,0,1]>
  return y
}
--
const new1: f32[2,2,1,2] = {4, 8, 18, 24, 30, 36, 63, 72}
const new2: f32[2] = {114, 435}
const s: f32[2,1,1] = {2, 3}
const c: f32[2,1,1] = {5, 6}
const v: f32[2,2,1,2] = {1, 2, 3, 4, 5, 6, 7, 8}
graph (x: f32[1,2,3,4]) {
  e: f32[1,2,3,3] = Conv(x, new1, new2)
  f: f32[1,2,3,3] = Relu(e)
  g: f32[1,2,3,3] = Mul(f, s)
  h: f32[1,2,3,3] = Add(g, c)
  y: f32[1,2,3,4] = Conv(h, v) <pads=[0, 1, 0, 1]>
  return y
}

== factors before a convolution in groups, and a transposed one
const w: f32[4,1,1,1] = {1, 2, 3, 4}
const v: f32[4,1,1,2] = {1, 2, 3, 4, 5, 6, 7, 8}
const s: f32[2,1,1] = {2, 3}
const t: f32[4,1,1] = {2, 3, 4, 5}
graph (x: f32[1,2,3,4]) {
  a: f32[1,2,3,4] = Mul(x, s)
  b: f32[1,4,3,4] = Conv(a, w) <group=2>
  r: f32[1,4,3,4] = Relu(b)
  d: f32[1,4,3,4] = Mul(r, t)
  y: f32[1,2,3,5] = ConvTranspose(d, v) <group=2>
  return y
}
--
const new1: f32[4,1,1,1] = {2, 4, 9, 12}
const new2: f32[4,1,1,2] = {2, 4, 9, 12, 20, 24, 35, 40}
graph (x: f32[1,2,3,4]) {
  b: f32[1,4,3,4] = Conv(x, new1) <group=2>
  r: f32[1,4,3,4] = Relu(b)
  y: f32[1,2,3,5] = ConvTranspose(r, new2) <group=2>
  return y
}

== a product with a matrix, both sides
const w: f32[2,3] = {1, 2, 3, 4, 5, 6}
const s: f32[2] = {2, 3}
const t: f32[2] = {4, 5}
const c: f32[3] = {1, 2, 4}
const d: f32[3] = {5, 6, 7}
graph (x: f32[4,2]) {
  a: f32[4,2] = Mul(x, s)
  b: f32[4,2] = Add(a, t)
  e: f32[4,3] = MatMul(b, w)
  f: f32[4,3] = Add(e, d)
  g: f32[4,3] = Mul(f, c)
  y: f32[4,3] = Add(g, d)
  return y
}
--
const new1: f32[2,3] = {2, 8, 24, 12, 30, 72}
const new2: f32[3] = {34, 84, 203}
graph (x: f32[4,2]) {
  new3: f32[4,3] = MatMul(x, new1)
  y: f32[4,3] = Add(new3, new2)
  return y
}

== chains without weights
const a: f32[2] = {2, 3}
const b: f32[2] = {4, 5}
const c: f32[] = {7}
graph (x: f32[2], z: f32[2]) {
  d: f32[2] = Mul(x, a)
  e: f32[2] = Add(d, b)
  f: f32[2] = Mul(e, c)
  g: f32[2] = Add(f, a)
  h: f32[2] = Add(z, b)
  i: f32[2] = Mul(h, a)
  y: f32[2] = Add(i, c)
  return g, y
}
--
const new1: f32[2] = {14, 21}
const new2: f32[2] = {30, 38}
const a: f32[2] = {2, 3}
const new3: f32[2] = {15, 22}
graph (x: f32[2], z: f32[2]) {
  new4: f32[2] = Mul(x, new1)
  g: f32[2] = Add(new4, new2)
  new5: f32[2] = Mul(z, a)
  y: f32[2] = Add(new5, new3)
  return g, y
}

== factors per row, weights with another use, results with another use
const w: f32[2,3] = {1, 2, 3, 4, 5, 6}
const v: f32[2,3] = {1, 2, 3, 4, 5, 7}
const r: f32[4,1] = {1, 2, 3, 4}
const s: f32[] = {2}
graph (x: f32[4,2], z: f32[4,2]) {
  a: f32[4,3] = MatMul(x, v)
  b: f32[4,3] = Mul(a, r)
  c: f32[4,3] = MatMul(x, w)
  d: f32[4,3] = Mul(c, s)
  e: f32[4,3] = MatMul(z, w)
  return b, d, e
}
--
const v: f32[2,3] = {1, 2, 3, 4, 5, 7}
const r: f32[4,1] = {1, 2, 3, 4}
const w: f32[2,3] = {1, 2, 3, 4, 5, 6}
const s: f32[] = {2}
graph (x: f32[4,2], z: f32[4,2]) {
  a: f32[4,3] = MatMul(x, v)
  b: f32[4,3] = Mul(a, r)
  c: f32[4,3] = MatMul(x, w)
  d: f32[4,3] = Mul(c, s)
  e: f32[4,3] = MatMul(z, w)
  return b, d, e
}

== a convolution's result used twice
const w: f32[1,1,1,1] = {3}
const s: f32[] = {2}
graph (x: f32[1,1,2,2]) {
  a: f32[1,1,2,2] = Conv(x, w)
  b: f32[1,1,2,2] = Mul(a, s)
  y: f32[1,1,2,2] = Sub(b, a)
  return y
}
--
const w: f32[1,1,1,1] = {3}
const s: f32[] = {2}
graph (x: f32[1,1,2,2]) {
  a: f32[1,1,2,2] = Conv(x, w)
  b: f32[1,1,2,2] = Mul(a, s)
  y: f32[1,1,2,2] = Sub(b, a)
  return y
}

== factors and terms that make the operand larger
const w: f32[2,1] = {1, 2}
const v: f32[1,2,1,1] = {1, 2}
const s: f32[2] = {3, 4}
const t: f32[2,1,1] = {3, 4}
graph (x: f32[3,1], z: f32[1,1,2,2]) {
  a: f32[3,2] = Mul(x, s)
  y: f32[3,1] = MatMul(a, w)
  b: f32[1,2,2,2] = Mul(z, t)
  u: f32[1,1,2,2] = Conv(b, v)
  c: f32[1,2,2,2] = Add(z, t)
  q: f32[1,1,2,2] = Conv(c, v)
  return y, u, q
}
--
const s: f32[2] = {3, 4}
const w: f32[2,1] = {1, 2}
const t: f32[2,1,1] = {3, 4}
const v: f32[1,2,1,1] = {1, 2}
graph (x: f32[3,1], z: f32[1,1,2,2]) {
  a: f32[3,2] = Mul(x, s)
  y: f32[3,1] = MatMul(a, w)
  b: f32[1,2,2,2] = Mul(z, t)
  u: f32[1,1,2,2] = Conv(b, v)
  c: f32[1,2,2,2] = Add(z, t)
  q: f32[1,1,2,2] = Conv(c, v)
  return y, u, q
}
