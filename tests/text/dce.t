# run: dce

== a node without a use goes, and what it alone used
graph (x: f32[2,3]) {
  a: f32[2,3] = Exp(x)
  b: f32[2,3] = Neg(a)
  y: f32[2,3] = Relu(x)
  return y
}
--
graph (x: f32[2,3]) {
  y: f32[2,3] = Relu(x)
  return y
}

== a second result without a use becomes absent
graph (x: f32[1,1,4,4]) {
  a: f32[1,1,2,2], i: i64[1,1,2,2] = MaxPool(x) <kernel=[2,2], strides=[2,2]>
  return a
}
--
graph (x: f32[1,1,4,4]) {
  a: f32[1,1,2,2] = MaxPool(x) <kernel=[2, 2], strides=[2, 2]>
  return a
}

== a result needed for a size stays
graph (x: f32[4]) {
  n: i64[1,K] = NonZero(x)
  d: i64[1] = Dims() <dims=[K]>
  return d
}
--
sym K in [0, inf]
graph (x: f32[4]) {
  n: i64[1,K] = NonZero(x)
  d: i64[1] = Dims() <dims=[K]>
  return d
}

== results of a choice that nothing uses
graph (x: f32[2], p: bool[]) {
  y: f32[2], z: f32[2] = If(p) graph () {
    a: f32[2] = Exp(x)
    b: f32[2] = Neg(x)
    return a, b
  } graph () {
    c: f32[2] = Relu(x)
    d: f32[2] = Abs(x)
    return c, d
  }
  return z
}
--
graph (x: f32[2], p: bool[]) {
  z: f32[2] = If(p) graph () {
    b: f32[2] = Neg(x)
    return b
  } graph () {
    d: f32[2] = Abs(x)
    return d
  }
  return z
}

== what a loop carries or collects for nobody
const n: i64[] = {3}
graph (x: f32[2], c: f32[2]) {
  y: f32[2], z: f32[2], u: f32[2], s: f32[3,2], t: f32[3,2] = Loop(n, _, x, c, c) graph (i: i64[], go: bool[], a: f32[2], b: f32[2], e: f32[2]) {
    a2: f32[2] = Tanh(a)
    e2: f32[2] = Tanh(a)
    f: f32[2] = Neg(a)
    return go, a2, b, e2, f, a2
  }
  return y, t
}
--
const n: i64[] = {3}
graph (x: f32[2], c: f32[2]) {
  y: f32[2], t: f32[3,2] = Loop(n, _, x) graph (i: i64[], go: bool[], a: f32[2]) {
    a2: f32[2] = Tanh(a)
    return go, a2, a2
  }
  return y, t
}

== a carried value that feeds another stays
const n: i64[] = {3}
graph (x: f32[2], c: f32[2]) {
  y: f32[2], z: f32[2] = Loop(n, _, x, c) graph (i: i64[], go: bool[], a: f32[2], b: f32[2]) {
    a2: f32[2] = Add(a, b)
    b2: f32[2] = Tanh(b)
    return go, a2, b2
  }
  return y
}
--
const n: i64[] = {3}
graph (x: f32[2], c: f32[2]) {
  y: f32[2], z: f32[2] = Loop(n, _, x, c) graph (i: i64[], go: bool[], a: f32[2], b: f32[2]) {
    a2: f32[2] = Add(a, b)
    b2: f32[2] = Tanh(b)
    return go, a2, b2
  }
  return y
}

== a size that an expression needs
graph (x: f32[4]) {
  n: i64[1,K] = NonZero(x)
  d: i64[2] = Dims() <dims=[2*K+1, max(K,3)]>
  return d
}
--
sym K in [0, inf]
graph (x: f32[4]) {
  n: i64[1,K] = NonZero(x)
  d: i64[2] = Dims() <dims=[2*K+1, max(3,K)]>
  return d
}
