/* onnx_case.h: a model in text that is imported, verified and run (inputs are ones), with folding and without, and must
 * give the outputs `want`; or that must be refused with a message.
 */
#ifndef WQ_ONNX_CASE_H
#define WQ_ONNX_CASE_H

#include "engine/engine.h"
#include "tests/onnx_text.h"
#include "tests/test.h"

typedef struct OnnxCase {
	const char *name, *model;
	int code; /* WQ_OK: want is the outputs, as `y f32[2] {1 2}; z ..`; else it is a part of the message, and code
		     its code */
	const char *want;
	ImportDim dims[2];
} OnnxCase;

static inline WqRt *onnx_case_ones(const WqValue *v)
{
	int64_t dim[WQ_MAX_RANK];
	for (int i = 0; i < v->type.rank; i++)
		dim[i] = wq_dim_static(v->type.dim[i]) ? v->type.dim[i] : 1;
	WqRt *r = wq_rt_tensor(v->type.dtype, v->type.rank, dim);
	for (int64_t i = 0; i < wq_tensor_count(&r->t); i++)
		wq_tensor_set_f(&r->t, i, 1);
	return r;
}

static inline void onnx_case_print(WqStr *s, const char *name, const WqTensor *t)
{
	wq_str_printf(s, "%s%s %s[", s->n ? "; " : "", name, wq_dtype(t->dtype)->text);
	for (int i = 0; i < t->rank; i++)
		wq_str_printf(s, "%s%lld", i ? "," : "", (long long)t->dim[i]);
	wq_str_printf(s, "] {");
	for (int64_t i = 0; i < wq_tensor_count(t); i++)
		wq_str_printf(s, "%s%g", i ? " " : "", wq_tensor_get_f(t, i));
	wq_str_printf(s, "}");
}

static inline void onnx_case_run(WqModule *m, WqStr *out)
{
	WqEngine *e = wq_engine_new(m, &(WqEngineOptions){ .threads = 1 });
	WqRt *in[8], *res[8];
	for (int i = 0; i < m->main->inputs.n; i++)
		in[i] = onnx_case_ones(m->main->inputs.v[i]);
	wq_engine_run(e, in, res);
	for (int i = 0; i < m->main->outputs.n; i++) {
		onnx_case_print(out, m->main->outputs.v[i].name, &res[i]->t);
		wq_rt_unref(res[i]);
	}
	for (int i = 0; i < m->main->inputs.n; i++)
		wq_rt_unref(in[i]);
	wq_engine_free(e);
}

static inline void onnx_case(const OnnxCase *c, bool fold)
{
	WqArena *a = wq_arena_new();
	WqMapped bytes = onnx_text(a, c->model);
	ImportOptions o = { .dims = c->dims, .fold = fold ? wq_engine_fold : NULL };
	while (o.n_dims < 2 && c->dims[o.n_dims].name)
		o.n_dims++;
	OnnxModel *volatile model = NULL;
	WqModule *volatile m = NULL;
	WqTry t;
	if (WQ_TRY(&t)) {
		WqStr got = { .a = a }, faults = { .a = a };
		model = onnx_open_memory(bytes.p, bytes.n, NULL);
		m = onnx_import(model, &o);
		CHECK_MSG(wq_verify(m, &faults), "%s: %s", c->name, faults.s);
		CHECK_MSG(c->code == WQ_OK, "%s: accepted", c->name);
		if (c->code == WQ_OK) {
			onnx_case_run(m, &got);
			CHECK_MSG(got.s && !strcmp(got.s, c->want), "%s: %s instead of %s", c->name, got.s, c->want);
		}
		wq_try_end(&t);
	} else {
		CHECK_MSG(c->code == t.err.code && strstr(t.err.text, c->want), "%s: error %d: %s", c->name, t.err.code,
			  t.err.text);
	}
	wq_module_free(m);
	onnx_close(model);
	wq_arena_free(a);
}

static inline void onnx_cases(int n, const OnnxCase *c)
{
	for (int i = 0; i < n; i++)
		for (int fold = 0; fold < 2; fold++)
			onnx_case(&c[i], fold);
}

#endif
