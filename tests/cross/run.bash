# run.bash: folders of a list on other CPUs, held against the code that runs here: what passes here passes there. Sourced by cross*.sh.
: "${WQCC:?set WQCC to the program}"
homes=("$SHARED/conformance/node" /usr/share/libonnx-testdata/data/node)

need() { # TOOL...: or the test is skipped
	for tool in "$@"; do
		command -v "$tool" >/dev/null || { echo "SKIP: $tool is not installed (scripts/setup.sh --cross)"; exit 77; }
	done
}

folders() { # LIST: those that this machine has, wherever they are
	grep -v '^#' "$1" | while read -r name; do
		for home in "${homes[@]}"; do
			[ -d "$home/$name" ] && { echo "$home/$name"; break; }
		done
	done
}

unpassed() { # OUTPUT: what did not pass, sorted
	sed -nE 's/^(FAIL|skip) ([^:]*).*/\2/p' <<<"$1" | sort
}

on_all() { # LIST ENGINE...: returns 1 if any differs from here
	local bad=0 dirs here there engine list=$1
	shift
	mapfile -t dirs < <(folders "$list")
	[ ${#dirs[@]} -gt 0 ] || { echo "SKIP: neither ../shared/conformance nor libonnx-testdata is here"; exit 77; }
	here=$(unpassed "$("$WQCC" check --engine jit "${dirs[@]}")")
	for engine in "$@"; do
		there=$("$WQCC" check --engine "$engine" "${dirs[@]}" 2>&1)
		echo "$engine: $(tail -n 1 <<<"$there")"
		grep -q ' passed, ' <<<"$there" || bad=1
		if [ "$here" != "$(unpassed "$there")" ]; then
			grep -E '^(FAIL|skip)' <<<"$there" | grep -vF "${here:-nothing}" | cut -c 1-300
			bad=1
		fi
	done
	return $bad
}
