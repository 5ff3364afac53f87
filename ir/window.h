/* window.h: the geometry of convolutions and pools: what attributes and sizes make of each spatial axis. */
#ifndef WQ_WINDOW_H
#define WQ_WINDOW_H

#include "ir/ir.h"

/* Tap k of window o reads position o * stride + k * dilation - begin. For a transposed convolution, o runs over the input. */
typedef struct WqWindow {
	int n;
	int64_t kernel[WQ_MAX_RANK], stride[WQ_MAX_RANK], dilation[WQ_MAX_RANK];
	int64_t begin[WQ_MAX_RANK], end[WQ_MAX_RANK]; /* padding */
	int64_t in[WQ_MAX_RANK], out[WQ_MAX_RANK];
} WqWindow;

/* Attributes of node for n spatial axes; kernel NULL: attribute "kernel". NULL if all is well, else what is wrong. */
const char *wq_window_attrs(const WqNode *node, int n, const int64_t *kernel, WqWindow *w);
/* With w->in filled: resolves auto_pad and computes w->out, of a convolution or pool, or of a transposed convolution. */
const char *wq_window_resolve(const WqNode *node, WqWindow *w);
const char *wq_window_resolve_transposed(const WqNode *node, WqWindow *w);
static inline int64_t wq_window_extent(const WqWindow *w, int d) { return (w->kernel[d] - 1) * w->dilation[d] + 1; }

#endif
