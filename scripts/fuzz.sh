#!/usr/bin/env bash
# Builds the fuzzers and runs each for a while; stops at the first finding, whose input is kept.
#   scripts/fuzz.sh [SECONDS [NAME...]]      20 seconds each; names: wire npy text import
# Seeds: tests/fuzz/corpus/NAME; for import and wire also the models of tests/conformance, and of ../shared or libonnx-testdata if there.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20}
shift || true
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(wire npy text import)

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -j "$(nproc)" >build/fuzz.log 2>&1 || { tail -n 40 build/fuzz.log; exit 1; }

seeds=build/fuzz/seeds
rm -rf $seeds
mkdir -p $seeds/models $seeds/text
for d in tests/conformance "${SHARED:-../shared}/conformance/node" /usr/share/libonnx-testdata/data/node; do
	[ -d "$d" ] || continue
	find "$d" -name model.onnx -size -20k | while read -r f; do
		cp "$f" "$seeds/models/$(basename "$(dirname "$f")").onnx"
	done
done
for f in tests/text/*.t; do # each case of a text test is a seed
	awk -v base="$seeds/text/$(basename "$f" .t)" '/^== /{n++; on=1; next} /^--/{on=0} on{print > (base "-" n)}' "$f"
done

run() { # NAME SEED-FOLDER...
	local name=$1
	shift
	mkdir -p "build/fuzz/found/$name"
	echo "== fuzz $name, $seconds s"
	local log=build/fuzz/$name.log
	if ! "build/fuzz/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4000 -max_len=65536 -print_final_stats=1 \
		-artifact_prefix="build/fuzz/$name-" "build/fuzz/found/$name" "$@" >"$log" 2>&1; then
		tail -n 60 "$log"
		echo "fuzz $name: a finding, see above"
		return 1
	fi
	grep -E 'number_of_executed_units|peak_rss' "$log"
}

for name in "${names[@]}"; do
	case $name in
	wire) run wire tests/fuzz/corpus/wire $seeds/models ;;
	import) run import $seeds/models ;;
	text) run text $seeds/text ;;
	*) run "$name" "tests/fuzz/corpus/$name" ;;
	esac
done
