# What compiling gives: objects for every target, headers that C and C++ take, the same bytes each time, budgets, weights beside, and programs
# that link and run.
set -u
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0 ran=0

ok() {
	ran=$((ran + 1))
	"$@" >"$tmp/says" 2>&1 || { echo "FAIL: $*: $(head -n 5 "$tmp/says")"; bad=$((bad + 1)); }
}
# code CODE PART COMMAND...
code() {
	local want=$1 part=$2 rc
	shift 2
	ran=$((ran + 1))
	"$@" >"$tmp/says" 2>&1
	rc=$?
	[ $rc -eq "$want" ] && grep -qF -- "$part" "$tmp/says" || { echo "FAIL: $*: $rc, expected $want and '$part': $(head -n 5 "$tmp/says")"; bad=$((bad + 1)); }
}
model="models/digits/model.onnx --dim batch=1"

for t in x86_64 aarch64 armv7 cortex-m0 cortex-m4 cortex-m7 cortex-m55 riscv64 riscv32 wasm32; do
	ok "$WQCC" $model -target $t -o "$tmp/$t.o"
	ok "$WQCC" $model -target $t -o "$tmp/again.o" --symbol "${t//-/_}"
	ok cmp "$tmp/$t.o" "$tmp/again.o"
done
ok "$WQCC" $model -target x86_64 -mcpu=x86-64-v3 -o "$tmp/v3.o"
code 1 'unknown target' "$WQCC" $model -target pdp11 -o "$tmp/none.o"

# the header, by itself
ok "$WQCC" $model -o "$tmp/digits.o"
for cc in 'cc -std=c99' 'c++ -std=c++11 -x c++'; do
	command -v ${cc%% *} >/dev/null || { echo "note: ${cc%% *} is not here"; continue; }
	ok $cc -Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only "$tmp/digits.h"
done

# a program: the typed function and the descriptor give what the evaluator gives
cat >"$tmp/main.c" <<'END'
#include "digits.h"
#include <stdio.h>
static _Alignas(64) unsigned char arena[DIGITS_ARENA_BYTES];
int main(void)
{
	float image[DIGITS_IN_IMAGE_ELEMENTS], a[10], b[10];
	for (int i = 0; i < DIGITS_IN_IMAGE_ELEMENTS; i++)
		image[i] = (float)(i % 7) * 0.25f - 0.5f;
	const void *in[] = {image};
	void *out[] = {b};
	int64_t dims[] = {1, 1, 28, 28}, out_dims[2];
	wqrt_call call = {arena, 0, in, dims, out, out_dims, 0};
	if (digits_run(arena, image, a) || digits_model.call(&call) || out_dims[0] != 1 || out_dims[1] != 10)
		return 1;
	for (int i = 0; i < 10; i++)
		if (a[i] != b[i])
			return 2;
	for (int i = 0; i < 10; i++)
		printf("%.4f ", a[i]);
	dims[1] = 2;
	return digits_model.call(&call) == WQRT_ESHAPE ? 0 : 3;
}
END
ok cc -std=c11 -Wall -Werror -Iinclude -I"$tmp" "$tmp/main.c" "$tmp/digits.o" -o "$tmp/main"
ok "$tmp/main"
cp "$tmp/says" "$tmp/inside"
/usr/bin/python3 -c "
import numpy as np, sys
np.save('$tmp/image.npy', ((np.arange(784) % 7) * 0.25 - 0.5).astype('f4').reshape(1, 1, 28, 28))" || bad=$((bad + 1))
ok "$WQCC" run models/digits/model.onnx --input image="$tmp/image.npy" --output "$tmp/y" --engine eval
ok /usr/bin/python3 -c "
import numpy as np
want, got = np.load('$tmp/y/logits.npy').ravel(), np.array(open('$tmp/inside').read().split(), 'f4')
assert np.abs(want - got).max() < 1e-3 * max(1, np.abs(want).max()), (want, got)"

# weights beside; sections; other forms
ok "$WQCC" $model --weights "$tmp/w.bin" -o "$tmp/light.o" --symbol digits
ok test "$(stat -c %s "$tmp/light.o")" -lt 60000
ok test "$(head -c 8 "$tmp/w.bin")" = wqweight
ok "$WQCC" $model -S -o "$tmp/a.s"
ok grep -q a_run "$tmp/a.s"
ok "$WQCC" $model -emit-llvm -o "$tmp/a.ll"
ok grep -q 'define' "$tmp/a.ll"
ok "$WQCC" $model -shared -o "$tmp/digits.so"
ok "$WQCC" $model -O0 -o "$tmp/o0.o"
ok "$WQCC" $model -Os -o "$tmp/os.o"

# budgets: nothing is written when they are exceeded
code 3 'too much' "$WQCC" $model -target cortex-m4 --flash 100K -o "$tmp/big.o"
code 3 'too much' "$WQCC" $model -target cortex-m4 --ram 10K -o "$tmp/big.o"
code 3 'too much' "$WQCC" $model -target cortex-m4 --stack 16 -o "$tmp/big.o"
ok test ! -e "$tmp/big.o"
ok "$WQCC" $model -target cortex-m4 --flash 512K --ram 96K --stack 8K -o "$tmp/fits.o"
code 0 'ram (arena)' "$WQCC" inspect $model -target cortex-m4

echo "$((ran - bad)) passed, $bad failed"
[ $bad = 0 ]
