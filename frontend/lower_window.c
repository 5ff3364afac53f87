#include "frontend/lower_window.h"

const int64_t *lo_window_ints(Lower *L, const char *attr, int n, int64_t lo)
{
	int count;
	const int64_t *v = lo_ints(L, attr, &count);

	if (!count)
		return NULL;
	if (count != n)
		lo_bad(L, "%s has %d elements, %d are needed", attr, count, n);
	for (int i = 0; i < n; i++)
		if (v[i] < lo || v[i] > INT32_MAX)
			lo_bad(L, "%s[%d] is %lld", attr, i, (long long)v[i]);
	return v;
}

static void copy_or_fill(int64_t *to, const int64_t *from, int n, int64_t otherwise)
{
	for (int i = 0; i < n; i++)
		to[i] = from ? from[i] : otherwise;
}

static void kernel_of(Lower *L, LoWindow *win, WqValue *w)
{
	const int64_t *shape = lo_window_ints(L, "kernel_shape", win->n, 1);

	if (!w) {
		if (!shape)
			lo_bad(L, "kernel_shape is missing");
		copy_or_fill(win->kernel, shape, win->n, 0);
		return;
	}
	for (int i = 0; i < win->n; i++) {
		WqDim d = lo_dim(L, w, 2 + i);
		win->kernel[i] = wq_dim_static(d) ? d : -1;
		if (shape && wq_dim_static(d) && shape[i] != d)
			lo_bad(L, "kernel_shape[%d] is %lld, the weight has %lld", i, (long long)shape[i],
			       (long long)d);
		if (wq_dim_static(d) && (d < 1 || d > INT32_MAX))
			lo_bad(L, "the weight's kernel size %d is %lld", i, (long long)d);
	}
}

LoWindow lo_window(Lower *L, WqValue *x, WqValue *w)
{
	LoWindow win = { .n = lo_rank(L, x) - 2 };
	const char *auto_pad = lo_s(L, "auto_pad", "NOTSET");

	if (win.n < 1)
		lo_bad(L, "the input has rank %d, at least 3 is needed", win.n + 2);
	if (w && lo_rank(L, w) != win.n + 2)
		lo_bad(L, "the weight has rank %d, the input %d", lo_rank(L, w), win.n + 2);
	kernel_of(L, &win, w);
	copy_or_fill(win.stride, lo_window_ints(L, "strides", win.n, 1), win.n, 1);
	copy_or_fill(win.dilation, lo_window_ints(L, "dilations", win.n, 1), win.n, 1);
	if (!strcmp(auto_pad, "SAME_UPPER"))
		win.same = 'u';
	else if (!strcmp(auto_pad, "SAME_LOWER"))
		win.same = 'l';
	else if (!strcmp(auto_pad, "NOTSET") || !*auto_pad)
		copy_or_fill(win.pad, lo_window_ints(L, "pads", 2 * win.n, 0), 2 * win.n, 0);
	else if (strcmp(auto_pad, "VALID"))
		lo_bad(L, "auto_pad is '%s'", auto_pad);
	return win;
}

int64_t lo_window_extent(const LoWindow *win, int axis) { return (win->kernel[axis] - 1) * win->dilation[axis] + 1; }

/* SAME: ceil(in / stride) windows. With stride 1 the size does not matter. */
void lo_window_resolve(Lower *L, LoWindow *win, WqValue *x)
{
	if (!win->same)
		return;
	for (int i = 0; i < win->n; i++) {
		WqDim in = lo_dim(L, x, 2 + i);
		if (win->kernel[i] < 0 || (win->stride[i] > 1 && !wq_dim_static(in)))
			return;
		int64_t s = win->stride[i];
		int64_t total = lo_window_extent(win, i) - (s > 1 && in > 0 ? in - (in - 1) / s * s : 1);
		if (total < 0)
			total = 0;
		win->pad[i] = win->same == 'u' ? total / 2 : total - total / 2;
		win->pad[win->n + i] = total - win->pad[i];
	}
	win->same = 0;
}

static void set_unless(WqNode *n, const char *attr, int count, const int64_t *v, int64_t usual)
{
	for (int i = 0; i < count; i++)
		if (v[i] != usual) {
			wq_set_ints(n, attr, count, v);
			return;
		}
}

void lo_window_set(WqNode *n, const LoWindow *win, bool kernel)
{
	if (kernel)
		wq_set_ints(n, "kernel", win->n, win->kernel);
	set_unless(n, "strides", win->n, win->stride, 1);
	set_unless(n, "dilations", win->n, win->dilation, 1);
	if (win->same)
		wq_set_s(n, "auto_pad", win->same == 'u' ? "SAME_UPPER" : "SAME_LOWER");
	else
		set_unless(n, "pads", 2 * win->n, win->pad, 0);
}
