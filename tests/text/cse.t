# run: cse,dce

== equal nodes
graph (x: f32[2,3]) {
  a: f32[2,3] = Exp(x)
  b: f32[2,3] = Exp(x)
  y: f32[2,3] = Add(a, b)
  return y
}
--
graph (x: f32[2,3]) {
  a: f32[2,3] = Exp(x)
  y: f32[2,3] = Add(a, a)
  return y
}

== operands of a commutative operator in any order
graph (x: f32[2], z: f32[2]) {
  a: f32[2] = Add(x, z)
  b: f32[2] = Add(z, x)
  c: f32[2] = Sub(x, z)
  d: f32[2] = Sub(z, x)
  return a, b, c, d
}
--
graph (x: f32[2], z: f32[2]) {
  a: f32[2] = Add(x, z)
  c: f32[2] = Sub(x, z)
  d: f32[2] = Sub(z, x)
  return a, b=a, c, d
}

== attributes tell apart
graph (x: f32[2,3]) {
  a: f32[2,3] = Softmax(x) <axis=0>
  b: f32[2,3] = Softmax(x) <axis=1>
  c: f32[2,3] = Softmax(x) <axis=1>
  return a, b, c
}
--
graph (x: f32[2,3]) {
  a: f32[2,3] = Softmax(x) <axis=0>
  b: f32[2,3] = Softmax(x) <axis=1>
  return a, b, c=b
}

== constants by content
const k: f32[] = {2}
const l: f32[] = {2}
const m: f32[] = {3}
graph (x: f32[2]) {
  a: f32[2] = Mul(x, k)
  b: f32[2] = Mul(x, l)
  c: f32[2] = Mul(x, m)
  return a, b, c
}
--
const k: f32[] = {2}
const m: f32[] = {3}
graph (x: f32[2]) {
  a: f32[2] = Mul(x, k)
  c: f32[2] = Mul(x, m)
  return a, b=a, c
}

== a nested graph sees what stands before it
graph (x: f32[2], p: bool[]) {
  a: f32[2] = Exp(x)
  y: f32[2] = If(p) graph () {
    b: f32[2] = Exp(x)
    return b
  } graph () {
    c: f32[2] = Neg(x)
    return c
  }
  d: f32[2] = Neg(x)
  return y, a, d
}
--
graph (x: f32[2], p: bool[]) {
  a: f32[2] = Exp(x)
  y: f32[2] = If(p) graph () {
    return b=a
  } graph () {
    c: f32[2] = Neg(x)
    return c
  }
  d: f32[2] = Neg(x)
  return y, a, d
}

== random numbers differ
const s: i64[1] = {2}
graph (x: f32[2]) {
  a: f32[2] = RandomUniform(s) <dtype=f32, seed=1>
  b: f32[2] = Sub(a, a)
  return b
}
--
const s: i64[1] = {2}
graph (x: f32[2]) {
  a: f32[2] = RandomUniform(s) <dtype=f32, seed=1>
  b: f32[2] = Sub(a, a)
  return b
}
