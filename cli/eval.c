/* eval: scores a model on labelled data: an .npz with x (samples along the first axis) and y (labels, or wanted outputs). */
#include "cli/cli.h"

#include <math.h>
#include <stdlib.h>

typedef struct Eval {
	Common c;
	const char *model, *data, *metric;
	int batch, limit;
	const WqTensor *x, *y;
	int64_t seen;  /* scored: samples, or positions of them */
	double sum;    /* of the metric over what was seen */
} Eval;

/* One sample's output row against its label. */
typedef double RowMetric(const WqTensor *out, int64_t row, int64_t width, int64_t label);

static int64_t rank_of_label(const WqTensor *out, int64_t row, int64_t width, int64_t label)
{
	double mine = wq_tensor_get_f(out, row * width + label);
	int64_t above = 0;
	for (int64_t k = 0; k < width; k++) {
		double v = wq_tensor_get_f(out, row * width + k);
		above += v > mine || (v == mine && k < label);
	}
	return above;
}

static double top1(const WqTensor *o, int64_t r, int64_t w, int64_t label) { return rank_of_label(o, r, w, label) < 1; }
static double top5(const WqTensor *o, int64_t r, int64_t w, int64_t label) { return rank_of_label(o, r, w, label) < 5; }

/* -log softmax(out)[label]; the metric is the exponential of the mean. */
static double nll(const WqTensor *out, int64_t row, int64_t width, int64_t label)
{
	double max = -INFINITY, sum = 0;
	for (int64_t k = 0; k < width; k++)
		max = fmax(max, wq_tensor_get_f(out, row * width + k));
	for (int64_t k = 0; k < width; k++)
		sum += exp(wq_tensor_get_f(out, row * width + k) - max);
	return max + log(sum) - wq_tensor_get_f(out, row * width + label);
}

static const struct {
	const char *name;
	RowMetric *row; /* NULL: mse, of whole outputs */
	const char *help;
} metrics[] = {
	{ "top1", top1, "share of labels that have the largest output" },
	{ "top5", top5, "share of labels among the five largest outputs" },
	{ "ppl", nll, "perplexity of the labels under softmax of the outputs" },
	{ "mse", NULL, "mean squared difference to y" },
};

static void options(Eval *e, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *v;
		if ((v = option_value("--data", argc, argv, &i)))
			e->data = v;
		else if ((v = option_value("--metric", argc, argv, &i)))
			e->metric = v;
		else if ((v = option_value("--batch", argc, argv, &i)))
			e->batch = (int)option_number("--batch", v);
		else if ((v = option_value("--limit", argc, argv, &i)))
			e->limit = (int)option_number("--limit", v);
		else if (common_option(&e->c, argc, argv, &i))
			continue;
		else if (argv[i][0] == '-' || e->model)
			wq_fail(WQ_EINPUT, "eval: unexpected '%s'", argv[i]);
		else
			e->model = argv[i];
	}
	if (!e->model || !e->data)
		wq_fail(WQ_EINPUT, "eval: give a model and --data FILE.npz");
	if (e->batch < 1)
		wq_fail(WQ_EINPUT, "--batch is at least 1");
}

static int metric_index(const Eval *e)
{
	for (int i = 0; i < WQ_COUNTOF(metrics); i++)
		if (!strcmp(metrics[i].name, e->metric))
			return i;
	WqStr s = { .a = e->c.arena };
	for (int i = 0; i < WQ_COUNTOF(metrics); i++)
		wq_str_printf(&s, "%s%s", i ? ", " : "", metrics[i].name);
	wq_fail(WQ_EINPUT, "no metric '%s'; there is %s", e->metric, s.s);
}

static void read_data(Eval *e)
{
	int n;
	WqFileValue *v = wq_npz_read(e->c.arena, e->data, &n);
	for (int i = 0; i < n; i++)
		if (!strcmp(v[i].name, "x"))
			e->x = v[i].t;
		else if (!strcmp(v[i].name, "y"))
			e->y = v[i].t;
	if (!e->x || !e->y || e->x->rank < 1 || e->y->rank < 1 || e->x->dim[0] != e->y->dim[0] || e->x->dim[0] < 1)
		wq_fail(WQ_EINPUT, "%s: eval needs x and y with as many samples", e->data);
}

/* Samples [from, from+n) of x in the type that the model wants: data may be stored smaller. */
static wqcc_tensor slice(const Eval *e, WqArena *a, const wqcc_port *port, int64_t from, int64_t n)
{
	WqTensor t = { .dtype = (WqDtype)port->dtype, .rank = e->x->rank };
	memcpy(t.dim, e->x->dim, sizeof t.dim);
	t.dim[0] = n;
	int64_t count = wq_tensor_count(&t), start = from * (wq_tensor_count(e->x) / e->x->dim[0]);
	t.data = wq_alloc_n(a, (size_t)count, wq_dtype_size(t.dtype));
	for (int64_t i = 0; i < count; i++)
		if (wq_dtype_is_float(t.dtype))
			wq_tensor_set_f(&t, i, wq_tensor_get_f(e->x, start + i));
		else
			wq_tensor_set_i(&t, i, wq_tensor_get_i(e->x, start + i));
	wqcc_tensor in = { port->name, port->dtype, t.rank, { 0 }, t.data, wq_tensor_bytes(&t) };
	memcpy(in.dim, t.dim, (size_t)t.rank * sizeof *t.dim);
	return in;
}

static void score(Eval *e, RowMetric *row, const wqcc_tensor *got, int64_t from, int64_t n)
{
	WqTensor out = { .dtype = (WqDtype)got->dtype, .rank = got->rank, .data = (void *)(uintptr_t)got->data };
	memcpy(out.dim, got->dim, (size_t)got->rank * sizeof *got->dim);
	int64_t count = wq_tensor_count(&out), per = wq_tensor_count(e->y) / e->y->dim[0];
	int64_t width = row ? (out.rank ? out.dim[out.rank - 1] : 1) : 1;
	if (count != n * per * width)
		wq_fail(WQ_EINPUT, "the output '%s' has %lld elements for %lld labels", got->name, (long long)count, (long long)n * per);
	for (int64_t i = 0; i < n * per; i++) {
		int64_t label = row ? wq_tensor_get_i(e->y, from * per + i) : 0;
		if (row && (label < 0 || label >= width))
			wq_fail(WQ_EINPUT, "a label is %lld; the model has %lld classes", (long long)label, (long long)width);
		double d = row ? 0 : wq_tensor_get_f(&out, i) - wq_tensor_get_f(e->y, from * per + i);
		e->sum += row ? row(&out, i, width, label) : d * d;
	}
	e->seen += n * per;
}

static void run_batch(Eval *e, wqcc_model *m, RowMetric *row, int64_t from, int64_t n)
{
	wqcc_port port;
	wqcc_error err;
	if (wqcc_num_inputs(m) != 1 || wqcc_input(m, 0, &port) || !port.dtype)
		wq_fail(WQ_EINPUT, "eval scores models with one input tensor; this one has %d inputs", wqcc_num_inputs(m));
	WqArena *a = cli_arena();
	wqcc_tensor in = slice(e, a, &port, from, n);
	wqcc_values *y = wqcc_evaluate(m, &in, 1, &err);
	if (!y)
		wq_fail(err.code, "%s", err.message);
	score(e, row, wqcc_values_tensor(y, 0), from, n);
	wqcc_values_free(y);
	cli_arena_done(a);
}

int verb_eval(int argc, char **argv)
{
	Eval e = { .c.arena = cli_arena(), .batch = 1, .metric = "top1" };
	options(&e, argc, argv);
	int k = metric_index(&e);
	read_data(&e);
	wqcc_model *m = common_load(&e.c, e.model);
	int64_t all = e.limit && e.limit < e.x->dim[0] ? e.limit : e.x->dim[0];
	for (int64_t i = 0; i < all; i += e.batch) {
		progress(&e.c, i, all, "samples");
		run_batch(&e, m, metrics[k].row, i, i + e.batch <= all ? e.batch : all - i);
	}
	progress(&e.c, all, all, "");
	double mean = e.sum / (double)e.seen;
	printf("%s %.6g (%lld labels, %lld samples)\n", e.metric, metrics[k].row == nll ? exp(mean) : mean, (long long)e.seen,
	       (long long)all);
	cli_arena_done(e.c.arena);
	return WQ_OK;
}
