# Sourced: round_trips MODEL...: each model's IR, after all passes, printed, read back and printed again, is the same text and data.
round_trips() {
	local tmp bad=0 ran=0 m
	tmp=$(mktemp -d)
	for m in "$@"; do
		rm -f "$tmp"/*
		"$WQCC" "$m" -emit ir -O opt -o "$tmp/a" 2>"$tmp/says"
		case $? in
		0) ;;
		2) continue ;; # refused, as it says; the conformance tests have the list
		*) echo "FAIL $m: $(head -c 300 "$tmp/says")"; bad=$((bad + 1)); continue ;;
		esac
		ran=$((ran + 1))
		if ! "$WQCC" --from-ir "$tmp/a" -emit ir -o "$tmp/b" 2>"$tmp/says"; then
			echo "FAIL $m: $(head -c 300 "$tmp/says")"
			bad=$((bad + 1))
		elif ! cmp -s "$tmp/a" "$tmp/b" || { [ -f "$tmp/a.data" ] && ! cmp -s "$tmp/a.data" "$tmp/b.data"; }; then
			echo "FAIL $m: $(diff "$tmp/a" "$tmp/b" | head -n 3)"
			bad=$((bad + 1))
		fi
	done
	rm -rf "$tmp"
	echo "$((ran - bad)) passed, $bad failed"
	[ $bad = 0 ] && [ $ran -gt 0 ]
}
