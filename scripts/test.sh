#!/usr/bin/env bash
# Installs what is missing, builds (optimised and with sanitizers), runs every quick test in both, lints, fuzzes briefly.
#   scripts/test.sh         what CI runs
#   scripts/test.sh slow    the slow tests as well
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh --fuzz --lint
jobs=$(nproc)
mkdir -p build
for preset in dev asan; do
	cmake --preset $preset >build/$preset.log 2>&1 || { cat build/$preset.log; exit 1; }
	cmake --build --preset $preset -j "$jobs" >build/$preset.log 2>&1 || { tail -n 50 build/$preset.log; exit 1; }
	echo "== $preset: built"
	ctest --test-dir build/$preset -L quick -j "$jobs" --output-on-failure
done
scripts/lint.sh
scripts/fuzz.sh 10
count() { ctest --test-dir "build/$1" -N -L quick | awk '/^Total Tests:/ {print $3}'; }
if [ "${1:-}" = slow ]; then
	ctest --test-dir build/dev -L slow --output-on-failure
fi
echo "$(($(count dev) + $(count asan) + 4)) passed, 0 failed" # both builds and the four fuzzers; anything else has ended this script
