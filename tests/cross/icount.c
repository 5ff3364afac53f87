/* icount.c: a plugin for QEMU that counts the instructions executed in each function; to standard error, "COUNT SYMBOL"
 * a line.
 *
 *   cc -O2 -shared -fPIC tests/cross/icount.c -o libicount.so;  qemu-aarch64 -plugin ./libicount.so ./program
 *
 * QEMU's own header is not packaged; what is used of its plugin interface, version 1, is declared here. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define API __attribute__((visibility("default")))

typedef uint64_t Id;
typedef struct Block Block; /* a translated block: runs from its start to its end, within one function */
typedef struct Insn Insn;
enum { INLINE_ADD = 0 };
extern void qemu_plugin_register_vcpu_tb_trans_cb(Id id, void (*fn)(Id id, Block *b));
extern void qemu_plugin_register_vcpu_tb_exec_inline(Block *b, int op, void *at, uint64_t by);
extern void qemu_plugin_register_atexit_cb(Id id, void (*fn)(Id id, void *arg), void *arg);
extern size_t qemu_plugin_tb_n_insns(const Block *b);
extern Insn *qemu_plugin_tb_get_insn(const Block *b, size_t i);
extern const char *qemu_plugin_insn_symbol(const Insn *n);

API int qemu_plugin_version = 1;

typedef struct Function {
	char name[120];
	uint64_t count;
} Function;

enum { MAX = 8192 };
static Function function[MAX];
static int n_functions;

static Function *find(const char *name)
{
	int i = 0;
	while (i < n_functions && strncmp(function[i].name, name, sizeof function[i].name - 1))
		i++;
	if (i == MAX)
		return NULL;
	if (i == n_functions)
		strncpy(function[n_functions++].name, name, sizeof function[i].name - 1);
	return &function[i];
}

static void translated(Id id, Block *b)
{
	(void)id;
	const char *name = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(b, 0));
	Function *f = find(name && *name ? name : "?");
	if (f)
		qemu_plugin_register_vcpu_tb_exec_inline(b, INLINE_ADD, &f->count, qemu_plugin_tb_n_insns(b));
}

static void done(Id id, void *arg)
{
	(void)id;
	(void)arg;
	for (int i = 0; i < n_functions; i++)
		fprintf(stderr, "%llu %s\n", (unsigned long long)function[i].count, function[i].name);
}

API int qemu_plugin_install(Id id, const void *info, int argc, char **argv);
API int qemu_plugin_install(Id id, const void *info, int argc, char **argv)
{
	(void)info;
	(void)argc;
	(void)argv;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, done, NULL);
	return 0;
}
