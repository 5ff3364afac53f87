# label: slow
# Real models on other CPUs, within 1e-4 of their outputs' ranges: ours, and those of ../shared that boards and emulation have room and
# time for.
. "$(dirname "$0")/cross/run.bash"
need clang-19 ld.lld-19 wasm-ld-19 qemu-aarch64 qemu-riscv64 qemu-system-arm node
bad=0

agree() { # ENGINE FOLDER...: all must pass
	local out
	out=$("$WQCC" check --timeout 600 --range 1e-4 --engine "$@") || bad=1
	grep -E '^(FAIL|skip)' <<<"$out"
	echo "$1: $(tail -n 1 <<<"$out")"
}
for engine in aarch64 riscv64 cortex-m4 cortex-m55 wasm32; do
	agree $engine models/digits models/tones models/chars
done
[ -d "$SHARED/models" ] || { echo "note: ../shared/models is not here"; exit $bad; }
small=()
for name in mlperf_kws01_dscnn mlperf_ic01_resnet8 mlperf_ad01_fcae cifar_resnet20 charrnn_charlotte_bronte llama_stories260k_kv gtcrn crepe_tiny \
	silero_vad; do
	small+=("$SHARED/models/$name")
done
for engine in cortex-m4 cortex-m55 aarch64; do
	agree $engine "${small[@]}"
done
exit $bad
