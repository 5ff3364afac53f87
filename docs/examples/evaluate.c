/* evaluate.c: loads a model, cleans it, evaluates it on zeros, prints the outputs' shapes and first elements.
 *
 *   cc evaluate.c $(pkg-config --cflags --libs wqcc) -o evaluate && ./evaluate model.onnx [batch=1]...
 */
#include <stdio.h>
#include <stdlib.h>
#include <wqcc.h>

static int fail(const char *what, const wqcc_error *err)
{
	fprintf(stderr, "%s: %s\n", what, err->message);
	return err->code;
}

/* Zeros for an input; a dimension that is not a number counts as 1. 0 if there is no memory for them. */
static int zeros(const wqcc_port *port, wqcc_tensor *t)
{
	size_t n = 1;
	t->name = port->name;
	t->dtype = port->dtype;
	t->rank = port->rank < 0 ? 0 : port->rank;
	for (int i = 0; i < t->rank; i++) {
		t->dim[i] = port->dim[i] < 0 ? 1 : port->dim[i];
		n *= (size_t)t->dim[i];
	}
	t->bytes = n * (port->dtype == 7 ? 8 : 4); /* i64, or f32 and i32 */
	t->data = calloc(1, t->bytes + 1);
	return t->data != NULL;
}

int main(int argc, char **argv)
{
	wqcc_error err;
	wqcc_options options = { .dims = (const char *const *)argv + 2, .n_dims = argc > 2 ? argc - 2 : 0 };
	if (argc < 2)
		return fprintf(stderr, "usage: %s MODEL [NAME=N]...\n", argv[0]), 1;

	wqcc_model *m = wqcc_load_file(argv[1], &options, &err);
	if (!m)
		return fail("load", &err);
	if (wqcc_run_passes(m, "clean", &err)) {
		wqcc_free(m);
		return fail("passes", &err);
	}

	int n = wqcc_num_inputs(m);
	wqcc_tensor *in = calloc((size_t)n + 1, sizeof *in);
	for (int i = 0; in && i < n; i++) {
		wqcc_port port;
		wqcc_input(m, i, &port);
		printf("in   %s: %s\n", port.name, port.type);
		if (!zeros(&port, &in[i]))
			return 1;
	}
	wqcc_values *out = in ? wqcc_evaluate(m, in, n, &err) : NULL;
	for (int i = 0; out && i < wqcc_values_count(out); i++) {
		const wqcc_tensor *t = wqcc_values_tensor(out, i);
		if (!t)
			continue;
		printf("out  %s: [", t->name);
		for (int d = 0; d < t->rank; d++)
			printf(d ? ",%lld" : "%lld", (long long)t->dim[d]);
		printf("]");
		if (t->dtype == 1 && t->bytes >= 4) /* f32 */
			printf(" = %g ...", ((const float *)t->data)[0]);
		printf("\n");
	}
	for (int i = 0; in && i < n; i++)
		free((void *)in[i].data);
	free(in);
	int rc = out ? 0 : fail("evaluate", &err);
	wqcc_values_free(out);
	wqcc_free(m);
	return rc;
}
