# Hostile and unlucky files: one clear message, exit 1 (2 where something is merely not supported), quickly, and no crash.
set -u
/usr/bin/python3 -c 'import onnx, numpy' 2>/dev/null || { echo "SKIP: python3-onnx is not here"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/m"
/usr/bin/python3 tests/hostile.py "$tmp/m" || exit 1
printf '\0\0\200?' >"$tmp/one.raw"
bad=0 ran=0
for m in "$tmp"/m/*.onnx; do
	name=$(basename "$m" .onnx)
	says=$(cat "${m%.onnx}.says")
	args=(inspect "$m")
	[ "$name" = huge_expand ] && args=(run "$m" --input "x=$tmp/x.npy") &&
		/usr/bin/python3 -c "import numpy; numpy.save('$tmp/x.npy', numpy.ones(1, numpy.float32))"
	start=$(date +%s%N)
	out=$(timeout 10 "$WQCC" "${args[@]}" 2>&1)
	rc=$?
	ms=$((($(date +%s%N) - start) / 1000000))
	want='^[12]$'
	[ "$name" = good ] && want='^0$'
	ran=$((ran + 1))
	lines=$(printf '%s\n' "$out" | wc -l)
	if ! [[ $rc =~ $want ]] || ! grep -qiF -- "$says" <<<"$out" || [ $ms -gt 3000 ] || { [ $rc -eq 1 ] && [ "$lines" -gt 2 ]; }; then
		echo "FAIL $name: exit $rc after $ms ms, expected '$says' in: $out"
		bad=$((bad + 1))
	else
		echo "$name: exit $rc, $ms ms: $(head -n 1 <<<"$out" | sed "s|$tmp/m/||g" | cut -c 1-140)"
	fi
done
echo "$((ran - bad)) passed, $bad failed"
[ $bad = 0 ]
