# The documents are true: docs/ir.md has every core operator and no other, its examples are read; docs/onnx-support.md is
# what scripts/onnx_support.sh writes, and its limits are those of the lowerings; the commits of docs/adding.md exist.
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

# docs/ir.md: a heading "### Op" or a row "| Op | ..." for each
sed -nE 's/^OP\(([A-Za-z0-9]+),.*/\1/p' ir/ops.def | sort >"$tmp/ops"
sed -n '/^## Operators/,$p' docs/ir.md | sed -nE 's/^### ([A-Z][A-Za-z0-9, ]*)$/\1/p; s/^\| ([A-Z][A-Za-z0-9]*) \|.*/\1/p' | tr -d ' ' | tr ',' '\n' | sort >"$tmp/documented"
differ docs/ir.md "$tmp/ops" "$tmp/documented"
# and every attribute in its operator's paragraph or row
awk '
	FNR == NR && /^### / { n = split(substr($0, 5), name, ", "); next }
	FNR == NR && /^\| [A-Z]/ { split($0, cell, " "); text[cell[2]] = $0; next }
	FNR == NR { for (i = 1; i <= n; i++) text[name[i]] = text[name[i]] " " $0; next }
	/^OP\(/ {
		split($0, part, "\""); op = substr(part[1], 4); sub(/,.*/, "", op)
		k = split(part[4], attr, " ")
		for (i = 1; i <= k; i++) {
			sub(/:.*/, "", attr[i])
			if (!index(text[op], "`" attr[i] "`"))
				print "docs/ir.md does not say what " attr[i] " of " op " is"
		}
	}' docs/ir.md ir/ops.def >"$tmp/attrs"
[ ! -s "$tmp/attrs" ] || fault "$(cat "$tmp/attrs")"

# docs/adding.md shows commits that exist, by the subjects they have
if [ "$(git rev-parse --is-shallow-repository 2>/dev/null)" = false ]; then
	tr '\n' ' ' <docs/adding.md | grep -oE '`[0-9a-f]{7}`( \([^)]*\))?' | while read -r hash subject; do
		hash=${hash//\`/}
		real=$(git log -1 --format=%s "$hash" 2>/dev/null) || echo "docs/adding.md: there is no commit $hash"
		[ -z "$subject" ] || [ "$subject" = "($real)" ] || echo "docs/adding.md: $hash is '$real'"
	done >"$tmp/commits"
	[ ! -s "$tmp/commits" ] || fault "$(cat "$tmp/commits")"
fi

# examples in the text form are read
for doc in docs/*.md; do
	awk -v dir="$tmp" -v doc="$(basename "$doc" .md)" '/^```wqir$/ { file = dir "/" doc "." ++n ".wqir"; next } /^```/ { file = "" } file { print >file }' "$doc"
done
for example in "$tmp"/*.wqir; do
	[ -f "$example" ] || continue
	"$WQCC" --from-ir "$example" -emit ir -o "$tmp/out" || fault "$(basename "$example") is not read"
done
exit $bad
