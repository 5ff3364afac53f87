#!/usr/bin/env bash
# build.sh an386|an547 OUT: OUT/firmware.elf, from wqcc, clang and lld alone.
#   WQCC, CC, LD: the programs, where they have other names
set -euo pipefail
board=${1:?an386 or an547} out=${2:?a directory}
here=$(cd "$(dirname "$0")" && pwd)
wqcc=${WQCC:-wqcc} cc=${CC:-clang-19} ld=${LD:-ld.lld-19}
case $board in
an386) cpu=cortex-m4 triple=thumbv7em-none-eabihf ;;
an547) cpu=cortex-m55 triple=thumbv8.1m.main-none-eabihf ;;
*) echo "build.sh: there is an386 and an547" >&2; exit 1 ;;
esac
mkdir -p "$out"

# The model: model.o, and model.h beside it. And what it may need of a runtime, as sources.
"$wqcc" "$here/../../models/digits/model.onnx" --dim batch=1 -target $cpu -o "$out/model.o"
"$wqcc" runtime "$out/runtime"

objects=("$out/model.o")
for source in "$here"/{start,main}.c "$out"/runtime/{mem,int64,softfloat}.c; do
	object=$out/$(basename "$source" .c).o
	"$cc" --target=$triple -mcpu=$cpu -Os -std=c11 -ffreestanding -ffunction-sections -Wall -Wextra -I"$out" -I"$out/runtime" -c "$source" -o "$object"
	objects+=("$object")
done
"$ld" --gc-sections -z max-page-size=4 -T "$here/$board.ld" "${objects[@]}" -o "$out/firmware.elf"
