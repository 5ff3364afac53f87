# `cmake --install` gives a program, a library with its pkg-config file and a man page; the example under docs/ builds against them.
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$(dirname "$WQCC")" --prefix "$prefix" >/dev/null
sed -i "s|^prefix=.*|prefix=$prefix|" "$prefix"/lib/*/pkgconfig/wqcc.pc "$prefix"/lib/pkgconfig/wqcc.pc 2>/dev/null || true
for f in bin/wqcc include/wqcc.h share/man/man1/wqcc.1; do
	[ -f "$prefix/$f" ] || { echo "$f is not installed"; exit 1; }
done
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name wqcc.pc)")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir wqcc)
flags= theirs='^$'
case $(basename "$(dirname "$WQCC")") in
asan) flags='-fsanitize=address,undefined' ;;
coverage) flags=--coverage theirs='^mangle_path$' ;;
esac
# shellcheck disable=SC2046
cc -std=c99 -Wall -pedantic -Werror $flags docs/examples/evaluate.c $(pkg-config --cflags --libs wqcc) -o "$prefix/evaluate"
LD_LIBRARY_PATH=$libdir "$prefix/evaluate" models/digits/model.onnx batch=2 | tee "$prefix/log"
grep -q '^out  logits: \[2,10\]' "$prefix/log"
"$prefix/bin/wqcc" --version
exported=$(nm -D --defined-only "$libdir/libwqcc.so" | awk '$2 == "T" {print $3}' | grep -vE "^wqcc_|$theirs" || true)
[ -z "$exported" ] || { echo "libwqcc exports more than wqcc.h: $exported"; exit 1; }
echo "1 passed, 0 failed"
