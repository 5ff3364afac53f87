/* files.c: sources that the program carries, so that it can hand them out wherever it is installed. WQ_SOURCE is the build's. */
#include "cli/cross.h"

typedef struct File {
	const char *name, *begin, *end;
} File;

#define FILES(X) \
	X(wqrt_h, "include/wqrt.h") \
	X(mem_c, "runtime/mem.c") \
	X(int64_c, "runtime/int64.c") \
	X(softfloat_c, "runtime/softfloat.c") \
	X(softfloat_h, "runtime/softfloat.h") \
	X(threads_c, "runtime/threads.c") \
	X(io_h, "tests/cross/io.h") \
	X(runner_c, "tests/cross/runner.c") \
	X(linux_c, "tests/cross/linux.c") \
	X(board_c, "tests/cross/board.c") \
	X(board_ld, "tests/cross/board.ld") \
	X(model_c, "tests/cross/model.c") \
	X(arith_c, "tests/cross/arith.c") \
	X(arith_h, "tests/cross/arith.h") \
	X(wasm_c, "tests/cross/wasm.c") \
	X(wasm_mjs, "tests/cross/wasm.mjs")

#define DATA(id, path) \
	__asm__(".pushsection .rodata\nwq_file_" #id ":\n.incbin \"" WQ_SOURCE "/" path "\"\nwq_file_end_" #id ":\n.byte 0\n.popsection"); \
	extern const char wq_file_##id[], wq_file_end_##id[];
FILES(DATA)

static const File files[] = {
#define ROW(id, path) { path, wq_file_##id, wq_file_end_##id },
	FILES(ROW)
};

const char *cli_file(const char *name, size_t *n)
{
	for (int i = 0; i < WQ_COUNTOF(files); i++)
		if (!strcmp(files[i].name, name)) {
			*n = (size_t)(files[i].end - files[i].begin);
			return files[i].begin;
		}
	return NULL;
}

const char *cli_file_name(const char *prefix, int i)
{
	for (int k = 0; k < WQ_COUNTOF(files); k++)
		if (!strncmp(files[k].name, prefix, strlen(prefix)) && i-- == 0)
			return files[k].name;
	return NULL;
}
