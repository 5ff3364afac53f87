# The program as a user meets it: exit codes, messages, pipes, round trips.
set -u
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0 ran=0

# expect CODE PART COMMAND...: exit code, and a part of what is printed (either stream)
expect() {
	local code=$1 part=$2 out rc
	shift 2
	out=$("$@" 2>&1)
	rc=$?
	ran=$((ran + 1))
	if [ $rc -ne "$code" ] || ! grep -qF -- "$part" <<<"$out"; then
		echo "FAIL: $* -> $rc, expected $code and '$part' in: $(printf '%s' "$out" | head -n 3)"
		bad=$((bad + 1))
	fi
}
model=models/digits/model.onnx

expect 1 'wqcc run MODEL' "$WQCC"
expect 0 'Exit codes' "$WQCC" --help
expect 0 'wqcc' "$WQCC" --version
expect 0 'fold' "$WQCC" --help-passes
expect 1 'No such file' "$WQCC" inspect "$tmp/none.onnx"
expect 1 'unknown option' "$WQCC" $model --nonsense
expect 2 "size 'batch' of input 'image' has no upper bound" "$WQCC" $model -o "$tmp/none.o"
expect 0 'cortex-m55' "$WQCC" --help-targets
expect 1 'there is ir and onnx' "$WQCC" $model -emit nothing
expect 1 'needs -o' "$WQCC" $model -emit onnx
expect 1 'NAME=N' "$WQCC" inspect $model --dim batch
expect 1 'no_such_pass' "$WQCC" $model -emit ir -O no_such_pass
expect 1 "is missing" "$WQCC" run $model
expect 0 'parameters' "$WQCC" inspect $model --dim batch=1
expect 0 '"inspection_version": 1' "$WQCC" inspect $model --json
expect 0 'Relu' "$WQCC" compile $model -emit ir -O clean --time-passes
expect 0 'after dce' bash -c "'$WQCC' $model -emit ir -O dce --print-after dce -o - | head -n 1" # printed text comes first
expect 0 'lowered' "$WQCC" support
expect 0 '' "$WQCC" runtime "$tmp/runtime"
for f in runtime/*.[ch] include/wqrt.h; do expect 0 '' cmp "$f" "$tmp/runtime/${f##*/}"; done
expect 1 'which directory' "$WQCC" runtime
expect 1 'cannot be made' "$WQCC" runtime "$tmp/no/runtime"
expect 0 '1 passed, 0 failed, 0 skipped' "$WQCC" check models/digits --range 1e-4
expect 4 '0 passed, 1 failed' "$WQCC" check "$tmp"
expect 1 'z80' "$WQCC" check models/digits --engine z80
expect 1 'another CPU' "$WQCC" check models/digits --keep "$tmp"
expect 1 "no metric 'f1'" "$WQCC" eval $model --data models/digits/data.npz --metric f1

# bench: a folder's data, made-up inputs, the answer to a request
expect 1 'which model' "$WQCC" bench
expect 1 "unknown engine 'x'" "$WQCC" bench $model --engine x
expect 1 '--dim batch=N' "$WQCC" bench $model --engine eval
expect 1 'no such input' "$WQCC" bench $model --engine eval --input nothing=x
expect 0 'median of 3' "$WQCC" bench models/digits --engine eval --runs 3
expect 0 '"median_ms"' "$WQCC" bench $model --engine eval --dim batch=2 --runs 3 --json
expect 0 '"median"' bash -c "printf '2\n3\n' | '$WQCC' bench models/digits --engine eval --serve"

# text form: written, read back, the same text; the same answers
expect 0 '' "$WQCC" $model -emit ir -o "$tmp/a.ir" -O clean
expect 0 '' "$WQCC" --from-ir "$tmp/a.ir" -emit ir -o "$tmp/b.ir"
expect 0 '' cmp "$tmp/a.ir.data" "$tmp/b.ir.data"
expect 0 '' cmp "$tmp/a.ir" "$tmp/b.ir"
in=models/digits/test_data_set_1/input_0.pb
expect 0 '' "$WQCC" run $model --input image=$in --output "$tmp/y1"
expect 0 '' "$WQCC" run --from-ir "$tmp/a.ir" --input image=$in --output "$tmp/y2"
expect 0 '' ls "$tmp/y1/logits.npy"
expect 0 'f32[3,10]' "$WQCC" run --from-ir "$tmp/b.ir" --input image=$in
expect 1 'for an ONNX model' "$WQCC" inspect --from-ir "$tmp/b.ir" --dim batch=1
printf 'x' >>"$tmp/a.ir.data" # a byte more hurts nobody; another byte does
expect 0 '' "$WQCC" inspect --from-ir "$tmp/a.ir"
printf 'x' | dd of="$tmp/a.ir.data" bs=1 seek=5 conv=notrunc 2>/dev/null
expect 1 'not the one' "$WQCC" inspect --from-ir "$tmp/a.ir"

# ONNX out, through a pipe as well
expect 0 '' "$WQCC" $model -emit onnx -o "$tmp/c.onnx"
"$WQCC" $model -emit onnx -o - >"$tmp/d.onnx"
expect 0 '' cmp "$tmp/c.onnx" "$tmp/d.onnx"
expect 0 'f32[3,10]' "$WQCC" run "$tmp/c.onnx" --input image=$in

# nothing half written
expect 1 '' "$WQCC" $model -emit onnx -o "$tmp/no/such/dir.onnx"
expect 1 'not be written' bash -c "'$WQCC' inspect $model >/dev/full"
ls "$tmp"/*.tmp* 2>/dev/null && { echo "FAIL: temporary files are left"; bad=$((bad + 1)); }

# hostile files end in one message, in milliseconds
head -c 1000 $model >"$tmp/cut.onnx"
expect 1 'cut.onnx' "$WQCC" inspect "$tmp/cut.onnx"
head -c 60000 /dev/zero | tr '\0' '\042' >"$tmp/nested.onnx"
expect 1 'nested.onnx' "$WQCC" inspect "$tmp/nested.onnx"
: >"$tmp/empty.onnx"
expect 1 'empty' "$WQCC" inspect "$tmp/empty.onnx"

echo "$((ran - bad)) passed, $bad failed"
[ $bad = 0 ]
