# label: slow
# The ONNX backend's cases on other CPUs: every operator on every machine, and all cases on aarch64.
. "$(dirname "$0")/cross/run.bash"
need clang-19 ld.lld-19 wasm-ld-19 qemu-x86_64 qemu-aarch64 qemu-arm qemu-riscv64 qemu-system-arm qemu-system-riscv32 node
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0
on_all tests/cross/slow.list x86_64 armv7 riscv64 riscv32 cortex-m0 cortex-m4 cortex-m7 cortex-m55 wasm32 || bad=1
for home in "${homes[@]}"; do
	[ -d "$home" ] && { ls "$home" >"$tmp/all.list"; break; }
done
on_all "$tmp/all.list" aarch64 || bad=1
exit $bad
