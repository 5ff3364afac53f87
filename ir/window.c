/* window.c: geometry of windows. Every attribute is bounded by 2^31, so that sums and products of two fit 64 bits. */
#include "ir/window.h"

enum { MAX = INT32_MAX };

static const char *load(const WqNode *node, const char *name, int n, int64_t lo, int64_t otherwise, int64_t *to)
{
	int count;
	const int64_t *v = wq_attr_ints(node, name, &count);
	if (count && count != n)
		return name;
	for (int i = 0; i < n; i++) {
		to[i] = count ? v[i] : otherwise;
		if (to[i] < lo || to[i] > MAX)
			return name;
	}
	return NULL;
}

static bool has(WqOp op, const char *attr) { return strstr(wq_op(op)->attrs, attr) != NULL; }

const char *wq_window_attrs(const WqNode *node, int n, const int64_t *kernel, WqWindow *w)
{
	int64_t pads[2 * WQ_MAX_RANK];
	const char *bad = NULL;
	w->n = n;
	if (kernel)
		memcpy(w->kernel, kernel, (size_t)n * sizeof *kernel);
	else
		bad = load(node, "kernel", n, 1, 1, w->kernel);
	if (!bad)
		bad = load(node, "strides", n, 1, 1, w->stride);
	if (!bad)
		bad = load(node, "dilations", n, 1, 1, w->dilation);
	if (!bad)
		bad = load(node, "pads", 2 * n, -MAX, 0, pads);
	for (int d = 0; d < n && !bad; d++) {
		w->begin[d] = pads[d];
		w->end[d] = pads[n + d];
		if (w->kernel[d] < 0 || w->kernel[d] > MAX)
			bad = "kernel";
	}
	return bad;
}

/* 0: explicit padding, 'u' SAME_UPPER, 'l' SAME_LOWER, 'v' VALID, '?' nonsense. */
static char auto_pad(const WqNode *node)
{
	if (!has(node->op, "auto_pad"))
		return 0;
	const char *s = wq_attr_s(node, "auto_pad");
	return !strcmp(s, "NOTSET") ? 0 : !strcmp(s, "SAME_UPPER") ? 'u' : !strcmp(s, "SAME_LOWER") ? 'l'
		: !strcmp(s, "VALID") ? 'v' : '?';
}

static void share(WqWindow *w, int d, int64_t total, bool upper)
{
	w->begin[d] = upper ? total / 2 : total - total / 2;
	w->end[d] = total - w->begin[d];
}

const char *wq_window_resolve(const WqNode *node, WqWindow *w)
{
	char mode = auto_pad(node);
	bool ceil = has(node->op, "ceil_mode") && wq_attr_i(node, "ceil_mode");
	if (mode == '?')
		return "auto_pad is unknown";
	for (int d = 0; d < w->n; d++) {
		int64_t extent = wq_window_extent(w, d), stride = w->stride[d], in = w->in[d];
		if (mode == 'u' || mode == 'l') {
			w->out[d] = (in + stride - 1) / stride;
			int64_t total = (w->out[d] - 1) * stride + extent - in;
			share(w, d, total > 0 ? total : 0, mode == 'u');
			continue;
		}
		if (mode == 'v')
			w->begin[d] = w->end[d] = 0;
		int64_t room = in + w->begin[d] + w->end[d] - extent;
		if (room < 0 && in > 0)
			return "the window is larger than the padded input";
		w->out[d] = room < 0 ? 0 : (room + (ceil ? stride - 1 : 0)) / stride + 1;
		if (ceil && w->out[d] > 0 && (w->out[d] - 1) * stride >= in + w->begin[d])
			w->out[d]--; /* a window must begin before the padding at the end */
	}
	return NULL;
}

const char *wq_window_resolve_transposed(const WqNode *node, WqWindow *w)
{
	int64_t extra[WQ_MAX_RANK], shape[WQ_MAX_RANK];
	char mode = auto_pad(node);
	int given;
	wq_attr_ints(node, "output_shape", &given);
	if (mode == '?')
		return "auto_pad is unknown";
	if (load(node, "output_padding", w->n, 0, 0, extra))
		return "output_padding";
	if (load(node, "output_shape", w->n, 0, 0, shape))
		return "output_shape";
	for (int d = 0; d < w->n; d++) {
		int64_t rest = wq_window_extent(w, d) + extra[d] - w->stride[d];
		int64_t full = wq_add_checked(wq_mul_checked(w->in[d], w->stride[d], "ConvTranspose"), rest, "ConvTranspose");
		if (mode == 'v')
			w->begin[d] = w->end[d] = 0;
		w->out[d] = given ? shape[d] : mode == 'u' || mode == 'l' ? w->in[d] * w->stride[d] : full - w->begin[d] - w->end[d];
		if (given || mode == 'u' || mode == 'l') /* a result that must grow grows at its end */
			share(w, d, full > w->out[d] ? full - w->out[d] : 0, mode == 'u');
		if (w->in[d] == 0)
			w->out[d] = 0;
		if (w->out[d] < 0)
			return "the padding is larger than the result";
	}
	return NULL;
}
