# The fences of the design: dependencies run one way: cli -> api -> {frontend, passes, codegen, engine} -> {formats, ir}; dnnl.h only in
# engine/dnnl.c, the protobuf headers only in frontend, llvm-c only in codegen, runtime includes nothing of ours but wqrt.h.
cd "$(dirname "$0")/.." || exit 1
bad=0

# FOLDER ALLOWED...: every own header included by FOLDER's files lies in one of the allowed folders
allow() {
	local folder=$1 ok
	shift
	ok=$(printf '%s|' "$@")
	ok=${ok%|}
	grep -nHE '^#[[:space:]]*include "' "$folder"/*.[ch] "$folder"/*.def 2>/dev/null | grep -vE "include \"($ok)" && {
		echo "^ $folder may include only: $*"
		bad=1
	}
	return 0
}
allow ir 'ir/'
allow formats 'formats/' 'ir/' 'codegen/cg.h'
allow frontend 'frontend/' 'ir/' 'formats/'
allow engine 'engine/' 'ir/' 'formats/'
allow passes 'passes/' 'ir/' 'formats/'
allow codegen 'codegen/' 'ir/' 'formats/' 'wqrt.h'
allow api 'api/' 'frontend/' 'passes/' 'codegen/' 'engine/' 'ir/' 'formats/' 'wqcc.h' 'wqrt.h'
allow runtime 'wqrt.h' 'softfloat.h'

# PATTERN FILES-THAT-MAY (a regular expression): nobody else includes it
only() {
	grep -rnHE "^#[[:space:]]*include .*$1" --include='*.[ch]' ir formats frontend engine passes codegen runtime api cli include 2>/dev/null |
		grep -vE "^($2)" && { echo "^ $1 is included by $2 alone"; bad=1; }
	return 0
}
only 'dnnl' 'engine/dnnl'
only 'protobuf-c|onnx\.pb-c' 'frontend/'
only 'llvm-c' 'codegen/(cg|object|jit)'

# Every core operator has its evaluator, every lowering its function: the linker says so, as long as no reference is weak.
grep -rnE 'attribute__\(\(weak|pragma weak' --include='*.[ch]' ir frontend engine passes api cli && { echo "^ weak references hide missing functions"; bad=1; }
[ $bad = 0 ] && echo "1 passed, 0 failed"
exit $bad
