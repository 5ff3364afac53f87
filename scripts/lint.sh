#!/usr/bin/env bash
# clang-tidy (.clang-tidy) and cppcheck (scripts/cppcheck.txt) over our own .c files; any finding fails.
#   scripts/lint.sh          everything: minutes, nearly all of it clang's analyzer; what was clean and has not changed is left out
#   scripts/lint.sh --fast   without the analyzer: half a minute
set -euo pipefail
cd "$(dirname "$0")/.."

fast=
case ${1:-} in
'') ;;
--fast) fast=1 ;;
*) echo "lint.sh: unknown option $1" >&2; exit 1 ;;
esac
build=build/dev
jobs=$(nproc)
[ -f $build/compile_commands.json ] || cmake --preset dev >/dev/null
cmake --build $build --target gen/frontend/onnx.pb-c.c >/dev/null
mapfile -t sources < <(ls {ir,frontend,engine,passes,formats,codegen,runtime,api,cli,tests}/*.c 2>/dev/null)
bad=0

# onnx.pb-c.h insists on a version of its library; the library's own headers are not looked at
version=$(pkg-config --modversion libprotobuf-c | awk -F. '{ printf "%d%03d%03d", $1, $2, $3 }')
cppcheck --quiet -j "$jobs" --enable=warning,performance,portability --project=$build/compile_commands.json -i "$PWD/build" \
	-DPROTOBUF_C_VERSION_NUMBER="$version" -DPROTOBUF_C_MIN_COMPILER_VERSION="$version" \
	--suppressions-list=scripts/cppcheck.txt --inline-suppr --error-exitcode=1 || bad=1

# FILE: silent, and stamped, when there is nothing to say
tidy() {
	local stamp=$stamps/${1//\//_} out
	if [ "$stamp" -nt "$1" ] && [ "$stamp" -nt "$newest" ]; then
		return 0
	fi
	if out=$(clang-tidy-19 -p $build --quiet --extra-arg=-Wno-unknown-warning-option "${checks[@]}" "$1" 2>&1); then
		: >"$stamp"
	else
		printf '%s\n' "$out" | grep -vE '^[0-9]+ warnings? (treated|generated)|^Suppressed '
		return 1
	fi
}
stamps=$build/lint$fast
checks=(${fast:+'--checks=-clang-analyzer-*'})
newest=$(ls -t .clang-tidy scripts/lint.sh $build/gen/frontend/*.h include/*.h {ir,frontend,engine,passes,formats,codegen,runtime,api,cli,tests}/*.{h,def} 2>/dev/null | head -n 1) || true
mkdir -p $stamps
export build stamps newest
export -f tidy
printf '%s\n' "${sources[@]}" | xargs -P "$jobs" -I{} bash -c "$(declare -p checks); tidy {}" || bad=1

[ $bad = 0 ] && echo "lint: ${#sources[@]} files, no findings"
exit $bad
