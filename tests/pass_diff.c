/* pass_diff [--const] [--dnnl] DIR|FILE...: every pass on every model, evaluated before and after, must agree.
 *
 * A DIR holds model.onnx (or is the model's file) and, where it has them, test_data_set_0/input_K.pb; other inputs
 * are random. With --const the inputs are compiled in as constants. To the bit for the passes that promise it, to
 * rounding for the others. Models that are refused are counted.
 */
#include "frontend/frontend.h"
#include "tests/eval.h"

#include <sys/stat.h>

typedef struct Diff {
	bool constant, dnnl;
	int passed, failed, refused;
} Diff;

typedef struct Folder {
	Diff *d;
	const char *dir;
	WqArena *a;
	OnnxModel *model;
	const char *const *names; /* of inputs */
	WqFileValue **in;         /* read from files */
	int n_in;
	bool known; /* import with the types of the data */
} Folder;

static WqRt *to_rt(WqArena *a, const WqFileValue *v)
{
	if (v->type.kind == WQ_TENSOR)
		return wq_rt_borrow(v->t);
	WqRt **e = WQ_NEW_N(a, WqRt *, v->n + 1);
	for (int i = 0; i < v->n; i++)
		e[i] = to_rt(a, &v->elems[i]);
	WqRt *r = wq_rt_list(v->type.kind, v->type.elem, v->n, e);
	drop_all(e, v->n);
	return r;
}

static void read_inputs(Folder *f)
{
	const WqType *types;
	struct stat st;
	int n = onnx_inputs(f->model, f->a, &f->names, &types);
	f->in = WQ_NEW_N(f->a, WqFileValue *, n + 1);
	for (; f->n_in < n; f->n_in++) {
		const char *path = wq_sprintf(f->a, "%s/test_data_set_0/input_%d.pb", f->dir, f->n_in);
		if (stat(path, &st))
			break;
		f->in[f->n_in] = wq_value_read(f->a, path, &types[f->n_in]);
	}
}

static WqModule *import(const Folder *f)
{
	ImportOptions o = { .fold = wq_engine_fold };
	const char **names = WQ_NEW_N(f->a, const char *, f->n_in + 1);
	WqType *types = WQ_NEW_N(f->a, WqType, f->n_in + 1);
	WqTensor *data = WQ_NEW_N(f->a, WqTensor, f->n_in + 1);
	int n = 0;
	for (int i = 0; i < f->n_in; i++)
		if (f->in[i]->type.kind == WQ_TENSOR) {
			names[n] = f->names[i];
			types[n] = wq_type_of_tensor(f->in[i]->t);
			data[n++] = *f->in[i]->t;
		}
	if (f->known) {
		o.n_types = n;
		o.type_names = names;
		o.types = types;
	}
	if (f->d->constant) {
		o.n_consts = n;
		o.const_names = names;
		o.consts = data;
	}
	return onnx_import(f->model, &o);
}

/* What needs shapes that the model does not tell may still be clear for this data. */
static WqModule *first_import(Folder *f)
{
	WqTry t;
	if (WQ_TRY(&t)) {
		WqModule *m = import(f);
		wq_try_end(&t);
		return m;
	}
	f->known = true;
	return import(f);
}

static WqRt **inputs(const Folder *f, WqModule *m)
{
	const WqGraph *g = m->main;
	bool all = true;
	WqRt **in = WQ_NEW_N(f->a, WqRt *, g->inputs.n + 1);
	for (int i = 0; i < g->inputs.n; i++) {
		for (int k = 0; k < f->n_in; k++)
			if (!strcmp(f->names[k], g->inputs.v[i]->name))
				in[i] = to_rt(f->a, f->in[k]);
		all &= in[i] != NULL;
	}
	if (all || f->n_in)
		return in;
	return random_inputs(f->a, m, 1);
}

static bool random_nodes(const WqGraph *g)
{
	WQ_FOR_NODES(n, g) {
		if (wq_op(n->op)->flags & WQ_IMPURE)
			return true;
		for (int i = 0; i < n->n_body; i++)
			if (random_nodes(n->body[i]))
				return true;
	}
	return false;
}

static void try_pipeline(const Folder *f, const char *pipeline, double tol, WqRt *const *in, WqRt *const *was)
{
	WqStr why = { .a = f->a };
	WqModule *volatile m = NULL;
	WqTry t;
	if (WQ_TRY(&t)) {
		WqPassLog log = { .a = f->a };
		m = import(f);
		wq_pipeline_run(m, wq_pipeline_parse(f->a, pipeline), &log);
		WqRt **out = run_graph(f->a, m, in, !f->d->dnnl);
		for (int i = 0; i < m->main->outputs.n && !why.n; i++)
			same_value(was[i], out[i], tol, &why);
		drop_all(out, m->main->outputs.n);
		if (log.unsettled && !why.n)
			wq_str_printf(&why, "the pipeline does not settle");
		wq_try_end(&t);
	} else {
		wq_str_printf(&why, "%s", t.err.text);
	}
	wq_module_free(m);
	f->d->passed += !why.n;
	f->d->failed += why.n > 0;
	if (why.n)
		fprintf(stderr, "%s: %s: %s\n", f->dir, pipeline, why.s);
}

static void each_pipeline(const Folder *f, WqRt *const *in, WqRt *const *was)
{
	static const char *const exact[] = { "fold", "dce", "cse", "canon", "algebra", "sequence", "clean" };
	static const char *const rounding[] = { "canon(fast)", "algebra(fast)", "affine", "transpose", "fuse", "opt" };
	for (int i = 0; i < WQ_COUNTOF(exact); i++)
		try_pipeline(f, exact[i], 0, in, was);
	for (int i = 0; i < WQ_COUNTOF(rounding); i++)
		try_pipeline(f, rounding[i], 1e-3, in, was);
}

static void run_folder(Diff *d, const char *dir)
{
	Folder f = { .d = d, .dir = dir, .a = wq_arena_new() };
	OnnxModel *volatile model = NULL;
	WqModule *volatile m = NULL;
	WqTry t;
	if (WQ_TRY(&t)) {
		bool file = strlen(dir) > 5 && !strcmp(dir + strlen(dir) - 5, ".onnx");
		model = f.model = onnx_open(file ? dir : wq_sprintf(f.a, "%s/model.onnx", dir));
		read_inputs(&f);
		m = first_import(&f);
		if (!random_nodes(m->main)) {
			WqRt **in = inputs(&f, m), **was = run_graph(f.a, m, in, !d->dnnl);
			each_pipeline(&f, in, was);
			drop_all(was, m->main->outputs.n);
			drop_all(in, m->main->inputs.n);
		}
		wq_try_end(&t);
	} else {
		d->refused++;
	}
	wq_module_free(m);
	if (model)
		onnx_close(model);
	wq_arena_free(f.a);
}

int main(int argc, char **argv)
{
	Diff d = { 0 };
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--const"))
			d.constant = true;
		else if (!strcmp(argv[i], "--dnnl"))
			d.dnnl = true;
		else
			run_folder(&d, argv[i]);
	printf("%d passed, %d failed; %d models refused\n", d.passed, d.failed, d.refused);
	return d.failed != 0;
}
