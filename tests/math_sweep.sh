#!/bin/bash
# label: slow
# Every float through every f32 math function, with and without a fused multiply-add.
set -e
exec "$(dirname "$WQCC")/tests/math_test" sweep "$@"
