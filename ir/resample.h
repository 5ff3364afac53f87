/* resample.h: what Resize computes along one axis: places, neighbours, weights (resample.c). The engine and the code generator share it.
 *
 * Places are computed in f64. Neighbours beyond the edge repeat the edge, or with exclude_outside weigh nothing.
 */
#ifndef WQ_RESAMPLE_H
#define WQ_RESAMPLE_H

#include "ir/ir.h"

typedef enum { WQ_NEAREST, WQ_LINEAR, WQ_CUBIC } WqSampling;
typedef enum { WQ_HALF_PIXEL, WQ_SYMMETRIC, WQ_PYTORCH, WQ_ALIGN_CORNERS, WQ_ASYMMETRIC, WQ_CROP, WQ_FOR_NN } WqPlacing;
typedef enum { WQ_PREFER_FLOOR, WQ_PREFER_CEIL, WQ_FLOOR, WQ_CEIL } WqRounding;

typedef struct WqResample {
	WqSampling mode;
	WqPlacing place;
	WqRounding nearest;
	bool exclude, antialias, by_scales;
	double a; /* of cubic */
	double extrapolation;
} WqResample;

typedef struct WqResampleAxis {
	int64_t n, m; /* before and after */
	double scale, start, end;
} WqResampleAxis;

/* A Resize node's attributes; NULL, or what is wrong with them. */
const char *wq_resample_of(const WqNode *n, bool by_scales, WqResample *r);
/* Neighbours of each place; more than INT32_MAX when the scale is absurd. */
int64_t wq_resample_taps(const WqResample *r, double scale);
/* The neighbours of the result's i and their weights (w is not touched by nearest). False: the place is beyond the operand, and the
 * extrapolation value stands there. */
bool wq_resample_at(const WqResample *r, const WqResampleAxis *x, int taps, int64_t i, int64_t *idx, double *w);
/* Does the axis stay as it is? */
bool wq_resample_stays(const WqResample *r, const WqResampleAxis *x);

#endif
