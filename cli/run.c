/* run: compiles a model for this CPU (or evaluates it) and runs it on tensors from files; prints or stores the outputs. */
#include "cli/code.h"

#include <ctype.h>
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

typedef struct Run {
	Common c;
	const char *model, *out_dir;
	WQ_VEC(wqcc_tensor) in;
	bool eval;       /* --engine eval: operator by operator */
} Run;

static bool ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), m = strlen(tail);
	return n >= m && !strcmp(s + n - m, tail);
}

static void add_tensor(Run *r, const char *name, const WqTensor *t)
{
	WqTensor *u = WQ_NEW(r->c.arena, WqTensor);
	*u = *t;
	if (t->packed) { /* the library takes one element a byte */
		int64_t n = wq_tensor_count(t);
		u->data = wq_alloc(r->c.arena, (size_t)n);
		u->packed = false;
		wq_unpack(t->dtype, t->data, u->data, n);
	}
	wqcc_tensor in = { name, (int)u->dtype, u->rank, { 0 }, u->data, wq_tensor_bytes(u) };
	memcpy(in.dim, u->dim, (size_t)u->rank * sizeof *u->dim);
	WQ_PUSH(r->c.arena, r->in, in);
}

/* NAME=FILE, or an .npz with a member per input. */
static void add_input(Run *r, const char *spec)
{
	const char *eq = strchr(spec, '=');
	if (!eq && ends_with(spec, ".npz")) {
		int n;
		WqFileValue *v = wq_npz_read(r->c.arena, spec, &n);
		for (int i = 0; i < n; i++)
			add_tensor(r, v[i].name, v[i].t);
		return;
	}
	if (!eq || eq == spec || !eq[1])
		wq_fail(WQ_EINPUT, "--input takes NAME=FILE or FILE.npz, not '%s'", spec);
	WqFileValue *v = wq_value_read(r->c.arena, eq + 1, NULL);
	add_tensor(r, wq_strndup(r->c.arena, spec, (size_t)(eq - spec)), v->t);
}

static void options(Run *r, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *v;
		if ((v = option_value("--input", argc, argv, &i)))
			add_input(r, v);
		else if ((v = option_value("--output", argc, argv, &i)))
			r->out_dir = v;
		else if ((v = option_value("--engine", argc, argv, &i))) {
			r->eval = !strcmp(v, "eval");
			if (!r->eval && strcmp(v, "jit"))
				wq_fail(WQ_EINPUT, "unknown engine '%s' (there are: jit, eval)", v);
		} else if (common_option(&r->c, argc, argv, &i))
			continue;
		else if (argv[i][0] == '-' || r->model)
			wq_fail(WQ_EINPUT, "run: unexpected '%s'", argv[i]);
		else
			r->model = argv[i];
	}
	if (!r->model)
		wq_fail(WQ_EINPUT, "run: which model?");
}

static WqTensor view(const wqcc_tensor *t)
{
	WqTensor v = { .dtype = (WqDtype)t->dtype, .rank = t->rank, .data = (void *)(uintptr_t)t->data };
	memcpy(v.dim, t->dim, (size_t)t->rank * sizeof *t->dim);
	return v;
}

static void print_element(const WqTensor *t, int64_t i)
{
	if (t->dtype == WQ_STR) {
		const WqString *s = t->data;
		printf(" \"%.*s\"", (int)s[i].n, s[i].p);
	} else if (wq_dtype(t->dtype)->cls == 'C') {
		printf(" ?");
	} else if (wq_dtype_is_float(t->dtype)) {
		printf(" %.6g", wq_tensor_get_f(t, i));
	} else {
		printf(t->dtype == WQ_U64 ? " %llu" : " %lld", (long long)wq_tensor_get_i(t, i));
	}
}

static void print_output(const Run *r, const wqcc_tensor *out)
{
	enum { SHOWN = 16 };
	WqTensor t = view(out);
	WqType type = wq_type_of_tensor(&t);
	WqStr s = { .a = r->c.arena };
	wq_type_print(NULL, &type, &s);
	printf("%s: %s =", out->name, s.s);
	int64_t n = wq_tensor_count(&t);
	for (int64_t i = 0; i < n && i < SHOWN; i++)
		print_element(&t, i);
	printf(n > SHOWN ? " ...\n" : "\n");
}

/* A file name from an output's name: what is no plain character becomes '_'. */
static const char *file_name(const Run *r, const char *name)
{
	char *s = wq_strdup(r->c.arena, name);
	for (char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			*p = '_';
	return wq_sprintf(r->c.arena, "%s/%s%s.npy", r->out_dir, *s == '.' ? "_" : "", s);
}

static void make_dir(const Run *r)
{
	if (r->out_dir && mkdir(r->out_dir, 0777) && errno != EEXIST)
		wq_fail(WQ_EINPUT, "%s: %s", r->out_dir, strerror(errno));
}

/* t NULL: the output is no tensor. */
static void give(Run *r, int i, const wqcc_tensor *t)
{
	if (t && !r->out_dir) {
		print_output(r, t);
	} else if (t) {
		WqTensor v = view(t);
		wq_npy_write(r->c.arena, file_name(r, t->name), &v);
	} else if (r->out_dir) {
		wq_fail(WQ_EUNSUPPORTED, "output %d is no tensor and has no .npy form", i);
	} else {
		printf("output %d is a sequence or optional\n", i);
	}
}

/* ---- compiled ----------------------------------------------------------------------------------------- */

static void unref(void *v) { wq_rt_unref(v); }

static WqRt *input_rt(Run *r, const WqGraph *g, int i)
{
	const wqcc_tensor *found = NULL;
	for (int j = 0; j < r->in.n; j++)
		if (!strcmp(r->in.v[j].name, g->inputs.v[i]->name))
			found = &r->in.v[j];
	if (!found)
		wq_fail(WQ_EINPUT, "input '%s' is missing", g->inputs.v[i]->name);
	WqTensor t = view(found);
	WqRt *v = wq_rt_borrow(&t);
	wq_defer(r->c.arena, unref, v);
	return v;
}

static void check_names(const Run *r, const WqGraph *g)
{
	for (int j = 0; j < r->in.n; j++) {
		bool known = false;
		for (int i = 0; i < g->inputs.n; i++)
			known |= !strcmp(r->in.v[j].name, g->inputs.v[i]->name);
		if (!known)
			wq_fail(WQ_EINPUT, "the model has no input '%s'", r->in.v[j].name);
	}
}

static void run_compiled(Run *r, wqcc_model *m)
{
	const WqGraph *g = m->module->main;
	WqRt **in = WQ_NEW_N(r->c.arena, WqRt *, g->inputs.n + 1), **out = WQ_NEW_N(r->c.arena, WqRt *, g->outputs.n + 1);
	check_names(r, g);
	for (int i = 0; i < g->inputs.n; i++)
		in[i] = input_rt(r, g, i);
	if (m->onnx)
		onnx_bound_sizes(m->onnx, m->module);
	code_run_here(m->module, in, out, r->c.threads, r->c.arena);
	make_dir(r);
	for (int i = 0; i < g->outputs.n; i++) {
		const WqTensor *t = &out[i]->t;
		wqcc_tensor o = { g->outputs.v[i].name, (int)t->dtype, t->rank, { 0 }, t->data, wq_tensor_bytes(t) };
		memcpy(o.dim, t->dim, (size_t)t->rank * sizeof *t->dim);
		wq_defer(r->c.arena, unref, out[i]);
		give(r, i, &o);
	}
}

/* ---- evaluated ---------------------------------------------------------------------------------------- */

static void free_values(void *v) { wqcc_values_free(v); }

static void run_evaluated(Run *r, wqcc_model *m)
{
	struct timespec t0, t1;
	wqcc_error err;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	wqcc_values *y = wqcc_evaluate(m, r->in.v, r->in.n, &err);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	if (!y)
		wq_fail(err.code, "%s", err.message);
	wq_defer(r->c.arena, free_values, y);
	make_dir(r);
	for (int i = 0; i < wqcc_values_count(y); i++)
		give(r, i, wqcc_values_tensor(y, i));
	if (r->c.verbose <= 0)
		return;
	int64_t peak, live;
	wqcc_memory(m, &peak, &live);
	fprintf(stderr, "%.3f ms, peak memory %lld bytes, largest live set %lld bytes\n",
		(double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6, (long long)peak, (long long)live);
}

int verb_run(int argc, char **argv)
{
	Run r = { .c.arena = cli_arena() };
	options(&r, argc, argv);
	r.eval |= r.c.plain;
	if (!r.eval && !r.c.passes)
		r.c.passes = "opt";
	wqcc_model *m = common_load(&r.c, r.model);
	(r.eval ? run_evaluated : run_compiled)(&r, m);
	cli_arena_done(r.c.arena);
	return WQ_OK;
}
