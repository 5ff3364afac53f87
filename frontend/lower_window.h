/* lower_window.h: what convolutions and pools have in common: kernel, strides, dilations and padding along n spatial
 * axes. */
#ifndef WQ_LOWER_WINDOW_H
#define WQ_LOWER_WINDOW_H

#include "frontend/lower.h"

typedef struct LoWindow {
	int n;     /* spatial axes */
	char same; /* 'u', 'l': auto_pad SAME_UPPER, SAME_LOWER that is not resolved into pad; else 0 */
	int64_t kernel[WQ_MAX_RANK]; /* -1: symbolic */
	int64_t stride[WQ_MAX_RANK], dilation[WQ_MAX_RANK];
	int64_t pad[2 * WQ_MAX_RANK]; /* begins, then ends */
} LoWindow;

/* The node's attributes for an x of shape [N, C, ...]; the kernel is that of the weight w, or (w NULL) attribute
 * kernel_shape. */
LoWindow lo_window(Lower *L, WqValue *x, WqValue *w);
/* Makes SAME padding explicit where the sizes that it depends on are known. */
void lo_window_resolve(Lower *L, LoWindow *win, WqValue *x);
/* Sets strides, dilations, pads and auto_pad of a core node, where they are not the defaults; and kernel. */
void lo_window_set(WqNode *n, const LoWindow *win, bool kernel);
/* An attribute with one integer >= lo for each of n axes; NULL if absent. */
const int64_t *lo_window_ints(Lower *L, const char *attr, int n, int64_t lo);
int64_t lo_window_extent(const LoWindow *win, int axis); /* (kernel - 1) * dilation + 1 */

/* What the ONNX operators do to operands of their own: with the node's window and group attributes. */
WqValue *lo_conv(Lower *L, WqValue *x, WqValue *w, WqValue *bias);
WqNode *lo_pool(Lower *L, WqOp op, WqValue *x); /* to be finished */
/* [N, C, ...] to [N, ..., C] (last), or back. */
WqValue *lo_move_channels(Lower *L, WqValue *x, bool last);

#endif
