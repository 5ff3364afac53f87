# A few of the ONNX backend's cases on other CPUs; cross_slow.sh runs more.
. "$(dirname "$0")/cross/run.bash"
need clang-19 ld.lld-19 wasm-ld-19 qemu-aarch64 qemu-riscv64 qemu-system-arm node
on_all tests/cross/quick.list aarch64 riscv64 cortex-m4 cortex-m55 wasm32
