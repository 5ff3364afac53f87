#!/usr/bin/env bash
# Installs what is missing, builds, and takes one of our own models all the way that this version has: read, inspect, clean,
# evaluate on its labelled data, write back.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release -j "$(nproc)" >/dev/null
wqcc=build/release/wqcc
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }

say "wqcc inspect models/digits/model.onnx"
$wqcc inspect models/digits/model.onnx
