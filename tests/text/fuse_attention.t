# run: fuse_attention,dce
# tol: 1e-5

== scaled scores, a mask
const c: f32[] = {0.5}
graph (q: f32[2,3,4,8], k: f32[2,3,5,8], v: f32[2,3,5,6], m: f32[2,1,1,5]) {
  t: f32[2,3,8,5] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[2,3,4,5] = MatMul(q, t)
  a: f32[2,3,4,5] = Mul(s, c)
  b: f32[2,3,4,5] = Add(m, a)
  p: f32[2,3,4,5] = Softmax(b)
  y: f32[2,3,4,6] = MatMul(p, v)
  return y
}
--
graph (q: f32[2,3,4,8], k: f32[2,3,5,8], v: f32[2,3,5,6], m: f32[2,1,1,5]) {
  y: f32[2,3,4,6] = Attention(q, k, v, m) <scale=0.5>
  return y
}

== heads from one transposition, divided, no mask
const d: f32[] = {2}
const perm: i64[4] = {2, 4, 3, 8}
graph (q: f32[2,3,4,8], k: f32[2,5,3,8], v: f32[2,3,5,6]) {
  t: f32[2,3,8,5] = Transpose(k) <perm=[0,2,3,1]>
  s: f32[2,3,4,5] = MatMul(q, t)
  a: f32[2,3,4,5] = Div(s, d)
  p: f32[2,3,4,5] = Softmax(a) <axis=3>
  y: f32[2,3,4,6] = MatMul(p, v)
  return y
}
--
graph (q: f32[2,3,4,8], k: f32[2,5,3,8], v: f32[2,3,5,6]) {
  new1: f32[2,3,5,8] = Transpose(k) <perm=[0, 2, 1, 3]>
  y: f32[2,3,4,6] = Attention(q, new1, v) <scale=0.5>
  return y
}

== q and k each times the root of the scale, before and after the transposition
const r: f32[] = {0.7}
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4]) {
  qs: f32[1,2,3,4] = Mul(q, r)
  t: f32[1,2,4,3] = Transpose(k) <perm=[0,1,3,2]>
  ts: f32[1,2,4,3] = Mul(t, r)
  s: f32[1,2,3,3] = MatMul(qs, ts)
  p: f32[1,2,3,3] = Softmax(s)
  y: f32[1,2,3,4] = MatMul(p, v)
  ks: f32[1,2,3,4] = Mul(k, r)
  t2: f32[1,2,4,3] = Transpose(ks) <perm=[0,1,3,2]>
  s2: f32[1,2,3,3] = MatMul(y, t2)
  p2: f32[1,2,3,3] = Softmax(s2)
  z: f32[1,2,3,4] = MatMul(p2, v)
  return z
}
--
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4]) {
  y: f32[1,2,3,4] = Attention(q, k, v) <scale=0.4899999833106996>
  z: f32[1,2,3,4] = Attention(y, k, v) <scale=0.69999998807907104>
  return z
}

== a causal constant, any size of "never"
const m: f32[1,1,3,3] = {0, -10000, -10000, 0, 0, -10000, 0, 0, 0}
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4]) {
  t: f32[1,2,4,3] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,3,3] = MatMul(q, t)
  a: f32[1,2,3,3] = Add(s, m)
  p: f32[1,2,3,3] = Softmax(a)
  y: f32[1,2,3,4] = MatMul(p, v)
  return y
}
--
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4]) {
  y: f32[1,2,3,4] = Attention(q, k, v) <scale=1, causal=1>
  return y
}

== a causal mask from ranges, and one from the file
sym T in [1, 8]
const zero: i64[] = {0}
const one: i64[] = {1}
const fz: f32[] = {0}
const never: f32[] = {-1e9}
graph (q: f32[1,2,T,4], k: f32[1,2,T,4], v: f32[1,2,T,4], m: f32[1,1,1,T]) {
  n: i64[] = Dims() <dims=[T], scalar=1>
  r: i64[T] = Range(zero, n, one)
  d: i64[2] = Dims() <dims=[T, 1]>
  i: i64[T,1] = Reshape(r, d)
  ok: bool[T,T] = LessOrEqual(r, i)
  w: f32[T,T] = Where(ok, fz, never)
  t: f32[1,2,4,T] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,T,T] = MatMul(q, t)
  a: f32[1,2,T,T] = Add(s, w)
  b: f32[1,2,T,T] = Add(a, m)
  p: f32[1,2,T,T] = Softmax(b)
  y: f32[1,2,T,4] = MatMul(p, v)
  return y
}
--
sym T in [1, 8]
graph (q: f32[1,2,T,4], k: f32[1,2,T,4], v: f32[1,2,T,4], m: f32[1,1,1,T]) {
  y: f32[1,2,T,4] = Attention(q, k, v, m) <scale=1, causal=1>
  return y
}

== Where: allowed, with -inf; forbidden, with a mask besides
const inf: f32[] = hex"000080ff"
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4], ok: bool[1,1,3,3]) {
  yes: bool[1,1,3,3] = Equal(ok, ok)
  t: f32[1,2,4,3] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,3,3] = MatMul(q, t)
  a: f32[1,2,3,3] = Where(yes, s, inf)
  p: f32[1,2,3,3] = Softmax(a)
  y: f32[1,2,3,4] = MatMul(p, v)
  no: bool[1,1,3,3] = Not(yes)
  s2: f32[1,2,3,3] = MatMul(y, t)
  a2: f32[1,2,3,3] = Where(no, inf, s2)
  p2: f32[1,2,3,3] = Softmax(a2)
  z: f32[1,2,3,4] = MatMul(p2, v)
  return z
}
--
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4], ok: bool[1,1,3,3]) {
  yes: bool[1,1,3,3] = Equal(ok, ok)
  y: f32[1,2,3,4] = Attention(q, k, v, yes) <scale=1>
  no: bool[1,1,3,3] = Not(yes)
  new1: bool[1,1,3,3] = Not(no)
  z: f32[1,2,3,4] = Attention(y, k, v, new1) <scale=1>
  return z
}

== Where with a finite number, and a row that may see nothing: stays
const never: f32[] = {-10000}
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4], ok: bool[1,1,3,3]) {
  t: f32[1,2,4,3] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,3,3] = MatMul(q, t)
  a: f32[1,2,3,3] = Where(ok, s, never)
  p: f32[1,2,3,3] = Softmax(a)
  y: f32[1,2,3,4] = MatMul(p, v)
  return y
}
--
const never: f32[] = {-10000}
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4], ok: bool[1,1,3,3]) {
  t: f32[1,2,4,3] = Transpose(k) <perm=[0, 1, 3, 2]>
  s: f32[1,2,3,3] = MatMul(q, t)
  a: f32[1,2,3,3] = Where(ok, s, never)
  p: f32[1,2,3,3] = Softmax(a)
  y: f32[1,2,3,4] = MatMul(p, v)
  return y
}

== a soft cap
const c: f32[] = {0.5}
const cap: f32[] = {20}
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4]) {
  t: f32[1,2,4,3] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,3,3] = MatMul(q, t)
  a: f32[1,2,3,3] = Mul(s, c)
  b: f32[1,2,3,3] = Div(a, cap)
  d: f32[1,2,3,3] = Tanh(b)
  e: f32[1,2,3,3] = Mul(d, cap)
  p: f32[1,2,3,3] = Softmax(e)
  y: f32[1,2,3,4] = MatMul(p, v)
  return y
}
--
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4]) {
  y: f32[1,2,3,4] = Attention(q, k, v) <scale=0.5, softcap=20>
  return y
}

== repeated heads
const u: i64[5] = {2, 2, 1, 5, 4}
const e: i64[5] = {2, 2, 3, 5, 4}
const h: i64[4] = {2, 6, 5, 4}
graph (q: f32[2,6,3,4], k: f32[2,2,5,4], v: f32[2,2,5,4]) {
  k1: f32[2,2,1,5,4] = Reshape(k, u)
  k2: f32[2,2,3,5,4] = Expand(k1, e)
  k3: f32[2,6,5,4] = Reshape(k2, h)
  v1: f32[2,2,1,5,4] = Reshape(v, u)
  v2: f32[2,2,3,5,4] = Expand(v1, e)
  v3: f32[2,6,5,4] = Reshape(v2, h)
  t: f32[2,6,4,5] = Transpose(k3) <perm=[0,1,3,2]>
  s: f32[2,6,3,5] = MatMul(q, t)
  p: f32[2,6,3,5] = Softmax(s)
  y: f32[2,6,3,4] = MatMul(p, v3)
  return y
}
--
graph (q: f32[2,6,3,4], k: f32[2,2,5,4], v: f32[2,2,5,4]) {
  y: f32[2,6,3,4] = Attention(q, k, v) <scale=1>
  return y
}

== three axes
graph (q: f32[6,3,4], k: f32[6,5,4], v: f32[6,5,4], m: f32[6,1,5]) {
  t: f32[6,4,5] = Transpose(k) <perm=[0,2,1]>
  s: f32[6,3,5] = MatMul(q, t)
  a: f32[6,3,5] = Add(s, m)
  p: f32[6,3,5] = Softmax(a) <axis=2>
  y: f32[6,3,4] = MatMul(p, v)
  return y
}
--
const new1: i64[4] = {6, 1, 3, 4}
const new2: i64[4] = {6, 1, 5, 4}
const new3: i64[4] = {6, 1, 5, 4}
const new4: i64[4] = {6, 1, 1, 5}
const new5: i64[3] = {6, 3, 4}
graph (q: f32[6,3,4], k: f32[6,5,4], v: f32[6,5,4], m: f32[6,1,5]) {
  new6: f32[6,1,3,4] = Reshape(q, new1) <allowzero=1>
  new7: f32[6,1,5,4] = Reshape(k, new2) <allowzero=1>
  new8: f32[6,1,5,4] = Reshape(v, new3) <allowzero=1>
  new9: f32[6,1,1,5] = Reshape(m, new4) <allowzero=1>
  new10: f32[6,1,3,4] = Attention(new6, new7, new8, new9) <scale=1>
  y: f32[6,3,4] = Reshape(new10, new5) <allowzero=1>
  return y
}

== softmax in f32 between halves
const c: f16[] = {0.5}
graph (q: f16[1,2,3,4], k: f16[1,2,3,4], v: f16[1,2,3,4]) {
  t: f16[1,2,4,3] = Transpose(k) <perm=[0,1,3,2]>
  s: f16[1,2,3,3] = MatMul(q, t)
  a: f16[1,2,3,3] = Mul(s, c)
  b: f32[1,2,3,3] = Cast(a) <to=f32>
  d: f32[1,2,3,3] = Softmax(b)
  p: f16[1,2,3,3] = Cast(d) <to=f16>
  y: f16[1,2,3,4] = MatMul(p, v)
  return y
}
--
graph (q: f16[1,2,3,4], k: f16[1,2,3,4], v: f16[1,2,3,4]) {
  y: f16[1,2,3,4] = Attention(q, k, v) <scale=0.5>
  return y
}

== rows of NaN made zero
const z: f32[] = {0}
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4], m: f32[3,3]) {
  t: f32[1,2,4,3] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,3,3] = MatMul(q, t)
  a: f32[1,2,3,3] = Add(s, m)
  b: f32[1,2,3,3] = Softmax(a)
  n: bool[1,2,3,3] = IsNaN(b)
  p: f32[1,2,3,3] = Where(n, z, b)
  y: f32[1,2,3,4] = MatMul(p, v)
  return y
}
--
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4], m: f32[3,3]) {
  y: f32[1,2,3,4] = Attention(q, k, v, m) <scale=1>
  return y
}

== the weights are used elsewhere; another axis; heads that broadcast; a mask before the scale
const c: f32[] = {0.5}
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4], m: f32[3,3], k1: f32[1,1,3,4], v1: f32[1,1,3,4]) {
  t: f32[1,2,4,3] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,3,3] = MatMul(q, t)
  p: f32[1,2,3,3] = Softmax(s)
  y: f32[1,2,3,4] = MatMul(p, v)
  s2: f32[1,2,3,3] = MatMul(y, t)
  p2: f32[1,2,3,3] = Softmax(s2) <axis=2>
  y2: f32[1,2,3,4] = MatMul(p2, v)
  s3: f32[1,2,3,3] = MatMul(y2, t)
  a3: f32[1,2,3,3] = Add(s3, m)
  b3: f32[1,2,3,3] = Mul(a3, c)
  p3: f32[1,2,3,3] = Softmax(b3)
  y3: f32[1,2,3,4] = MatMul(p3, v)
  s4: f32[1,2,3,3] = MatMul(y3, t)
  p4: f32[1,2,3,3] = Softmax(s4)
  y4: f32[1,2,3,4] = MatMul(p4, v1)
  return y4, p
}
--
const c: f32[] = {0.5}
graph (q: f32[1,2,3,4], k: f32[1,2,3,4], v: f32[1,2,3,4], m: f32[3,3], k1: f32[1,1,3,4], v1: f32[1,1,3,4]) {
  t: f32[1,2,4,3] = Transpose(k) <perm=[0, 1, 3, 2]>
  s: f32[1,2,3,3] = MatMul(q, t)
  p: f32[1,2,3,3] = Softmax(s)
  y: f32[1,2,3,4] = MatMul(p, v)
  s2: f32[1,2,3,3] = MatMul(y, t)
  p2: f32[1,2,3,3] = Softmax(s2) <axis=2>
  y2: f32[1,2,3,4] = MatMul(p2, v)
  s3: f32[1,2,3,3] = MatMul(y2, t)
  a3: f32[1,2,3,3] = Add(s3, m)
  b3: f32[1,2,3,3] = Mul(a3, c)
  p3: f32[1,2,3,3] = Softmax(b3)
  y3: f32[1,2,3,4] = MatMul(p3, v)
  s4: f32[1,2,3,3] = MatMul(y3, t)
  p4: f32[1,2,3,3] = Softmax(s4)
  y4: f32[1,2,3,4] = MatMul(p4, v1)
  return y4, p
}

== a slice of a stored triangle: from the start, it is causal; from later, a mask
sym T in [1, 4]
const never: f32[] = {-3.4e38}
const tri: bool[1,1,4,4] = {1,0,0,0,1,1,0,0,1,1,1,0,1,1,1,1}
const zero: i64[1] = {0}
const one: i64[1] = {1}
const two: i64[1] = {2}
const three: i64[1] = {3}
const four: i64[1] = {4}
graph (q: f32[1,2,T,4], k: f32[1,2,T,4], v: f32[1,2,T,4], r: f32[1,2,1,4], l: f32[1,2,4,4]) {
  n: i64[1] = Dims() <dims=[T]>
  a: bool[1,1,T,4] = Slice(tri, zero, n, two, one)
  b: bool[1,1,T,T] = Slice(a, zero, n, three, one)
  t: f32[1,2,4,T] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,T,T] = MatMul(q, t)
  m: f32[1,2,T,T] = Where(b, s, never)
  p: f32[1,2,T,T] = Softmax(m)
  y: f32[1,2,T,4] = MatMul(p, v)
  d: bool[1,1,1,4] = Slice(tri, two, three, two, one)
  t2: f32[1,2,4,4] = Transpose(l) <perm=[0,1,3,2]>
  s2: f32[1,2,1,4] = MatMul(r, t2)
  m2: f32[1,2,1,4] = Where(d, s2, never)
  p2: f32[1,2,1,4] = Softmax(m2)
  z: f32[1,2,1,4] = MatMul(p2, l)
  return y, z
}
--
sym T in [1, 4]
const tri: bool[1,1,4,4] = {1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1}
const two: i64[1] = {2}
const three: i64[1] = {3}
const one: i64[1] = {1}
graph (q: f32[1,2,T,4], k: f32[1,2,T,4], v: f32[1,2,T,4], r: f32[1,2,1,4], l: f32[1,2,4,4]) {
  y: f32[1,2,T,4] = Attention(q, k, v) <scale=1, causal=1>
  d: bool[1,1,1,4] = Slice(tri, two, three, two, one)
  z: f32[1,2,1,4] = Attention(r, l, l, d) <scale=1>
  return y, z
}

== a constant mask with a row that sees nothing, finite: stays
const never: f32[] = {-10000}
const ok: bool[2,2] = {1, 1, 0, 0}
graph (q: f32[1,2,2,4], k: f32[1,2,2,4], v: f32[1,2,2,4]) {
  t: f32[1,2,4,2] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,2,2] = MatMul(q, t)
  m: f32[1,2,2,2] = Where(ok, s, never)
  p: f32[1,2,2,2] = Softmax(m)
  y: f32[1,2,2,4] = MatMul(p, v)
  return y
}
--
const ok: bool[2,2] = {1, 1, 0, 0}
const never: f32[] = {-10000}
graph (q: f32[1,2,2,4], k: f32[1,2,2,4], v: f32[1,2,2,4]) {
  t: f32[1,2,4,2] = Transpose(k) <perm=[0, 1, 3, 2]>
  s: f32[1,2,2,2] = MatMul(q, t)
  m: f32[1,2,2,2] = Where(ok, s, never)
  p: f32[1,2,2,2] = Softmax(m)
  y: f32[1,2,2,4] = MatMul(p, v)
  return y
}

== two masks and a choice
const inf: f32[] = hex"000080ff"
const ok: bool[2,2] = {1, 1, 0, 1}
graph (q: f32[1,2,2,4], k: f32[1,2,2,4], v: f32[1,2,2,4], m1: f32[2,2], m2: f32[1,1,1,2]) {
  t: f32[1,2,4,2] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,2,2] = MatMul(q, t)
  a: f32[1,2,2,2] = Where(ok, s, inf)
  b: f32[1,2,2,2] = Add(a, m1)
  c: f32[1,2,2,2] = Add(m2, b)
  p: f32[1,2,2,2] = Softmax(c)
  y: f32[1,2,2,4] = MatMul(p, v)
  return y
}
--
const ok: bool[2,2] = {1, 1, 0, 1}
const new1: f32[] = hex"000080ff"
graph (q: f32[1,2,2,4], k: f32[1,2,2,4], v: f32[1,2,2,4], m1: f32[2,2], m2: f32[1,1,1,2]) {
  new2: f32[1,1,2,2] = Add(m2, m1)
  new3: f32[1,1,2,2] = Where(ok, new2, new1)
  y: f32[1,2,2,4] = Attention(q, k, v, new3) <scale=1>
  return y
}

== batch and heads in one axis, apart for a mask
graph (q: f32[6,4,8], k: f32[6,5,8], v: f32[6,5,7], m: f32[2,1,1,5], b: f32[3,4,5]) {
  four: i64[4] = Dims() <dims=[2,3,4,5]>
  three: i64[3] = Dims() <dims=[6,4,5]>
  t: f32[6,8,5] = Transpose(k) <perm=[0,2,1]>
  s: f32[6,4,5] = MatMul(q, t)
  w: f32[2,3,4,5] = Reshape(s, four)
  x: f32[2,3,4,5] = Add(w, m)
  z: f32[2,3,4,5] = Add(b, x)
  u: f32[6,4,5] = Reshape(z, three)
  p: f32[6,4,5] = Softmax(u)
  y: f32[6,4,7] = MatMul(p, v)
  return y
}
--
const new1: i64[4] = {2, 3, 4, 8}
const new2: i64[4] = {2, 3, 5, 8}
const new3: i64[4] = {2, 3, 5, 7}
const new4: i64[3] = {6, 4, 7}
graph (q: f32[6,4,8], k: f32[6,5,8], v: f32[6,5,7], m: f32[2,1,1,5], b: f32[3,4,5]) {
  new5: f32[2,3,4,8] = Reshape(q, new1) <allowzero=1>
  new6: f32[2,3,5,8] = Reshape(k, new2) <allowzero=1>
  new7: f32[2,3,5,7] = Reshape(v, new3) <allowzero=1>
  new8: f32[2,3,4,5] = Add(b, m)
  new9: f32[2,3,4,7] = Attention(new5, new6, new7, new8) <scale=1>
  y: f32[6,4,7] = Reshape(new9, new4) <allowzero=1>
  return y
}

== batch and heads in one axis, masked before as well: stays
graph (q: f32[6,4,8], k: f32[6,5,8], v: f32[6,5,7], m: f32[2,1,1,5], b: f32[6,4,5]) {
  four: i64[4] = Dims() <dims=[2,3,4,5]>
  three: i64[3] = Dims() <dims=[6,4,5]>
  t: f32[6,8,5] = Transpose(k) <perm=[0,2,1]>
  s: f32[6,4,5] = MatMul(q, t)
  c: f32[6,4,5] = Add(s, b)
  w: f32[2,3,4,5] = Reshape(c, four)
  x: f32[2,3,4,5] = Add(w, m)
  u: f32[6,4,5] = Reshape(x, three)
  p: f32[6,4,5] = Softmax(u)
  y: f32[6,4,7] = MatMul(p, v)
  return y
}
--
graph (q: f32[6,4,8], k: f32[6,5,8], v: f32[6,5,7], m: f32[2,1,1,5], b: f32[6,4,5]) {
  four: i64[4] = Dims() <dims=[2, 3, 4, 5]>
  three: i64[3] = Dims() <dims=[6, 4, 5]>
  t: f32[6,8,5] = Transpose(k) <perm=[0, 2, 1]>
  s: f32[6,4,5] = MatMul(q, t)
  c: f32[6,4,5] = Add(s, b)
  w: f32[2,3,4,5] = Reshape(c, four)
  x: f32[2,3,4,5] = Add(w, m)
  u: f32[6,4,5] = Reshape(x, three)
  p: f32[6,4,5] = Softmax(u)
  y: f32[6,4,7] = MatMul(p, v)
  return y
}

== one set of scores for all heads, apart for a mask: stays
graph (q: f32[1,4,8], k: f32[1,5,8], v: f32[6,5,7], m: f32[1,1,1,5]) {
  four: i64[4] = Dims() <dims=[1,1,4,5]>
  three: i64[3] = Dims() <dims=[1,4,5]>
  t: f32[1,8,5] = Transpose(k) <perm=[0,2,1]>
  s: f32[1,4,5] = MatMul(q, t)
  w: f32[1,1,4,5] = Reshape(s, four)
  x: f32[1,1,4,5] = Add(w, m)
  u: f32[1,4,5] = Reshape(x, three)
  p: f32[1,4,5] = Softmax(u)
  y: f32[6,4,7] = MatMul(p, v)
  return y
}
--
graph (q: f32[1,4,8], k: f32[1,5,8], v: f32[6,5,7], m: f32[1,1,1,5]) {
  four: i64[4] = Dims() <dims=[1, 1, 4, 5]>
  three: i64[3] = Dims() <dims=[1, 4, 5]>
  t: f32[1,8,5] = Transpose(k) <perm=[0, 2, 1]>
  s: f32[1,4,5] = MatMul(q, t)
  w: f32[1,1,4,5] = Reshape(s, four)
  x: f32[1,1,4,5] = Add(w, m)
  u: f32[1,4,5] = Reshape(x, three)
  p: f32[1,4,5] = Softmax(u)
  y: f32[6,4,7] = MatMul(p, v)
  return y
}

== queries and keys regrouped as well: stays
graph (q: f32[6,4,8], k: f32[6,4,8], v: f32[12,2,7], m: f32[2,3,4,4]) {
  four: i64[4] = Dims() <dims=[2,3,4,4]>
  three: i64[3] = Dims() <dims=[12,4,2]>
  t: f32[6,8,4] = Transpose(k) <perm=[0,2,1]>
  s: f32[6,4,4] = MatMul(q, t)
  w: f32[2,3,4,4] = Reshape(s, four)
  x: f32[2,3,4,4] = Add(w, m)
  u: f32[12,4,2] = Reshape(x, three)
  p: f32[12,4,2] = Softmax(u)
  y: f32[12,4,7] = MatMul(p, v)
  return y
}
--
graph (q: f32[6,4,8], k: f32[6,4,8], v: f32[12,2,7], m: f32[2,3,4,4]) {
  four: i64[4] = Dims() <dims=[2, 3, 4, 4]>
  three: i64[3] = Dims() <dims=[12, 4, 2]>
  t: f32[6,8,4] = Transpose(k) <perm=[0, 2, 1]>
  s: f32[6,4,4] = MatMul(q, t)
  w: f32[2,3,4,4] = Reshape(s, four)
  x: f32[2,3,4,4] = Add(w, m)
  u: f32[12,4,2] = Reshape(x, three)
  p: f32[12,4,2] = Softmax(u)
  y: f32[12,4,7] = MatMul(p, v)
  return y
}

== a cache before the queries, a finite mask
sym P in [0, 100]
sym T in [0, 100]
const zero: i64[] = {0}
const one: i64[] = {1}
const far: i64[] = {-1}
const never: f32[] = {-10000}
graph (q: f32[1,2,T,4], k: f32[1,2,P+T,4], v: f32[1,2,P+T,4]) {
  p: i64[] = Dims() <dims=[P], scalar=1>
  n: i64[] = Dims() <dims=[P+T], scalar=1>
  js: i64[P+T] = Range(zero, n, one)
  is: i64[T] = Range(p, n, one)
  rows: i64[2] = Dims() <dims=[T,1]>
  i: i64[T,1] = Reshape(is, rows)
  ok: bool[T,P+T] = LessOrEqual(js, i)
  t: f32[1,2,4,P+T] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,T,P+T] = MatMul(q, t)
  m: f32[1,2,T,P+T] = Where(ok, s, never)
  w: f32[1,2,T,P+T] = Softmax(m)
  y: f32[1,2,T,4] = MatMul(w, v)
  return y
}
--
sym P in [0, 100]
sym T in [0, 100]
const zero: i64[] = {0}
const one: i64[] = {1}
graph (q: f32[1,2,T,4], k: f32[1,2,P+T,4], v: f32[1,2,P+T,4]) {
  p: i64[] = Dims() <dims=[P], scalar=1>
  n: i64[] = Dims() <dims=[P+T], scalar=1>
  js: i64[P+T] = Range(zero, n, one)
  is: i64[T] = Range(p, n, one)
  rows: i64[2] = Dims() <dims=[T, 1]>
  i: i64[T,1] = Reshape(is, rows)
  ok: bool[T,P+T] = LessOrEqual(js, i)
  y: f32[1,2,T,4] = Attention(q, k, v, ok) <scale=1>
  return y
}
error: Dims node p: the size P is not known

== rows that may begin before the first key, a finite mask: stays
sym P in [0, 100]
sym T in [0, 100]
const zero: i64[] = {0}
const one: i64[] = {1}
const far: i64[] = {-1}
const never: f32[] = {-10000}
graph (q: f32[1,2,T,4], k: f32[1,2,P+T,4], v: f32[1,2,P+T,4]) {
  p: i64[] = Dims() <dims=[P], scalar=1>
  n: i64[] = Dims() <dims=[P+T], scalar=1>
  js: i64[P+T] = Range(zero, n, one)
  b: i64[] = Sub(p, one)
  e: i64[] = Sub(n, one)
  is: i64[T] = Range(b, e, one)
  rows: i64[2] = Dims() <dims=[T,1]>
  i: i64[T,1] = Reshape(is, rows)
  ok: bool[T,P+T] = LessOrEqual(js, i)
  t: f32[1,2,4,P+T] = Transpose(k) <perm=[0,1,3,2]>
  s: f32[1,2,T,P+T] = MatMul(q, t)
  m: f32[1,2,T,P+T] = Where(ok, s, never)
  w: f32[1,2,T,P+T] = Softmax(m)
  y: f32[1,2,T,4] = MatMul(w, v)
  return y
}
--
sym P in [0, 100]
sym T in [0, 100]
const zero: i64[] = {0}
const one: i64[] = {1}
const never: f32[] = {-10000}
graph (q: f32[1,2,T,4], k: f32[1,2,P+T,4], v: f32[1,2,P+T,4]) {
  p: i64[] = Dims() <dims=[P], scalar=1>
  n: i64[] = Dims() <dims=[P+T], scalar=1>
  js: i64[P+T] = Range(zero, n, one)
  b: i64[] = Sub(p, one)
  e: i64[] = Sub(n, one)
  is: i64[T] = Range(b, e, one)
  rows: i64[2] = Dims() <dims=[T, 1]>
  i: i64[T,1] = Reshape(is, rows)
  ok: bool[T,P+T] = LessOrEqual(js, i)
  t: f32[1,2,4,P+T] = Transpose(k) <perm=[0, 1, 3, 2]>
  s: f32[1,2,T,P+T] = MatMul(q, t)
  m: f32[1,2,T,P+T] = Where(ok, s, never)
  w: f32[1,2,T,P+T] = Softmax(m)
  y: f32[1,2,T,4] = MatMul(w, v)
  return y
}
error: Dims node p: the size P is not known
