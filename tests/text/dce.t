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
