# The documents are true: docs/onnx-support.md is what scripts/onnx_support.sh writes, and the limits that it lists are those of the
# lowerings; examples in the text form are read.
: "${WQCC:?set WQCC to the program}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0
fault() {
	printf '%s\n' "$1"
	bad=1
}
differ() { # WHAT FILE FILE: what only one of two sorted lists has
	comm -23 "$2" "$3" | awk -v what="$1" '{ print what " misses: " $0 }'
	comm -13 "$2" "$3" | awk -v what="$1" '{ print what " has, but there is none: " $0 }'
	cmp -s "$2" "$3" || bad=1
}

# docs/onnx-support.md
scripts/onnx_support.sh "$WQCC" >"$tmp/support"
diff -u docs/onnx-support.md "$tmp/support" || fault "docs/onnx-support.md is out of date: scripts/onnx_support.sh >docs/onnx-support.md"

# frontend/onnx_limits.def: the formats of lo_unsupported, and operators that are lowered
cat frontend/*.c | tr '\n\t' '  ' | grep -oE 'lo_unsupported\([^";]*"[^"]*"' | sed -E 's/^[^"]*"(.*)"$/\1/' | sort -u >"$tmp/formats"
limits=$(tr '\n\t' '  ' <frontend/onnx_limits.def)
printf '%s' "$limits" | grep -oE '(ONNX_LIMIT\("[^"]*", [A-Za-z0-9]+,|ONNX_LIMIT_ANY\() *"[^"]*"' | sed -E 's/.*"([^"]*)"$/\1/' | sort -u >"$tmp/limits"
differ frontend/onnx_limits.def "$tmp/formats" "$tmp/limits"
printf '%s' "$limits" | grep -oE 'ONNX_LIMIT\("[^"]*", [A-Za-z0-9]+,' | sort -u | while read -r key; do
	grep -qF "ONNX_OP${key#ONNX_LIMIT}" frontend/onnx_ops.def || echo "frontend/onnx_limits.def: $key is no lowered operator"
done >"$tmp/keys"
[ ! -s "$tmp/keys" ] || fault "$(cat "$tmp/keys")"

# examples in the text form are read
for doc in docs/*.md; do
	awk -v dir="$tmp" -v doc="$(basename "$doc" .md)" '/^```wqir$/ { file = dir "/" doc "." ++n ".wqir"; next } /^```/ { file = "" } file { print >file }' "$doc"
done
for example in "$tmp"/*.wqir; do
	[ -f "$example" ] || continue
	"$WQCC" --from-ir "$example" -emit ir -o "$tmp/out" || fault "$(basename "$example") is not read"
done
exit $bad
