#!/bin/sh
# Writes docs/onnx-support.md to standard output: from the operator tables (wqcc support) and from the list of ONNX's own cases that do not
# pass (tests/conformance.expected).   scripts/onnx_support.sh [WQCC] >docs/onnx-support.md
set -eu
cd "$(dirname "$0")/.."
wqcc=${1:-build/dev/wqcc}

cat <<'EOF'
# What is read of ONNX

This file is generated: `scripts/onnx_support.sh >docs/onnx-support.md`. A test fails when it is out of date.

EOF
"$wqcc" support
cat <<'EOF'

## Cases that do not pass

`wqcc check` runs folders in the layout of ONNX's own tests. These do not pass, each for the reason given; all others of these sets do,
with the tolerances of ONNX's runner (relative 1e-3, absolute 1e-7). The sets: node, simple and pytorch are the cases of the onnx repository;
const is node with all inputs compiled in as constants; debian and debian-const are the older node cases of Debian's libonnx-testdata;
models are trained models with outputs of ONNX Runtime (absolute, 1e-4 of an output's range).

| sets | folder | reason |
|---|---|---|
EOF
grep -v '^#' tests/conformance.expected | awk '{ sets = $1; name = $2; sub(/^[^ ]+ [^ ]+ /, ""); gsub(",", ", ", sets); print "| " sets " | " name " | " $0 " |" }'
