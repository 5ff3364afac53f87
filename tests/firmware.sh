# docs/firmware as a reader builds it: clang and lld, both boards, run in QEMU; the answer is the one that the evaluator gives.
: "${WQCC:?set WQCC to the program}"
for tool in clang-19 ld.lld-19 qemu-system-arm; do
	command -v $tool >/dev/null || { echo "SKIP: $tool is not installed (scripts/setup.sh --cross)"; exit 77; }
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0 passed=0
for board in mps2-an386 mps3-an547; do
	out=$tmp/$board
	if WQCC=$WQCC docs/firmware/build.sh ${board#*-} "$out" >"$tmp/log" 2>&1 &&
		said=$(timeout 60 qemu-system-arm -M $board -nographic -monitor none -serial none -semihosting-config enable=on,target=native \
			-kernel "$out/firmware.elf" 2>&1) && [ "$said" = "this is a 5" ]; then
		passed=$((passed + 1))
	else
		bad=$((bad + 1))
		echo "$board: ${said:-$(cat "$tmp/log")}"
	fi
done
echo "$passed passed, $bad failed"
[ $bad = 0 ]
