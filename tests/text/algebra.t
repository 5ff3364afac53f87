# run: algebra,dce

== x + 0: only where no zero changes its sign
const p: f32[] = {0}
const n: f32[] = {-0}
const i: i64[] = {0}
graph (x: f32[2], k: i64[2]) {
  a: f32[2] = Add(x, p)
  b: f32[2] = Add(x, n)
  c: i64[2] = Add(i, k)
  d: f32[2] = Sub(x, p)
  e: f32[2] = Sub(x, n)
  return a, b, c, d, e
}
--
const p: f32[] = {0}
const n: f32[] = hex"00000080"
graph (x: f32[2], k: i64[2]) {
  a: f32[2] = Add(x, p)
  e: f32[2] = Sub(x, n)
  return a, b=x, c=k, d=x, e
}

== neutral elements
const one: f32[] = {1}
const ones: f32[2] = {1,1}
const t: bool[] = {1}
const f: bool[] = {0}
graph (x: f32[2], b: bool[2]) {
  a: f32[2] = Mul(one, x)
  c: f32[2] = Div(a, ones)
  d: f32[2] = Pow(c, one)
  e: bool[2] = And(t, b)
  g: bool[2] = Or(e, f)
  h: bool[2] = Xor(g, f)
  return d, h
}
--
graph (x: f32[2], b: bool[2]) {
  return d=x, h=b
}

== a neutral element that gives the shape
const ones: f32[3,2] = {1,1,1,1,1,1}
graph (x: f32[2]) {
  a: f32[3,2] = Mul(x, ones)
  return a
}
--
const new1: i64[2] = {3, 2}
graph (x: f32[2]) {
  a: f32[3,2] = Expand(x, new1)
  return a
}

== division by one is not division of one
const one: f32[] = {1}
graph (x: f32[2]) {
  a: f32[2] = Div(one, x)
  return a
}
--
const one: f32[] = {1}
graph (x: f32[2]) {
  a: f32[2] = Div(one, x)
  return a
}

== zero times a whole number, not times a float
const z: i32[] = {0}
const f: f32[] = {0}
graph (x: i32[2], y: f32[2]) {
  a: i32[2] = Mul(x, z)
  b: f32[2] = Mul(y, f)
  c: i32[2] = Sub(x, x)
  d: f32[2] = Sub(y, y)
  return a, b, c, d
}
--
const f: f32[] = {0}
const new1: i32[2] = {0, 0}
const new2: i32[2] = {0, 0}
graph (x: i32[2], y: f32[2]) {
  b: f32[2] = Mul(y, f)
  d: f32[2] = Sub(y, y)
  return a=new1, b, c=new2, d
}

== comparisons with itself
graph (x: i32[2], y: f32[2]) {
  a: bool[2] = Equal(x, x)
  b: bool[2] = Equal(y, y)
  c: bool[2] = Less(y, y)
  d: bool[2] = LessOrEqual(x, x)
  return a, b, c, d
}
--
const new1: bool[2] = {1, 1}
const new2: bool[2] = {0, 0}
const new3: bool[2] = {1, 1}
graph (x: i32[2], y: f32[2]) {
  b: bool[2] = Equal(y, y)
  return a=new1, b, c=new2, d=new3
}

== twice is once
graph (x: f32[2], b: bool[2], i: i32[2]) {
  a1: f32[2] = Neg(x)
  a: f32[2] = Neg(a1)
  c1: bool[2] = Not(b)
  c: bool[2] = Not(c1)
  d1: f32[2] = Relu(x)
  d: f32[2] = Relu(d1)
  e1: f32[2] = Abs(a1)
  e: f32[2] = Abs(e1)
  f1: f32[2] = Ceil(x)
  f: f32[2] = Floor(f1)
  g: i32[2] = Max(i, i)
  h1: i32[2] = Abs(i)
  h: i32[2] = Relu(h1)
  return a, c, d, e, f, g, h
}
--
graph (x: f32[2], b: bool[2], i: i32[2]) {
  d1: f32[2] = Relu(x)
  e: f32[2] = Abs(x)
  f1: f32[2] = Ceil(x)
  h1: i32[2] = Abs(i)
  h: i32[2] = Relu(h1)
  return a=x, c=b, d=d1, e, f=f1, g=i, h
}

== the absolute value of what has no sign
graph (x: u8[2]) {
  n: u8[2] = Neg(x)
  a: u8[2] = Abs(n)
  return a
}
--
graph (x: u8[2]) {
  n: u8[2] = Neg(x)
  a: u8[2] = Abs(n)
  return a
}

== signs
const k: f32[] = {3}
graph (x: f32[2], y: f32[2]) {
  n: f32[2] = Neg(y)
  m: f32[2] = Neg(x)
  a: f32[2] = Add(n, x)
  b: f32[2] = Sub(x, n)
  c: f32[2] = Mul(m, n)
  d: f32[2] = Mul(k, n)
  return a, b, c, d
}
--
const new1: f32[] = {-3}
graph (x: f32[2], y: f32[2]) {
  a: f32[2] = Sub(x, y)
  b: f32[2] = Add(x, y)
  c: f32[2] = Mul(x, y)
  d: f32[2] = Mul(y, new1)
  return a, b, c, d
}

== a negated product that is used elsewhere stays
const k: f32[] = {3}
graph (x: f32[2]) {
  a: f32[2] = Mul(x, k)
  b: f32[2] = Neg(a)
  c: f32[2] = Mul(x, k)
  d: f32[2] = Neg(c)
  return a, b, d
}
--
const k: f32[] = {3}
const new1: f32[] = {-3}
graph (x: f32[2]) {
  a: f32[2] = Mul(x, k)
  b: f32[2] = Neg(a)
  d: f32[2] = Mul(x, new1)
  return a, b, d
}

== two constants of whole numbers
const k: i32[] = {3}
const l: i32[2] = {4, 5}
const f: f32[] = {0.1}
const g: f32[] = {0.7}
graph (x: i32[2], y: f32[2]) {
  a: i32[2] = Add(x, k)
  b: i32[2] = Add(l, a)
  c: f32[2] = Add(y, f)
  d: f32[2] = Add(c, g)
  return b, d
}
--
const new1: i32[2] = {7, 8}
const f: f32[] = {0.100000001}
const g: f32[] = {0.699999988}
graph (x: i32[2], y: f32[2]) {
  b: i32[2] = Add(x, new1)
  c: f32[2] = Add(y, f)
  d: f32[2] = Add(c, g)
  return b, d
}

== bounds
const one: f32[] = {1}
const two: f32[] = {2}
const m: f32[] = {-1}
graph (x: f32[4]) {
  a1: f32[4] = Max(x, one)
  a: f32[4] = Max(a1, two)
  b: f32[4] = Relu(a1)
  c1: f32[4] = Relu(x)
  c: f32[4] = Max(c1, one)
  d: f32[4] = Max(m, c1)
  e1: f32[4] = Max(x, m)
  e: f32[4] = Relu(e1)
  return a, b, c, d, e
}
--
const one: f32[] = {1}
const new1: f32[] = {2}
const m: f32[] = {-1}
graph (x: f32[4]) {
  a1: f32[4] = Max(x, one)
  a: f32[4] = Max(x, new1)
  c1: f32[4] = Relu(x)
  c: f32[4] = Max(x, one)
  e1: f32[4] = Max(x, m)
  e: f32[4] = Relu(e1)
  return a, b=a1, c, d=c1, e
}

== Where
const t: bool[2] = {1, 1}
const f: bool[] = {0}
const mixed: bool[2] = {0, 1}
graph (x: f32[2], y: f32[2], p: bool[2]) {
  a: f32[2] = Where(t, x, y)
  b: f32[2] = Where(f, x, y)
  c: f32[2] = Where(mixed, x, y)
  q: bool[2] = Not(p)
  d: f32[2] = Where(q, x, y)
  e: f32[2] = Where(p, x, x)
  g1: f32[2] = Where(p, y, c)
  g: f32[2] = Where(p, g1, x)
  return a, b, c, d, e, g
}
--
const mixed: bool[2] = {0, 1}
graph (x: f32[2], y: f32[2], p: bool[2]) {
  c: f32[2] = Where(mixed, x, y)
  d: f32[2] = Where(p, y, x)
  g: f32[2] = Where(p, y, x)
  return a=x, b=y, c, d, e=x, g
}

== casts that lose nothing
graph (i: i8[2], u: u8[2], h: f16[2], x: f32[2], l: i64[2]) {
  a1: i32[2] = Cast(i) <to=i32>
  a: f32[2] = Cast(a1) <to=f32>
  b1: f32[2] = Cast(h) <to=f32>
  b: f16[2] = Cast(b1) <to=f16>
  c1: f64[2] = Cast(x) <to=f64>
  c: f16[2] = Cast(c1) <to=f16>
  d1: i32[2] = Cast(u) <to=i32>
  d: i8[2] = Cast(d1) <to=i8>
  return a, b, c, d
}
--
graph (i: i8[2], u: u8[2], h: f16[2], x: f32[2], l: i64[2]) {
  a: f32[2] = Cast(i) <to=f32>
  c: f16[2] = Cast(x) <to=f16>
  d: i8[2] = Cast(u) <to=i8>
  return a, b=h, c, d
}

== casts that lose something
graph (x: f32[2], l: i64[2], i: i32[2]) {
  a1: f16[2] = Cast(x) <to=f16>
  a: f32[2] = Cast(a1) <to=f32>
  b1: i32[2] = Cast(x) <to=i32>
  b: f32[2] = Cast(b1) <to=f32>
  c1: f32[2] = Cast(l) <to=f32>
  c: i64[2] = Cast(c1) <to=i64>
  d1: f64[2] = Cast(i) <to=f64>
  d: i8[2] = Cast(d1) <to=i8>
  return a, b, c, d
}
--
graph (x: f32[2], l: i64[2], i: i32[2]) {
  a1: f16[2] = Cast(x) <to=f16>
  a: f32[2] = Cast(a1) <to=f32>
  b1: i32[2] = Cast(x) <to=i32>
  b: f32[2] = Cast(b1) <to=f32>
  c1: f32[2] = Cast(l) <to=f32>
  c: i64[2] = Cast(c1) <to=i64>
  d1: f64[2] = Cast(i) <to=f64>
  d: i8[2] = Cast(d1) <to=i8>
  return a, b, c, d
}

== reshapes in a row
const s: i64[2] = {3, 2}
const f: i64[1] = {-1}
const z: i64[2] = {0, 3}
graph (x: f32[2,3]) {
  a: f32[3,2] = Reshape(x, s)
  b: f32[6] = Reshape(a, f)
  c: f32[2,3] = Reshape(x, z)
  d: f32[3,2] = Relu(a)
  return b, c, d
}
--
const s: i64[2] = {3, 2}
const f: i64[1] = {-1}
graph (x: f32[2,3]) {
  a: f32[3,2] = Reshape(x, s)
  b: f32[6] = Reshape(x, f)
  d: f32[3,2] = Relu(a)
  return b, c=x, d
}

== slices that take all; slices of concatenations; slices put together
const zero: i64[1] = {0}
const one: i64[1] = {1}
const two: i64[1] = {2}
const three: i64[1] = {3}
const big: i64[1] = {99}
graph (x: f32[2,3], y: f32[2,3]) {
  a: f32[2,3] = Slice(x, zero, big, one, one)
  b: f32[2,6] = Concat(x, y) <axis=1>
  c: f32[2,3] = Slice(b, three, big, one, one)
  d: f32[2,1] = Slice(b, one, two, one, one)
  e: f32[2,1] = Slice(x, zero, one, one, one)
  g: f32[2,2] = Slice(x, one, three, one, one)
  h: f32[2,3] = Concat(e, g) <axis=1>
  return a, c, d, h
}
--
const new1: i64[1] = {1}
const new2: i64[1] = {2}
const new3: i64[1] = {1}
const new4: i64[1] = {1}
graph (x: f32[2,3], y: f32[2,3]) {
  d: f32[2,1] = Slice(x, new1, new2, new3, new4)
  return a=x, c=y, d, h=x
}

== a slice across the seam stays
const one: i64[1] = {1}
const two: i64[1] = {2}
const four: i64[1] = {4}
graph (x: f32[2,3], y: f32[2,3]) {
  b: f32[2,6] = Concat(x, y) <axis=1>
  i: f32[2,2] = Slice(b, two, four, one, one)
  return i
}
--
const two: i64[1] = {2}
const four: i64[1] = {4}
const one: i64[1] = {1}
graph (x: f32[2,3], y: f32[2,3]) {
  b: f32[2,6] = Concat(x, y) <axis=1>
  i: f32[2,2] = Slice(b, two, four, one, one)
  return i
}

== concatenations in concatenations
graph (x: f32[2], y: f32[2], z: f32[0]) {
  a: f32[4] = Concat(x, y) <axis=0>
  b: f32[6] = Concat(a, z, x) <axis=0>
  return b
}
--
graph (x: f32[2], y: f32[2], z: f32[0]) {
  b: f32[6] = Concat(x, y, x) <axis=0>
  return b
}

== transposes in a row
graph (x: f32[2,3,4]) {
  a: f32[3,4,2] = Transpose(x) <perm=[1,2,0]>
  b: f32[2,3,4] = Transpose(a) <perm=[2,0,1]>
  c: f32[4,2,3] = Transpose(a) <perm=[1,2,0]>
  d: f32[2,4,3] = Transpose(a) <perm=[2,1,0]>
  return b, c, d
}
--
graph (x: f32[2,3,4]) {
  c: f32[4,2,3] = Transpose(x) <perm=[2, 0, 1]>
  d: f32[2,4,3] = Transpose(x) <perm=[0, 2, 1]>
  return b=x, c, d
}

== padding goes into the window
const p: i64[8] = {0,0,1,2,0,0,1,0}
const q: i64[8] = {0,1,1,2,0,0,1,0}
graph (x: f32[1,2,5,5], w: f32[3,2,3,3], v: f32[3,3,3,3]) {
  a: f32[1,2,7,7] = Pad(x, p)
  b: f32[1,3,5,5] = Conv(a, w)
  c: f32[1,3,7,7] = Pad(x, q)
  d: f32[1,3,5,5] = Conv(c, v)
  e: f32[1,2,6,6] = AveragePool(a) <kernel=[2,2]>
  f: f32[1,2,7,6] = AveragePool(a) <kernel=[2,2], pads=[1,0,0,0], count_include_pad=1>
  return b, d, e, f
}
--
const q: i64[8] = {0, 1, 1, 2, 0, 0, 1, 0}
graph (x: f32[1,2,5,5], w: f32[3,2,3,3], v: f32[3,3,3,3]) {
  b: f32[1,3,5,5] = Conv(x, w) <pads=[1, 2, 1, 0]>
  c: f32[1,3,7,7] = Pad(x, q)
  d: f32[1,3,5,5] = Conv(c, v)
  e: f32[1,2,6,6] = AveragePool(x) <kernel=[2, 2], pads=[1, 2, 1, 0], count_include_pad=1>
  f: f32[1,2,7,6] = AveragePool(x) <kernel=[2, 2], pads=[2, 2, 1, 0], count_include_pad=1>
  return b, d, e, f
}

== padding with something else, or around a mean of what is there
const p: i64[8] = {0,0,1,2,0,0,1,0}
const one: f32[] = {1}
graph (x: f32[1,2,5,5], w: f32[3,2,3,3]) {
  a: f32[1,2,7,7] = Pad(x, p, one)
  b: f32[1,3,5,5] = Conv(a, w)
  c: f32[1,2,7,7] = Pad(x, p) <mode="edge">
  d: f32[1,3,5,5] = Conv(c, w)
  e: f32[1,2,7,7] = Pad(x, p)
  f: f32[1,2,7,6] = AveragePool(e) <kernel=[2,2], pads=[1,0,0,0]>
  return b, d, f
}
--
const p: i64[8] = {0, 0, 1, 2, 0, 0, 1, 0}
const one: f32[] = {1}
graph (x: f32[1,2,5,5], w: f32[3,2,3,3]) {
  a: f32[1,2,7,7] = Pad(x, p, one)
  b: f32[1,3,5,5] = Conv(a, w)
  c: f32[1,2,7,7] = Pad(x, p) <mode="edge">
  d: f32[1,3,5,5] = Conv(c, w)
  e: f32[1,2,7,7] = Pad(x, p)
  f: f32[1,2,7,6] = AveragePool(e) <kernel=[2, 2], pads=[1, 0, 0, 0]>
  return b, d, f
}

== an Expand before something that broadcasts
const s: i64[2] = {2, 3}
graph (x: f32[3], y: f32[2,3]) {
  a: f32[2,3] = Expand(x, s)
  b: f32[2,3] = Add(a, y)
  c: f32[2,3] = Mul(a, x)
  return b, c
}
--
const s: i64[2] = {2, 3}
graph (x: f32[3], y: f32[2,3]) {
  a: f32[2,3] = Expand(x, s)
  b: f32[2,3] = Add(x, y)
  c: f32[2,3] = Mul(a, x)
  return b, c
}

== sizes that are symbols
sym N in [0, 8]
graph (x: f32[N,3], y: f32[3]) {
  s: i64[2] = Shape(x)
  a: f32[N,3] = Expand(y, s)
  b: f32[N,3] = Add(a, x)
  d: i64[2] = Dims() <dims=[3,N]>
  c: f32[3,N] = Reshape(b, d)
  e: i64[2] = Dims() <dims=[N,3]>
  g: f32[N,3] = Reshape(c, e)
  return g
}
--
sym N in [0, 8]
graph (x: f32[N,3], y: f32[3]) {
  b: f32[N,3] = Add(y, x)
  return g=b
}

# run: algebra(fast),dce

== x + 0 where signs of zeros do not matter
const p: f32[] = {0}
graph (x: f32[2]) {
  a: f32[2] = Add(x, p)
  return a
}
--
graph (x: f32[2]) {
  return a=x
}

== a Concat along another axis inside a Concat: stays
graph (x: f32[2,4], y: f32[2,3], z: f32[1,7]) {
  w: f32[2,7] = Concat(x, y) <axis=1>
  v: f32[3,7] = Concat(z, w) <axis=0>
  return v
}
--
graph (x: f32[2,4], y: f32[2,3], z: f32[1,7]) {
  w: f32[2,7] = Concat(x, y) <axis=1>
  v: f32[3,7] = Concat(z, w) <axis=0>
  return v
}
