/* check: runs folders in the layout of ONNX's backend tests (model.onnx, test_data_set_N/{input,output}_K.pb) and compares.
 *
 * Every folder runs in a process of its own: one that crashes or hangs is a failure, not the end of the run.
 */
#include "cli/cross.h"
#include "cli/code.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

typedef struct Check {
	Common c;
	double rtol, atol;
	double range;      /* > 0: passes if within this share of the expected output's range */
	bool const_inputs; /* inputs are compiled in as constants */
	int timeout;       /* seconds a folder */
	bool jit;          /* compiled; else the evaluator */
	const Cross *cross; /* for another CPU; NULL: in memory */
	const WqTarget *target;
	const char *engine, *cpu, *attrs, *keep; /* --engine, -mcpu, -mattr, --keep */
	const char *folder; /* its last name */
	WQ_VEC(const char *) dirs;
} Check;

typedef enum { PASS, FAIL, SKIP } Outcome;

/* ---- comparing --------------------------------------------------------------------------------- */

static bool close_enough(const Check *k, double got, double want, double span)
{
	if (isnan(want) || isnan(got))
		return isnan(want) && isnan(got);
	if (isinf(want) || isinf(got))
		return want == got;
	double d = fabs(got - want);
	if (k->range > 0)
		return d <= k->range * span || d == 0;
	return d <= k->atol + k->rtol * fabs(want);
}

static double span_of(const WqTensor *t)
{
	double lo = INFINITY, hi = -INFINITY;
	int64_t n = wq_tensor_count(t);
	for (int64_t i = 0; i < n; i++) {
		double v = wq_tensor_get_f(t, i);
		if (isfinite(v)) {
			lo = fmin(lo, v);
			hi = fmax(hi, v);
		}
	}
	return hi > lo ? hi - lo : fmax(fabs(hi), 1e-30);
}

static void shape_text(const WqTensor *t, WqStr *s)
{
	WqType type = wq_type_of_tensor(t);
	wq_type_print(NULL, &type, s);
}

static bool compare_strings(const WqTensor *got, const WqTensor *want, int64_t n)
{
	const WqString *a = got->data, *b = want->data;
	for (int64_t i = 0; i < n; i++)
		if (a[i].n != b[i].n || memcmp(a[i].p, b[i].p, a[i].n))
			return false;
	return true;
}

/* Appends what differs to why. */
static bool compare_tensor(const Check *k, const WqTensor *got, const WqTensor *want, bool random, WqStr *why)
{
	bool same = got->dtype == want->dtype && got->rank == want->rank &&
		    !memcmp(got->dim, want->dim, (size_t)got->rank * sizeof *got->dim);
	if (!same) {
		wq_str_printf(why, "type ");
		shape_text(got, why);
		wq_str_printf(why, ", expected ");
		shape_text(want, why);
		return false;
	}
	int64_t n = wq_tensor_count(want), wrong = 0, first = -1;
	if (random)
		return true;
	if (want->dtype == WQ_STR) {
		if (!compare_strings(got, want, n))
			wq_str_printf(why, "strings differ");
		return why->n == 0;
	}
	if (want->dtype == WQ_C64 || want->dtype == WQ_C128) {
		bool equal = !memcmp(got->data, want->data, wq_tensor_bytes(want));
		if (!equal)
			wq_str_printf(why, "complex values differ");
		return equal;
	}
	double span = k->range > 0 ? span_of(want) : 0, worst = 0;
	bool exact64 = want->dtype == WQ_I64 || want->dtype == WQ_U64;
	for (int64_t i = 0; i < n; i++) {
		double g = wq_tensor_get_f(got, i), w = wq_tensor_get_f(want, i);
		bool ok = exact64 ? wq_tensor_get_i(got, i) == wq_tensor_get_i(want, i) || (k->range > 0 && close_enough(k, g, w, span))
				  : close_enough(k, g, w, span);
		if (!ok && wrong++ == 0)
			first = i;
		if (!ok)
			worst = fmax(worst, fabs(g - w));
	}
	if (wrong)
		wq_str_printf(why, "%lld of %lld differ, most by %g; [%lld] is %.9g, expected %.9g", (long long)wrong, (long long)n, worst,
			      (long long)first, wq_tensor_get_f(got, first), wq_tensor_get_f(want, first));
	return wrong == 0;
}

static bool compare_value(const Check *k, const WqRt *got, const WqFileValue *want, bool random, WqStr *why)
{
	if (got->kind == WQ_TENSOR && want->type.kind == WQ_TENSOR)
		return compare_tensor(k, &got->t, want->t, random, why);
	if (got->kind != want->type.kind || got->n != want->n) {
		wq_str_printf(why, "a list of %d, expected %d", got->n, want->n);
		return false;
	}
	for (int i = 0; i < got->n; i++)
		if (!compare_value(k, got->elems[i], &want->elems[i], random, why))
			return false;
	return true;
}

/* ---- running one folder ------------------------------------------------------------------------ */

static bool exists(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0;
}

static WqRt *to_rt(WqArena *a, const WqFileValue *v)
{
	if (v->type.kind == WQ_TENSOR)
		return wq_rt_borrow(v->t);
	WqRt **e = WQ_NEW_N(a, WqRt *, v->n + 1);
	for (int i = 0; i < v->n; i++)
		e[i] = to_rt(a, &v->elems[i]);
	WqRt *r = wq_rt_list(v->type.kind, v->type.elem, v->n, e);
	for (int i = 0; i < v->n; i++)
		wq_rt_unref(e[i]);
	return r;
}

static bool depends_on_random(const WqGraph *g)
{
	WQ_FOR_NODES(n, g) {
		if (wq_op(n->op)->flags & WQ_IMPURE)
			return true;
		for (int i = 0; i < n->n_body; i++)
			if (depends_on_random(n->body[i]))
				return true;
	}
	return false;
}

/* Types and constant data of the inputs, from the data set. */
static void import_options(const Check *k, ImportOptions *o, WqArena *a, int n, const char *const *names, WqFileValue *const *in, bool types)
{
	const char **ns = WQ_NEW_N(a, const char *, n + 1);
	WqType *ts = WQ_NEW_N(a, WqType, n + 1);
	WqTensor *cs = WQ_NEW_N(a, WqTensor, n + 1);
	int m = 0;
	for (int i = 0; i < n; i++)
		if (in[i]->type.kind == WQ_TENSOR) {
			ns[m] = names[i];
			ts[m] = wq_type_of_tensor(in[i]->t);
			cs[m++] = *in[i]->t;
		}
	if (types) {
		o->n_types = m;
		o->type_names = ns;
		o->types = ts;
	}
	if (k->const_inputs) {
		o->n_consts = m;
		o->const_names = ns;
		o->consts = cs;
	}
}

/* Does the data have the shapes that the model declares? Some stored data has not (a [1] for a scalar). */
static bool data_fits(const WqModule *m, int n, const char *const *names, WqFileValue *const *in)
{
	for (int i = 0; i < m->main->inputs.n; i++)
		for (int k = 0; k < n; k++) {
			const WqType *t = &m->main->inputs.v[i]->type;
			if (in[k]->type.kind != WQ_TENSOR || t->rank < 0 || strcmp(m->main->inputs.v[i]->name, names[k]))
				continue;
			if (t->rank != in[k]->t->rank)
				return false;
			for (int d = 0; d < t->rank; d++)
				if (wq_dim_static(t->dim[d]) && t->dim[d] != in[k]->t->dim[d])
					return false;
		}
	return true;
}

static WqModule *import_for(const Check *k, OnnxModel *model, WqArena *a, int n, const char *const *names, WqFileValue *const *in)
{
	ImportOptions o = { .n_dims = k->c.dims.n, .fold = wq_engine_fold };
	ImportDim *dims = WQ_NEW_N(a, ImportDim, o.n_dims + 1);
	for (int i = 0; i < o.n_dims; i++)
		dims[i] = api_parse_dim(a, k->c.dims.v[i]);
	o.dims = dims;
	import_options(k, &o, a, n, names, in, false);
	WqTry t;
	WqModule *volatile m = NULL;
	if (WQ_TRY(&t)) {
		m = onnx_import(model, &o);
		wq_try_end(&t);
		if (data_fits(m, n, names, in))
			return m;
		wq_module_free(m);
	}
	/* What needs shapes that the model does not tell may still be clear for this data. */
	import_options(k, &o, a, n, names, in, true);
	return onnx_import(model, &o);
}

static void run_engine(const Check *k, WqModule *m, WqRt *const *in, WqRt **out)
{
	WqEngineOptions eo = { .threads = k->c.threads, .plain = k->c.plain };
	WqEngine *e = wq_engine_new(m, &eo);
	wq_engine_run(e, in, out);
	wq_engine_free(e);
}

static void run_compiled(const Check *k, WqModule *m, WqRt *const *in, WqRt **out)
{
	WqArena *a = k->c.arena;
	code_bound_by_data(m, in);
	int threads = k->c.threads > 1 ? k->c.threads : 1;
	WqCodeOptions o = { .target = k->target, .level = 2, .threads = k->cross ? 1 : threads, .weights_inside = k->cross };
	WqProgram *p = wq_program_new(m, &o, a);
	ApiCall *c = api_call_new(m, in, a);
	int code = k->cross ? cross_call_program(k->cross, c, p, k->folder, a) : api_call_jit(c, wq_jit_new(p), threads);
	if (code)
		wq_fail(WQ_ECHECK, "the compiled code says: %s", api_wqrt_text(code));
	for (int i = 0; i < m->main->outputs.n; i++)
		out[i] = api_call_result(c, i);
}

static void run_set(const Check *k, OnnxModel *model, const char *dir)
{
	WqArena *a = k->c.arena;
	const char *const *names;
	const WqType *types;
	int n_names = onnx_inputs(model, a, &names, &types);
	WqFileValue **in = WQ_NEW_N(a, WqFileValue *, n_names + 1);
	int n = 0;
	for (; n < n_names; n++) {
		const char *path = wq_sprintf(a, "%s/input_%d.pb", dir, n);
		if (!exists(path))
			break;
		in[n] = wq_value_read(a, path, &types[n]);
	}
	WqModule *m = import_for(k, model, a, n, names, in);
	bool random = depends_on_random(m->main);
	if (k->jit)
		onnx_bound_sizes(model, m);
	if (k->c.passes)
		wq_passes(m, k->c.passes);
	WqRt **rin = WQ_NEW_N(a, WqRt *, m->main->inputs.n + 1);
	for (int i = 0; i < m->main->inputs.n; i++)
		for (int j = 0; j < n; j++)
			if (!strcmp(m->main->inputs.v[i]->name, names[j]))
				rin[i] = to_rt(a, in[j]);
	WqRt **out = WQ_NEW_N(a, WqRt *, m->main->outputs.n + 1);
	(k->jit ? run_compiled : run_engine)(k, m, rin, out);
	for (int i = 0; i < m->main->outputs.n; i++) {
		const char *path = wq_sprintf(a, "%s/output_%d.pb", dir, i);
		if (!exists(path))
			wq_fail(WQ_ECHECK, "%s is missing", path);
		WqType want_type = wq_rt_type(m, out[i]);
		const WqFileValue *want = wq_value_read(a, path, &want_type);
		WqStr why = { .a = a };
		if (!compare_value(k, out[i], want, random, &why))
			wq_fail(WQ_ECHECK, "output '%s': %s", m->main->outputs.v[i].name, why.s);
	}
	for (int i = 0; i < m->main->outputs.n; i++)
		wq_rt_unref(out[i]);
	for (int i = 0; i < m->main->inputs.n; i++)
		wq_rt_unref(rin[i]);
	wq_module_free(m);
}

static const char *last_name(WqArena *a, const char *dir)
{
	size_t end = strlen(dir), begin;
	while (end > 1 && dir[end - 1] == '/')
		end--;
	for (begin = end; begin && dir[begin - 1] != '/';)
		begin--;
	return wq_strndup(a, dir + begin, end - begin);
}

/* In the child: everything of one folder. The message is empty when it passed. */
static Outcome run_folder(Check *k, const char *dir, WqStr *msg)
{
	WqTry t;
	OnnxModel *volatile model = NULL;
	if (WQ_TRY(&t)) {
		k->c.arena = cli_arena();
		k->folder = last_name(k->c.arena, dir);
		model = onnx_open(wq_sprintf(k->c.arena, "%s/model.onnx", dir));
		int sets = 0;
		for (;; sets++) {
			char *set = wq_sprintf(k->c.arena, "%s/test_data_set_%d", dir, sets);
			if (!exists(set))
				break;
			run_set(k, model, set);
		}
		if (!sets)
			wq_fail(WQ_EINPUT, "no test_data_set_0 in %s", dir);
		onnx_close(model);
		cli_arena_done(k->c.arena);
		wq_try_end(&t);
		return PASS;
	}
	wq_str_printf(msg, "%s", t.err.text);
	return t.err.code == WQ_EUNSUPPORTED ? SKIP : FAIL;
}

/* The child's end: what it would tell at a usual exit, without its copy of the parent's output. */
WQ_NORETURN static void leave(Outcome o)
{
#ifdef __SANITIZE_ADDRESS__
	if (o == PASS && __lsan_do_recoverable_leak_check())
		o = FAIL;
#endif
#ifdef WQ_COVERAGE
	extern void __gcov_dump(void);
	__gcov_dump();
#endif
	_exit(o);
}

/* Runs a folder in a child; its message comes back through a pipe. */
static Outcome fork_folder(Check *k, const char *dir, WqStr *msg)
{
	int fd[2];
	if (pipe(fd))
		wq_fail(WQ_EINPUT, "no pipe for the child process");
	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		wq_fail(WQ_EINPUT, "no process for %s", dir);
	if (pid == 0) {
		close(fd[0]);
		alarm((unsigned)k->timeout);
		WqArena *a = cli_arena();
		WqStr s = { .a = a };
		Outcome o = run_folder(k, dir, &s);
		if (s.n && write(fd[1], s.s, s.n) < 0)
			o = FAIL;
		leave(o);
	}
	close(fd[1]);
	char buf[4096];
	ssize_t got;
	while ((got = read(fd[0], buf, sizeof buf)) > 0)
		wq_str_write(msg, buf, (size_t)got);
	close(fd[0]);
	int status;
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) <= SKIP)
		return (Outcome)WEXITSTATUS(status);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		wq_str_printf(msg, "no end after %d s", k->timeout);
	else
		wq_str_printf(msg, "the process died (%s %d)", WIFSIGNALED(status) ? "signal" : "status",
			      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return FAIL;
}

static void options(Check *k, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *v;
		if (common_option(&k->c, argc, argv, &i))
			continue;
		else if ((v = option_value("--rtol", argc, argv, &i)))
			k->rtol = option_number("--rtol", v);
		else if ((v = option_value("--atol", argc, argv, &i)))
			k->atol = option_number("--atol", v);
		else if ((v = option_value("--range", argc, argv, &i)))
			k->range = option_number("--range", v);
		else if ((v = option_value("--timeout", argc, argv, &i)))
			k->timeout = (int)option_number("--timeout", v);
		else if ((v = option_value("--engine", argc, argv, &i)))
			k->engine = v;
		else if ((v = option_value("-mcpu", argc, argv, &i)))
			k->cpu = v;
		else if ((v = option_value("-mattr", argc, argv, &i)))
			k->attrs = v;
		else if ((v = option_value("--keep", argc, argv, &i)))
			k->keep = v;
		else if (!strcmp(argv[i], "--const-inputs"))
			k->const_inputs = true;
		else if (argv[i][0] == '-')
			wq_fail(WQ_EINPUT, "check: unknown option '%s'", argv[i]);
		else
			WQ_PUSH(k->c.arena, k->dirs, argv[i]);
	}
}

/* eval, jit, or the target whose code is to be run. */
static void set_engine(Check *k)
{
	k->jit = strcmp(k->engine, "eval");
	bool here = !strcmp(k->engine, "jit");
	if ((!k->jit || here) && k->keep)
		wq_fail(WQ_EINPUT, "--keep is for code that runs on another CPU: --engine aarch64 and the like");
	if (!k->jit)
		return;
	if (!k->c.passes)
		k->c.passes = "opt";
	k->target = wq_target(here ? "native" : k->engine, k->cpu, k->attrs, k->c.arena);
	if (!here)
		k->cross = cross_new(k->target, k->keep, k->c.arena);
}

int verb_check(int argc, char **argv)
{
	Check k = { .rtol = 1e-3, .atol = 1e-7, .timeout = 60, .engine = "eval" };
	k.c.arena = cli_arena();
	options(&k, argc, argv);
	set_engine(&k);
	int count[3] = { 0 };
	static const char *const word[] = { "pass", "FAIL", "skip" };
	for (int i = 0; i < k.dirs.n; i++) {
		WqStr msg = { .a = k.c.arena };
		progress(&k.c, i, k.dirs.n, k.dirs.v[i]);
		Outcome o = fork_folder(&k, k.dirs.v[i], &msg);
		count[o]++;
		progress(&k.c, 1, 1, "");
		if (o != PASS || k.c.verbose > 0)
			printf("%s %s%s%s\n", word[o], k.dirs.v[i], msg.n ? ": " : "", msg.n ? msg.s : "");
	}
	printf("%d passed, %d failed, %d skipped\n", count[PASS], count[FAIL], count[SKIP]);
	cli_arena_done(k.c.arena);
	return count[FAIL] ? WQ_ECHECK : count[SKIP] ? WQ_EUNSUPPORTED : WQ_OK;
}
