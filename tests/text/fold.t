# run: fold,dce

== constants are computed
const k: f32[2] = {1,2}
const l: f32[] = {3}
graph (x: f32[2]) {
  a: f32[2] = Mul(k, l)
  y: f32[2] = Add(x, a)
  return y
}
--

== a known branch is taken
const p: bool[] = {1}
graph (x: f32[2]) {
  a: f32[2] = Neg(x)
  y: f32[2] = If(p) graph () {
    b: f32[2] = Exp(a)
    return b
  } graph () {
    c: f32[2] = Relu(x)
    return c
  }
  return y
}
--

== a size that is a number
graph (x: f32[2,3]) {
  s: i64[2] = Shape(x)
  return s
}
--
