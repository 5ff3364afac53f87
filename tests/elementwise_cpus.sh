#!/bin/bash
# label: slow
# Elementwise operators in the code for smaller CPUs than this one: no FMA, no rounding instructions, no wide vectors.
set -e
test=$(dirname "$WQCC")/tests/elementwise_test
[ "$(uname -m)" = x86_64 ] || { echo "SKIP: not an x86_64"; exit 77; }
"$test" -target x86_64
"$test" -target native -avx512f
"$test" -target native -avx2,-f16c
