# label: slow
# Instructions of kernels on Cortex-M4, Cortex-M55 and aarch64 are those of bench/icount.tsv; bench/icount.py writes it anew.
for tool in clang-19 ld.lld-19 qemu-aarch64 qemu-system-arm; do
	command -v $tool >/dev/null || { echo "SKIP: $tool is not installed (scripts/setup.sh --cross)"; exit 77; }
done
/usr/bin/python3 -c 'import onnx, numpy' 2>/dev/null || { echo "SKIP: python3-onnx is not installed"; exit 77; }
/usr/bin/python3 bench/icount.py --check
