#!/usr/bin/env bash
# Installs the Debian packages that are missing; silent when none are.
#   scripts/setup.sh          what building and the tests need
#   scripts/setup.sh --fuzz   also what the fuzzers need
#   scripts/setup.sh --lint   also clang-tidy and cppcheck
#   scripts/setup.sh --cross  also what running code for other CPUs needs
#   scripts/setup.sh --coverage   also gcovr
set -euo pipefail

packages=(gcc libc6-dev cmake ninja-build pkg-config protobuf-c-compiler libprotobuf-c-dev libdnnl-dev zlib1g-dev libxxhash-dev llvm-19-dev lld-19
	python3-numpy python3-onnx libonnx-testdata)
for arg in "$@"; do
	case $arg in
	--fuzz) packages+=(clang-19 libclang-rt-19-dev) ;;
	--lint) packages+=(clang-tidy-19 libomp-19-dev cppcheck) ;;
	--cross) packages+=(clang-19 lld-19 qemu-user qemu-system-arm qemu-system-misc nodejs) ;;
	--coverage) packages+=(gcovr) ;;
	*) echo "setup.sh: unknown option $arg" >&2; exit 1 ;;
	esac
done

missing=()
for p in "${packages[@]}"; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { "${sudo[@]}" apt-get update && "${sudo[@]}" apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "setup.sh: the packages could not be installed" >&2
	exit 1
fi
rm -f "$log"
