# run_conformance.bash SET FOLDER...: runs `wqcc check` and holds the outcome against tests/conformance.expected, where every folder that
# does not pass stands with its reason. A folder that fails without standing there fails the test, and so does one that stands there
# and passes: the list stays true. Sourced by the conformance tests.
set -u
: "${WQCC:?set WQCC to the program}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

run_conformance() { # SET (a prefix in the list), options and folders of wqcc check
	local set=$1 out rc bad=0
	shift
	out=$("$WQCC" check "$@")
	local failed listed
	failed=$(printf '%s\n' "$out" | sed -nE 's/^(FAIL|skip) ([^:]*[^:\/])\/?(:.*)?$/\2/p' | xargs -r -n1 basename | sort)
	listed=$(awk -v set="$set" '("," $1 ",") ~ ("," set ",") { print $2 }' "$here/conformance.expected" | sort)
	local present
	present=$(for f in "$@"; do [ -d "$f" ] && basename "$f"; done | sort)
	listed=$(comm -12 <(printf '%s\n' "$listed") <(printf '%s\n' "$present"))
	for f in $(comm -23 <(printf '%s\n' "$failed") <(printf '%s\n' "$listed")); do
		printf '%s\n' "$out" | grep -E "^(FAIL|skip) .*/$f/?(:|$)"
		bad=1
	done
	for f in $(comm -13 <(printf '%s\n' "$failed") <(printf '%s\n' "$listed")); do
		echo "$f passes now: take it off tests/conformance.expected"
		bad=1
	done
	printf '%s: %s\n' "$set" "$(printf '%s\n' "$out" | tail -n 1)"
	return $bad
}
