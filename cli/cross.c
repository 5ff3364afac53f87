/* cross.c: runs objects for other CPUs. The runner (tests/cross/) is compiled once a target by clang; an object is
 * linked with it and with the runtime by lld into a program without a C library, which reads in.bin and writes out.bin
 * (tests/cross/runner.c tells their layout).
 */
#include "cli/cross.h"
#include "codegen/object_file.h"

#include "wqrt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MAX_ARGS = 40,
	STACK_SLACK = 256, /* what the runner cannot tell from the model's own */
	IO_FAILED = 98,    /* tests/cross/io.h */
};

typedef struct Machine {
	const char *name;    /* WqTarget.qemu */
	const char *program; /* what runs it */
	const char *args;    /* before the program's name, separated by spaces */
	const char *io;      /* implementation of io.h */
	const char *memory;  /* a board's MEMORY command */
} Machine;

#define SEMIHOSTING "-nographic -monitor none -serial none -semihosting-config enable=on,target=native "
#define MPS2(psram) \
	"CODE (rx) : ORIGIN = 0, LENGTH = 4M\nRAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M\n" \
	"BIG (rwx) : ORIGIN = " psram ", LENGTH = 16M\n"
static const Machine machines[] = {
	{ "qemu-x86_64", "qemu-x86_64", "-cpu max", "linux.c", NULL },
	{ "qemu-aarch64", "qemu-aarch64", "-cpu max", "linux.c", NULL },
	{ "qemu-arm", "qemu-arm", "-cpu max", "linux.c", NULL },
	{ "qemu-riscv64", "qemu-riscv64", "-cpu rv64,v=true,vext_spec=v1.0,vlen=", "linux.c", NULL },
	{ "an385", "qemu-system-arm", SEMIHOSTING "-M mps2-an385 -kernel", "board.c", MPS2("0x21000000") },
	{ "an386", "qemu-system-arm", SEMIHOSTING "-M mps2-an386 -kernel", "board.c", MPS2("0x21000000") },
	{ "an500", "qemu-system-arm", SEMIHOSTING "-M mps2-an500 -kernel", "board.c", MPS2("0x60000000") },
	{ "an547", "qemu-system-arm", SEMIHOSTING "-M mps3-an547 -kernel", "board.c",
	  "CODE (rx) : ORIGIN = 0, LENGTH = 512K\nRAM (rwx) : ORIGIN = 0x20000000, LENGTH = 512K\n"
	  "BIG (rwx) : ORIGIN = 0x60000000, LENGTH = 256M\n" },
	{ "virt32", "qemu-system-riscv32", SEMIHOSTING "-M virt -bios none -kernel", "board.c",
	  "CODE (rx) : ORIGIN = 0x80000000, LENGTH = 4M\nRAM (rwx) : ORIGIN = 0x80400000, LENGTH = 4M\n"
	  "BIG (rwx) : ORIGIN = 0x80800000, LENGTH = 112M\n" },
	{ "node", "node", "../wasm.mjs", "wasm.c", NULL },
};

struct Cross {
	const WqTarget *target;
	const Machine *machine;
	const char *dir;
	bool keep;
	const char *run; /* what stands before the program's name, separated by spaces */
	pid_t owner;
};

/* ---- processes ------------------------------------------------------------------------------------------- */

typedef struct Args {
	const char *v[MAX_ARGS + 1];
	int n;
} Args;

static void arg(Args *l, const char *s)
{
	WQ_ASSERT(l->n < MAX_ARGS);
	l->v[l->n++] = s;
}

static void args_of(Args *l, const char *words, WqArena *a)
{
	for (const char *p = words; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");
		arg(l, wq_strndup(a, p, n));
		p += n;
	}
}

static bool in_path(const char *tool, WqArena *a)
{
	const char *path = getenv("PATH");
	for (const char *p = path ? path : ""; *p; p += *p == ':') {
		size_t n = strcspn(p, ":");
		if (!access(wq_sprintf(a, "%.*s/%s", (int)n, p, tool), X_OK))
			return true;
		p += n;
	}
	return false;
}

/* In the child: everything it says goes to `log`; it ends with its parent. */
WQ_NORETURN static void become(const Args *l, const char *dir, const char *log)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600), none = open("/dev/null", O_RDONLY);
	if (fd < 0 || none < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || dup2(none, 0) < 0 || chdir(dir))
		_exit(127);
	execvp(l->v[0], (char *const *)l->v);
	_exit(127);
}

/* Returns the exit status, or minus the signal; *said is what it printed. */
static int run_in(const char *dir, const Args *l, const char **said, WqArena *a)
{
	char *log = wq_sprintf(a, "%s/log", dir);
	pid_t pid = fork();
	if (pid < 0)
		wq_fail(WQ_EINPUT, "no process for %s", l->v[0]);
	if (pid == 0)
		become(l, dir, log);
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			wq_fail(WQ_EINPUT, "%s cannot be waited for", l->v[0]);
	WqMapped m = wq_file_map(a, log);
	*said = wq_strndup(a, (const char *)m.p, m.n < 2000 ? m.n : 2000);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- files ------------------------------------------------------------------------------------------------- */

static void put_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(p, 1, n, f) != n || fclose(f))
		wq_fail(WQ_EINPUT, "%s cannot be written", path);
}

/* Two levels: files, and directories of files. */
static void remove_tree(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[4096];
	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (snprintf(path, sizeof path, "%s/%s", dir, e->d_name) < (int)sizeof path && unlink(path))
			remove_tree(path);
	}
	if (d)
		closedir(d);
	if (rmdir(dir))
		perror(dir);
}

static void remove_dir(void *p)
{
	const Cross *x = p;
	if (x->dir && !x->keep && getpid() == x->owner)
		remove_tree(x->dir);
}

static void make_dir(const char *dir)
{
	if (mkdir(dir, 0777) && errno != EEXIST)
		wq_fail(WQ_EINPUT, "%s cannot be made: %s", dir, strerror(errno));
}

static void make_own_dir(Cross *x, WqArena *a)
{
	const char *base = getenv("TMPDIR");
	char *dir = wq_sprintf(a, "%s/wqcc-XXXXXX", base && *base ? base : P_tmpdir);
	x->owner = getpid();
	wq_defer(a, remove_dir, x);
	if (!mkdtemp(dir))
		wq_fail(WQ_EINPUT, "no directory %s", dir);
	x->dir = dir;
}

/* ---- the runner ---------------------------------------------------------------------------------------------- */

static const char *linker(const WqTarget *t) { return t->family == WQ_WASM ? "wasm-ld-19" : "ld.lld-19"; }

static void need_tools(const Cross *x, WqArena *a)
{
	const char *tool[] = { "clang-19", linker(x->target), x->machine->program };
	WqStr missing = { .a = a };
	for (int i = 0; i < WQ_COUNTOF(tool); i++)
		if (!in_path(tool[i], a))
			wq_str_printf(&missing, "%s%s", missing.n ? ", " : "", tool[i]);
	if (missing.n)
		wq_fail(WQ_EINPUT, "running code for %s needs %s (scripts/setup.sh --cross)", x->target->name,
			missing.s);
}

static void compiler_args(const WqTarget *t, Args *l, WqArena *a)
{
	args_of(l,
		"clang-19 -O2 -std=c11 -ffreestanding -fno-stack-protector -ffunction-sections -fdata-sections -c -I.",
		a);
	arg(l, wq_sprintf(a, "--target=%s", t->triple));
	if (t->family == WQ_RISCV)
		args_of(l,
			t->index_bits == 64 ? "-march=rv64gc -mabi=lp64d"
					    : wq_sprintf(a, "-march=rv32imfc -mabi=%s", t->abi),
			a);
	else if (t->family == WQ_CORTEX_M)
		arg(l, wq_sprintf(a, "-mcpu=%s", t->cpu));
	else if (t->family == WQ_WASM)
		arg(l, "-msimd128");
}

static void compile(const Cross *x, const char *source, WqArena *a)
{
	Args l = { 0 };
	const char *said;
	compiler_args(x->target, &l, a);
	arg(&l, source);
	if (run_in(x->dir, &l, &said, a))
		wq_fail(WQ_EINPUT, "clang-19 does not compile %s for %s: %s", source, x->target->triple, said);
}

static const char *const sources[] = { "runner.c", "mem.c", "int64.c", "softfloat.c" };

static void build_runner(const Cross *x, WqArena *a)
{
	static const char *const folders[] = { "include/", "runtime/", "tests/cross/" };
	for (int k = 0; k < WQ_COUNTOF(folders); k++) {
		const char *name;
		for (int i = 0; (name = cli_file_name(folders[k], i)); i++) {
			size_t n;
			const char *p = cli_file(name, &n);
			put_file(wq_sprintf(a, "%s/%s", x->dir, strrchr(name, '/') + 1), p, n);
		}
	}
	for (int i = 0; i < WQ_COUNTOF(sources); i++)
		compile(x, sources[i], a);
	compile(x, x->machine->io, a);
	if (x->machine->memory) {
		size_t n;
		WqStr s = { .a = a };
		const char *p = cli_file("tests/cross/board.ld", &n);
		wq_str_printf(&s, "MEMORY {\n%s}\n", x->machine->memory);
		wq_str_write(&s, p, n);
		put_file(wq_sprintf(a, "%s/script.ld", x->dir), s.s, s.n);
	}
}

static const Machine *find_machine(const WqTarget *t)
{
	for (int i = 0; t->qemu && i < WQ_COUNTOF(machines); i++)
		if (!strcmp(machines[i].name, t->qemu))
			return &machines[i];
	wq_fail(WQ_EINPUT, "there is no machine here to run code for %s", t->name);
}

static const char *full_path(const char *path, WqArena *a)
{
	char *full = realpath(path, NULL);
	if (!full)
		wq_fail(WQ_EINPUT, "%s is not there", path);
	char *s = wq_strdup(a, full);
	free(full);
	return s;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && !strcmp(s + n - m, end);
}

static const char *vlen(const WqTarget *t)
{
	return wq_target_has(t, "zvl512b") ? "512" : wq_target_has(t, "zvl256b") ? "256" : "128";
}

Cross *cross_new(const WqTarget *t, const char *keep, WqArena *a)
{
	Cross *x = WQ_NEW(a, Cross);
	x->target = t;
	x->machine = find_machine(t);
	/* QEMU has no AVX-512; this CPU may. */
	if (t->family == WQ_X86 && t->vector_bytes > 32)
		x->run = "";
	else {
		need_tools(x, a);
		x->run = wq_sprintf(a, "%s %s%s", x->machine->program, x->machine->args,
				    ends_with(x->machine->args, "vlen=") ? vlen(t) : "");
	}
	x->keep = keep;
	if (!keep)
		make_own_dir(x, a);
	else {
		make_dir(keep);
		x->dir = full_path(keep, a);
	}
	build_runner(x, a);
	return x;
}

/* ---- a call --------------------------------------------------------------------------------------------------- */

static void link_program(const Cross *x, const char *dir, const char *object, WqArena *a)
{
	Args l = { 0 };
	const char *said;
	arg(&l, linker(x->target));
	args_of(&l, "--gc-sections -o program", a);
	if (x->machine->memory)
		args_of(&l, "-T ../script.ld", a);
	if (x->target->family == WQ_WASM)
		args_of(&l, "--no-entry --stack-first -z stack-size=1048576", a);
	for (int i = 0; i < WQ_COUNTOF(sources); i++)
		arg(&l, wq_sprintf(a, "../%.*s.o", (int)strcspn(sources[i], "."), sources[i]));
	arg(&l, wq_sprintf(a, "../%.*s.o", (int)strcspn(x->machine->io, "."), x->machine->io));
	arg(&l, object);
	if (run_in(dir, &l, &said, a)) {
		bool full = strstr(said, "will not fit in region") || strstr(said, "overflowed");
		wq_fail(full ? WQ_EUNSUPPORTED : WQ_EINPUT,
			full ? "the program does not fit into %s: %s" : "linking for %s: %s", x->machine->name, said);
	}
}

typedef struct File64 { /* a file of 64-bit words and data padded to them */
	WqStr s;
	const uint8_t *p; /* reading */
	size_t left;
} File64;

static void put64(File64 *f, int64_t v) { wq_str_write(&f->s, &v, sizeof v); }

static void put_data(File64 *f, const void *p, size_t n)
{
	put64(f, (int64_t)n);
	wq_str_write(&f->s, p, n);
	wq_str_write(&f->s, "\0\0\0\0\0\0\0", -n % 8);
}

static const void *get(File64 *f, size_t n)
{
	const void *p = f->p;
	if (n > f->left)
		wq_fail(WQ_ECHECK, "the runner's output ends early");
	f->p += n;
	f->left -= n;
	return p;
}

static int64_t get64(File64 *f)
{
	int64_t v;
	memcpy(&v, get(f, sizeof v), sizeof v);
	return v;
}

static void append(void *arg, const void *p, size_t n) { wq_str_write(arg, p, n); }

static void write_inputs(const ApiCall *c, const WqProgram *weights, const char *path, WqArena *a)
{
	const WqGraph *g = c->mod->main;
	File64 f = { .s = { .a = a } };
	int n_dims = 0;
	for (int i = 0; i < g->inputs.n; i++)
		n_dims += g->inputs.v[i]->type.rank;
	put64(&f, n_dims);
	wq_str_write(&f.s, c->in_dims, (size_t)n_dims * sizeof *c->in_dims);
	const int64_t *dim = c->in_dims;
	for (int i = 0; i < g->inputs.n; i++) {
		const WqType *t = &g->inputs.v[i]->type;
		size_t bytes = wq_dtype_size(t->dtype);
		for (int k = 0; k < t->rank; k++)
			bytes *= (size_t)*dim++;
		put_data(&f, c->in[i], bytes);
	}
	put64(&f, weights ? weights->weights_bytes : 0);
	if (weights)
		wq_program_weights(weights, append, &f.s);
	put_file(path, f.s.s, f.s.n);
}

/* What the model must not do. */
static void judge(int64_t wrong, int64_t used, int64_t promised)
{
	if (wrong & 1)
		wq_fail(WQ_ECHECK, "memory outside of the model's buffers was written");
	if (wrong & 2)
		wq_fail(WQ_ECHECK, "an input was written");
	if (promised && used > promised + STACK_SLACK)
		wq_fail(WQ_ECHECK, "%lld bytes of stack were used, %lld promised", (long long)used,
			(long long)promised);
}

static int read_outputs(const ApiCall *c, const char *path, WqArena *a)
{
	const WqGraph *g = c->mod->main;
	WqMapped m = wq_file_map(a, path);
	File64 f = { .p = m.p, .left = m.n };
	int code = (int)get64(&f);
	int64_t wrong = get64(&f), used = get64(&f), promised = get64(&f), n_dims = get64(&f), expected = 0;
	judge(wrong, used, promised);
	for (int i = 0; i < g->outputs.n; i++)
		expected += g->outputs.v[i].value->type.rank;
	if (n_dims != expected)
		wq_fail(WQ_ECHECK, "the object's outputs have %lld sizes, the model's %lld", (long long)n_dims,
			(long long)expected);
	memcpy(c->out_dims, get(&f, (size_t)n_dims * sizeof *c->out_dims), (size_t)n_dims * sizeof *c->out_dims);
	for (int i = 0; code == WQRT_OK && i < g->outputs.n; i++) {
		size_t n = (size_t)get64(&f);
		if (n > c->out_bytes[i])
			wq_fail(WQ_ECHECK, "output '%s' is larger than its bound", g->outputs.v[i].name);
		memcpy(c->out[i], get(&f, n), n);
		get(&f, -n % 8);
	}
	return code;
}

/* For a debugger, or to count instructions: QEMU_OPTIONS stand before QEMU's other options. */
static void write_script(const Cross *x, const char *dir, WqArena *a)
{
	WqStr s = { .a = a };
	size_t n = strcspn(x->run, " ");
	wq_str_printf(&s, "#!/bin/sh\ncd \"$(dirname \"$0\")\" && exec %.*s %s%s ./program\n", (int)n, x->run,
		      n ? "$QEMU_OPTIONS" : "", x->run + n);
	char *path = wq_sprintf(a, "%s/run", dir);
	put_file(path, s.s, s.n);
	if (chmod(path, 0755))
		wq_fail(WQ_EINPUT, "%s cannot be made executable", path);
}

int cross_call(const Cross *x, const ApiCall *c, const char *object, const WqProgram *weights, const char *name,
	       WqArena *a)
{
	char *dir = x->keep ? wq_sprintf(a, "%s/%s", x->dir, name) : wq_sprintf(a, "%s/%ld", x->dir, (long)getpid());
	make_dir(dir);
	link_program(x, dir, full_path(object, a), a);
	write_inputs(c, weights, wq_sprintf(a, "%s/in.bin", dir), a);
	if (x->keep)
		write_script(x, dir, a);
	Args l = { 0 };
	args_of(&l, x->run, a);
	arg(&l, "./program");
	const char *said;
	int status = run_in(dir, &l, &said, a);
	if (status == IO_FAILED && strstr(said, "do not fit"))
		wq_fail(WQ_EUNSUPPORTED, "%s: %s", x->machine->name, said);
	if (status < 0)
		wq_fail(WQ_ECHECK, "signal %d from %s: %s", -status, x->machine->program, said);
	if (status)
		wq_fail(WQ_ECHECK, "status %d of %s: %s", status, x->machine->program, said);
	return read_outputs(c, wq_sprintf(a, "%s/out.bin", dir), a);
}

int cross_call_program(const Cross *x, const ApiCall *c, WqProgram *p, const char *name, WqArena *a)
{
	WqObject object = wq_program_object(p, "model.o");
	char *path = wq_sprintf(a, "%s/%s%ld.o", x->dir, name, (long)getpid());
	WqFileOut *f = wq_file_create(a, path);
	wq_object_write(&object, wq_file_sink, f, a);
	wq_file_commit(f);
	int code = cross_call(x, c, path, p->o.weights_inside ? NULL : p, name, a);
	if (!x->keep && unlink(path))
		wq_fail(WQ_EINPUT, "%s cannot be removed", path);
	return code;
}
