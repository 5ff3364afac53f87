# run: canon,dce

== constants to the right, added and multiplied
const two: f32[] = {2}
const four: f32[2] = {4, 0.5}
const three: f32[] = {3}
const m: f32[] = {-1}
graph (x: f32[2]) {
  a: f32[2] = Add(two, x)
  b: f32[2] = Sub(a, three)
  c: f32[2] = Div(b, four)
  d: f32[2] = Div(c, three)
  e: f32[2] = Mul(d, m)
  return e
}
--
const two: f32[] = {2}
const new1: f32[] = {-3}
const new2: f32[2] = {0.25, 2}
const three: f32[] = {3}
graph (x: f32[2]) {
  a: f32[2] = Add(x, two)
  b: f32[2] = Add(a, new1)
  c: f32[2] = Mul(b, new2)
  d: f32[2] = Div(c, three)
  e: f32[2] = Neg(d)
  return e
}

== a constant minus something stays
const two: f32[] = {2}
graph (x: f32[2]) {
  a: f32[2] = Sub(two, x)
  return a
}
--
const two: f32[] = {2}
graph (x: f32[2]) {
  a: f32[2] = Sub(two, x)
  return a
}

== whole numbers: no reciprocals; unsigned ones are subtracted
const two: i32[] = {2}
const u: u8[] = {2}
graph (x: i32[2], y: u8[2]) {
  a: i32[2] = Div(x, two)
  b: i32[2] = Sub(a, two)
  c: u8[2] = Sub(y, u)
  d: i32[2] = Pow(b, two)
  return c, d
}
--
const two: i32[] = {2}
const new1: i32[] = {-2}
const u: u8[] = {2}
graph (x: i32[2], y: u8[2]) {
  a: i32[2] = Div(x, two)
  b: i32[2] = Add(a, new1)
  c: u8[2] = Sub(y, u)
  d: i32[2] = Mul(b, b)
  return c, d
}

== a reciprocal that would be denormal
const k: f32[] = {1.7014118346046923e38}
graph (x: f32[2]) {
  a: f32[2] = Div(x, k)
  return a
}
--
const k: f32[] = {1.70141183e+38}
graph (x: f32[2]) {
  a: f32[2] = Div(x, k)
  return a
}

== powers of floats round
const two: f32[] = {2}
graph (x: f32[2]) {
  a: f32[2] = Pow(x, two)
  return a
}
--
const two: f32[] = {2}
graph (x: f32[2]) {
  a: f32[2] = Pow(x, two)
  return a
}

== axes and shapes
const m: i64[2] = {-1, 0}
const s: i64[2] = {0, -1}
const from: i64[2] = {-2, 0}
const to: i64[2] = {99, 99}
const step: i64[2] = {1, 1}
graph (x: f32[2,3,4]) {
  a: f32[2,3,4] = Softmax(x) <axis=-1>
  b: f32[1,3,1] = ReduceSum(a, m)
  c: f32[2,12] = Reshape(a, s)
  d: f32[2,3,2] = Slice(a, from, to, m, step)
  e: f32[2,3,2] = Transpose(d)
  return b, c, e
}
--
const new1: i64[2] = {0, 2}
const new2: i64[2] = {2, 12}
const new3: i64[1] = {2}
const new4: i64[1] = {4}
const new5: i64[1] = {2}
const new6: i64[1] = {1}
graph (x: f32[2,3,4]) {
  a: f32[2,3,4] = Softmax(x) <axis=2>
  b: f32[1,3,1] = ReduceSum(a, new1)
  c: f32[2,12] = Reshape(a, new2)
  d: f32[2,3,2] = Slice(a, new3, new4, new5, new6)
  e: f32[2,3,2] = Transpose(d) <perm=[2, 1, 0]>
  return b, c, e
}

== a transpose that moves nothing
sym N in [1, 9]
graph (x: f32[N,1,4]) {
  a: f32[1,N,4] = Transpose(x) <perm=[1,0,2]>
  b: f32[1,4,N] = Transpose(x) <perm=[1,2,0]>
  return a, b
}
--
sym N in [1, 9]
graph (x: f32[N,1,4]) {
  new1: i64[3] = Dims() <dims=[1, N, 4]>
  a: f32[1,N,4] = Reshape(x, new1) <allowzero=1>
  b: f32[1,4,N] = Transpose(x) <perm=[1, 2, 0]>
  return a, b
}

# run: canon(fast),dce
# tol: 1e-6

== what differs by rounding
const two: f32[] = {2}
const three: f32[] = {3}
const half: f32[] = {0.5}
const mhalf: f32[] = {-0.5}
const tiny: f32[] = {1e-30}
graph (x: f32[2]) {
  a: f32[2] = Div(x, three)
  b: f32[2] = Div(x, tiny)
  c: f32[2] = Pow(x, two)
  d: f32[2] = Pow(c, half)
  e: f32[2] = Pow(c, mhalf)
  return a, b, c, d, e
}
--
const new1: f32[] = {0.333333343}
const tiny: f32[] = {1e-30}
const new2: f32[] = {1}
graph (x: f32[2]) {
  a: f32[2] = Mul(x, new1)
  b: f32[2] = Div(x, tiny)
  c: f32[2] = Mul(x, x)
  d: f32[2] = Sqrt(c)
  new3: f32[2] = Sqrt(c)
  e: f32[2] = Div(new2, new3)
  return a, b, c, d, e
}
