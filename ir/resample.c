/* resample.c: what Resize computes along one axis. */
#include "ir/resample.h"

#include <math.h>

static bool choose(const WqNode *n, const char *attr, int count, const char *const *name, int *out)
{
	const char *s = wq_attr_s(n, attr);
	for (*out = 0; *out < count; (*out)++)
		if (!strcmp(s, name[*out]))
			return true;
	return false;
}

const char *wq_resample_of(const WqNode *n, bool by_scales, WqResample *r)
{
	static const char *const modes[] = {"nearest", "linear", "cubic"};
	static const char *const places[] = {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
		"tf_crop_and_resize", "tf_half_pixel_for_nn"};
	static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
	int mode, place, nearest;
	if (!choose(n, "mode", WQ_COUNTOF(modes), modes, &mode))
		return "its mode";
	if (!choose(n, "coordinate", WQ_COUNTOF(places), places, &place))
		return "its coordinate transformation";
	if (!choose(n, "nearest", WQ_COUNTOF(roundings), roundings, &nearest))
		return "its way of rounding";
	*r = (WqResample){(WqSampling)mode, (WqPlacing)place, (WqRounding)nearest, wq_attr_i(n, "exclude_outside") != 0,
		wq_attr_i(n, "antialias") != 0, by_scales, wq_attr_f(n, "cubic_coeff_a"), wq_attr_f(n, "extrapolation_value")};
	return NULL;
}

bool wq_resample_stays(const WqResample *r, const WqResampleAxis *x)
{
	return x->scale == 1 && x->m == x->n && !(r->place == WQ_CROP && (x->start != 0 || x->end != 1));
}

/* The length of the result is a whole number, except for align_corners by scales, which takes n * scale. */
static double place_of(const WqResample *r, const WqResampleAxis *x, int64_t at)
{
	double n = (double)x->n, m = (double)x->m, i = (double)at, width = r->by_scales ? x->scale * n : m;
	switch (r->place) {
	case WQ_SYMMETRIC: return n / 2 * (1 - m / (x->scale * n)) + (i + 0.5) / x->scale - 0.5;
	case WQ_PYTORCH: return x->m == 1 ? 0 : (i + 0.5) / x->scale - 0.5;
	case WQ_ALIGN_CORNERS: return width == 1 ? 0 : i * (n - 1) / (width - 1);
	case WQ_ASYMMETRIC: return i / x->scale;
	case WQ_FOR_NN: return (i + 0.5) / x->scale;
	case WQ_CROP:
		if (x->m == 1)
			return 0.5 * (x->start + x->end) * (n - 1);
		return x->start * (n - 1) + i * (x->end - x->start) * (n - 1) / (m - 1);
	default: return (i + 0.5) / x->scale - 0.5;
	}
}

static int64_t clamp(double v, int64_t n)
{
	return !(v > 0) ? 0 : v > (double)(n - 1) ? n - 1 : (int64_t)v;
}

static int64_t nearest_of(const WqResample *r, double x, int64_t n)
{
	double low = floor(x), part = x - low;
	bool up = part != 0 && (r->nearest == WQ_CEIL || (r->nearest == WQ_PREFER_FLOOR && part > 0.5) ||
		(r->nearest == WQ_PREFER_CEIL && part >= 0.5));
	return clamp(up ? low + 1 : low, n);
}

/* The weight of a neighbour at a distance, in units of the (stretched) filter. */
static double weight(const WqResample *r, double d)
{
	d = fabs(d);
	if (r->mode == WQ_LINEAR)
		return d < 1 ? 1 - d : 0;
	if (d <= 1)
		return ((r->a + 2) * d - (r->a + 3)) * d * d + 1;
	return d < 2 ? ((r->a * d - 5 * r->a) * d + 8 * r->a) * d - 4 * r->a : 0;
}

static double stretch_of(const WqResample *r, double scale) { return r->antialias && scale < 1 ? scale : 1; }

int64_t wq_resample_taps(const WqResample *r, double scale)
{
	if (r->mode == WQ_NEAREST)
		return 1;
	double radius = r->mode == WQ_LINEAR ? 1 : 2, taps = 2 - 2 * (floor(-radius / stretch_of(r, scale)) + 1);
	return taps <= INT32_MAX ? (int64_t)taps : (int64_t)INT32_MAX + 1;
}

static void weights_at(const WqResample *r, const WqResampleAxis *x, int taps, double at, int64_t *idx, double *w)
{
	double base = ceil(at) - 1, sum = 0, stretch = stretch_of(r, x->scale);
	int before = taps / 2 - 1; /* taps left of the place's own */
	for (int k = 0; k < taps; k++) {
		double p = base + (k - before);
		bool outside = p < 0 || p > (double)(x->n - 1);
		idx[k] = clamp(p, x->n);
		w[k] = outside && r->exclude ? 0 : weight(r, (p - at) * stretch);
		sum += w[k];
	}
	if ((r->antialias || r->exclude) && sum != 0)
		for (int k = 0; k < taps; k++)
			w[k] /= sum;
}

bool wq_resample_at(const WqResample *r, const WqResampleAxis *x, int taps, int64_t i, int64_t *idx, double *w)
{
	double at = place_of(r, x, i);
	if (r->mode == WQ_NEAREST)
		*idx = nearest_of(r, at, x->n);
	else
		weights_at(r, x, taps, at, idx, w);
	return r->place != WQ_CROP || (at >= 0 && at <= (double)(x->n - 1));
}
