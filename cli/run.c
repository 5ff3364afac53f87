/* run: evaluates a model on tensors from files; prints or stores the outputs. */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

typedef struct Run {
	Common c;
	const char *model, *out_dir;
	WQ_VEC(wqcc_tensor) in;
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
		else if (common_option(&r->c, argc, argv, &i))
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

static void store(Run *r, const wqcc_values *y)
{
	if (mkdir(r->out_dir, 0777) && errno != EEXIST)
		wq_fail(WQ_EINPUT, "%s: %s", r->out_dir, strerror(errno));
	for (int i = 0; i < wqcc_values_count(y); i++) {
		const wqcc_tensor *t = wqcc_values_tensor(y, i);
		if (!t)
			wq_fail(WQ_EUNSUPPORTED, "output %d is no tensor and has no .npy form", i);
		WqTensor v = view(t);
		wq_npy_write(r->c.arena, file_name(r, t->name), &v);
	}
}

static void free_values(void *v) { wqcc_values_free(v); }

int verb_run(int argc, char **argv)
{
	Run r = { .c.arena = cli_arena() };
	options(&r, argc, argv);
	wqcc_model *m = common_load(&r.c, r.model);
	struct timespec t0, t1;
	wqcc_error err;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	wqcc_values *y = wqcc_evaluate(m, r.in.v, r.in.n, &err);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	if (!y)
		wq_fail(err.code, "%s", err.message);
	wq_defer(r.c.arena, free_values, y);
	if (r.out_dir)
		store(&r, y);
	else
		for (int i = 0; i < wqcc_values_count(y); i++) {
			const wqcc_tensor *t = wqcc_values_tensor(y, i);
			if (t)
				print_output(&r, t);
			else
				printf("output %d is a sequence or optional\n", i);
		}
	if (r.c.verbose > 0) {
		int64_t peak, live;
		wqcc_memory(m, &peak, &live);
		fprintf(stderr, "%.3f ms, peak memory %lld bytes, largest live set %lld bytes\n",
			(double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6, (long long)peak, (long long)live);
	}
	cli_arena_done(r.c.arena);
	return WQ_OK;
}
