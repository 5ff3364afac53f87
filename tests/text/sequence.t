# run: sequence,dce

== elements at known places
const zero: i64[] = {0}
const m: i64[] = {-1}
graph (a: f32[2], b: f32[2], c: f32[2]) {
  s: seq(f32[2]) = SequenceConstruct(a, b)
  t: seq(f32[2]) = SequenceInsert(s, c, zero)
  u: seq(f32[2]) = SequenceErase(t, m)
  x: f32[2] = SequenceAt(u, m)
  y: f32[2] = SequenceAt(t, zero)
  n: i64[] = SequenceLength(t)
  return x, y, n
}
--
const new1: i64[] = {3}
graph (a: f32[2], b: f32[2], c: f32[2]) {
  return x=a, y=c, n=new1
}

== concatenated and stacked
graph (a: f32[2,3], b: f32[2,3]) {
  s: seq(f32[2,3]) = SequenceConstruct(a, b)
  x: f32[4,3] = ConcatFromSequence(s) <axis=0>
  y: f32[2,2,3] = ConcatFromSequence(s) <axis=1, new_axis=1>
  return x, y
}
--
const new1: i64[3] = {2, 1, 3}
const new2: i64[3] = {2, 1, 3}
graph (a: f32[2,3], b: f32[2,3]) {
  x: f32[4,3] = Concat(a, b) <axis=0>
  new3: f32[2,1,3] = Reshape(a, new1) <allowzero=1>
  new4: f32[2,1,3] = Reshape(b, new2) <allowzero=1>
  y: f32[2,2,3] = Concat(new3, new4) <axis=1>
  return x, y
}

== split and put together
const two: i64[] = {2}
const one: i64[] = {1}
graph (a: f32[4,3]) {
  s: seq(f32[2,3]) = SplitToSequence(a, two) <axis=0>
  x: f32[2,3] = SequenceAt(s, one)
  t: seq(f32[3]) = SplitToSequence(a) <axis=0, keepdims=0>
  y: f32[3] = SequenceAt(t, one)
  return x, y
}
--
const new1: i64[1] = {2}
const new2: i64[1] = {4}
const new3: i64[1] = {0}
const new4: i64[1] = {1}
const new5: i64[1] = {1}
const new6: i64[1] = {2}
const new7: i64[1] = {0}
const new8: i64[1] = {1}
const new9: i64[1] = {3}
graph (a: f32[4,3]) {
  x: f32[2,3] = Slice(a, new1, new2, new3, new4)
  new10: f32[1,3] = Slice(a, new5, new6, new7, new8)
  y: f32[3] = Reshape(new10, new9) <allowzero=1>
  return x, y
}

== a place that only running tells
graph (a: f32[2], b: f32[2], i: i64[]) {
  s: seq(f32[2]) = SequenceConstruct(a, b)
  z: i64[] = Sub(i, i)
  x: f32[2] = SequenceAt(s, z)
  return x
}
--
graph (a: f32[2], b: f32[2], i: i64[]) {
  s: seq(f32[2]) = SequenceConstruct(a, b)
  z: i64[] = Sub(i, i)
  x: f32[2] = SequenceAt(s, z)
  return x
}

== optionals
graph (a: f32[2]) {
  o: opt(f32[2]) = Optional(a)
  h: bool[] = OptionalHasElement(o)
  x: f32[2] = OptionalGetElement(o)
  y: f32[2] = OptionalGetElement(a)
  return h, x, y
}
--
const new1: bool[] = {1}
graph (a: f32[2]) {
  return h=new1, x=a, y=a
}
