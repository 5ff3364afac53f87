#!/usr/bin/env bash
# Installs what is missing, builds, and takes our own models all the way that this version has: read, inspect, clean and fuse,
# compile and run, evaluate on labelled data, write back as ONNX and as text. Shows what was gained: time, memory, the same answers.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release -j "$(nproc)" >/dev/null
PATH=$PWD/build/release:$PATH
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

say() { printf '\n\033[1m$ %s\033[0m\n' "${*//$out/OUT}"; }
run() { say "$@"; "$@"; }
operators() { wqcc inspect "$@" | awk '/ operators, /{print $1}'; }

run wqcc inspect models/digits/model.onnx --dim batch=1 -O opt
run wqcc run models/digits/model.onnx -v --input image=models/digits/test_data_set_1/input_0.pb
say "wqcc chars: a transformer's attention, as exported and after the passes"
wqcc models/chars/model.onnx -emit ir -O opt | grep -E 'Attention|RMSNormalization|Swish' | cut -c 1-110 | head -n 5

printf '\n%-8s %22s %34s\n' model 'operators' 'accuracy'
printf '%-8s %10s %11s %17s %16s\n' '' 'as read' 'after -O opt' 'as read' 'after -O opt'
for m in digits tones chars; do
	model=models/$m/model.onnx
	metric=top1
	[ $m = chars ] && metric=ppl
	score() { wqcc eval $model --data models/$m/data.npz --metric $metric --batch 20 "$@" | awk '{print $1, $2}'; }
	printf '%-8s %10s %11s %20s %16s\n' $m "$(operators $model)" "$(operators $model -O opt)" "$(score)" "$(score -O opt)"
done

run wqcc models/digits/model.onnx --dim batch=1 -target cortex-m4 --flash 512K --ram 96K -o "$out/digits.o" -v
run sed -n '/^#define/p;/_run/p' "$out/digits.h"
time_of() { wqcc bench "$@" --json | grep -o '"median_ms": *[0-9.]*' | grep -o '[0-9.]*$'; }
say "wqcc bench: milliseconds a run, evaluated operator by operator and compiled"
for m in digits tones; do
	printf '%-8s %10s %10s\n' $m "$(time_of models/$m --engine eval)" "$(time_of models/$m)"
done

run wqcc models/digits/model.onnx -emit onnx -o "$out/digits.onnx"
cmp models/digits/model.onnx "$out/digits.onnx" && echo "the same bytes: nothing was compressed, so nothing changed"
run wqcc models/tones/model.onnx -emit ir -O opt -o "$out/tones.ir"
run wqcc run --from-ir "$out/tones.ir" --input samples=models/tones/test_data_set_1/input_0.pb
echo
echo "done: the README says what else there is"
