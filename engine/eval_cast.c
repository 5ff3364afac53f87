/* eval_cast.c: Cast between all types, strings included, and BitCast. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "engine/convert.h"
#include "engine/engine.h"

typedef struct Cast {
	const WqTensor *x;
	WqTensor *y;
	bool saturate;
	char round;
} Cast;

static void cast_part(void *arg, int64_t begin, int64_t end)
{
	const Cast *k = arg;
	wq_convert(k->y->dtype, (char *)k->y->data + (size_t)begin * wq_dtype_size(k->y->dtype), k->x->dtype,
		   (const char *)k->x->data + (size_t)begin * wq_dtype_size(k->x->dtype), end - begin, k->saturate,
		   k->round);
}

/* ---- strings --------------------------------------------------------------------------------- */

/* The fewest digits that read back as the same number; whole numbers of up to 9 digits (f64: 17) without an exponent. */
static int float_text(char *s, size_t n, double v, bool wide)
{
	if (isnan(v))
		return snprintf(s, n, "NaN");
	if (isinf(v))
		return snprintf(s, n, v < 0 ? "-INF" : "INF");
	for (int digits = 1;; digits++) {
		int len = snprintf(s, n, "%.*g", digits, v);
		if (digits < 17 && (wide ? strtod(s, NULL) != v : strtof(s, NULL) != (float)v))
			continue;
		const char *e = strchr(s, 'e');
		int before = e ? (int)strtol(e + 1, NULL, 10) + 1 : 0; /* the point */
		return before > digits && before <= (wide ? 17 : 9) ? snprintf(s, n, "%.*g", before, v) : len;
	}
}

static void to_strings(WqCall *c)
{
	const WqTensor *x = c->in[0];
	WqString *o = c->out[0].data;
	WqArena *a = c->node->graph->mod->arena; /* moved on by other operators, they live as long as any value can */
	char s[64];
	for (int64_t i = 0, count = wq_tensor_count(x); i < count; i++) {
		int n;
		if (wq_dtype_is_float(x->dtype))
			n = float_text(s, sizeof s, wq_tensor_get_f(x, i), x->dtype == WQ_F64);
		else if (x->dtype == WQ_U64)
			n = snprintf(s, sizeof s, "%" PRIu64, ((const uint64_t *)x->data)[i]);
		else
			n = snprintf(s, sizeof s, "%" PRId64, wq_tensor_get_i(x, i));
		o[i] = (WqString){wq_strndup(a, s, (size_t)n), (size_t)n};
	}
}

static void from_strings(WqCall *c)
{
	const WqString *x = c->in[0]->data;
	WqTensor *y = &c->out[0];
	bool is_int = wq_dtype_is_int(y->dtype);
	for (int64_t i = 0, count = wq_tensor_count(y); i < count; i++) {
		char *s = wq_strndup(c->tmp, x[i].n ? x[i].p : "", x[i].n), *end;
		while (isspace((unsigned char)*s))
			s++;
		errno = 0;
		long long whole =
			*s == '-' || y->dtype != WQ_U64 ? strtoll(s, &end, 10) : (long long)strtoull(s, &end, 10);
		if (is_int && end != s && !*end && !errno) {
			wq_tensor_set_i(y, i, whole);
			continue;
		}
		double v = strtod(s, &end);
		while (isspace((unsigned char)*end))
			end++;
		if (end == s || *end)
			wq_call_fail(c, "'%.60s' is not a number", s);
		wq_convert(y->dtype, (char *)y->data + (size_t)i * wq_dtype_size(y->dtype), WQ_F64, &v, 1, true, 'n');
	}
}

static bool is_complex(WqDtype t)
{
	return t == WQ_C64 || t == WQ_C128;
}

/* Complex numbers to and from real ones: the imaginary part is dropped, or 0. */
static void cast_complex(WqCall *c)
{
	const WqTensor *x = c->in[0];
	WqTensor *y = &c->out[0];
	for (int64_t i = 0, n = wq_tensor_count(x); i < n; i++) {
		double re, im = 0;
		if (x->dtype == WQ_C64)
			re = ((const float *)x->data)[2 * i], im = ((const float *)x->data)[2 * i + 1];
		else if (x->dtype == WQ_C128)
			re = ((const double *)x->data)[2 * i], im = ((const double *)x->data)[2 * i + 1];
		else
			re = wq_tensor_get_f(x, i);
		if (y->dtype == WQ_C64)
			((float *)y->data)[2 * i] = (float)re, ((float *)y->data)[2 * i + 1] = (float)im;
		else if (y->dtype == WQ_C128)
			((double *)y->data)[2 * i] = re, ((double *)y->data)[2 * i + 1] = im;
		else
			wq_convert(y->dtype, (char *)y->data + (size_t)i * wq_dtype_size(y->dtype), WQ_F64, &re, 1,
				   true, 'n');
	}
}

void eval_cast(WqCall *c)
{
	WqDtype from = c->in[0]->dtype, to = c->out[0].dtype;
	if (from == to) {
		if (wq_tensor_bytes(c->in[0]))
			memcpy(c->out[0].data, c->in[0]->data, wq_tensor_bytes(c->in[0]));
		return;
	}
	if ((from == WQ_STR || to == WQ_STR) && (is_complex(from) || is_complex(to)))
		wq_call_fail(c, "complex numbers are not cast to or from strings");
	if (from == WQ_STR)
		from_strings(c);
	else if (to == WQ_STR)
		to_strings(c);
	else if (is_complex(from) || is_complex(to))
		cast_complex(c);
	else {
		Cast k = {c->in[0], &c->out[0], wq_attr_i(c->node, "saturate") != 0, wq_attr_s(c->node, "round")[0]};
		wq_parallel(c, wq_tensor_count(c->in[0]), 16384, cast_part, &k);
	}
}

/* Unpacked small types of one width differ in how a byte stands for them: sign-extended or not. */
void eval_bitcast(WqCall *c)
{
	const WqTensor *x = c->in[0];
	WqTensor *y = &c->out[0];
	int bits = wq_dtype(y->dtype)->bits;
	if (bits >= 8) {
		if (wq_tensor_bytes(x))
			memcpy(y->data, x->data, wq_tensor_bytes(x));
		return;
	}
	const uint8_t *s = x->data;
	uint8_t *d = y->data, mask = (uint8_t)((1 << bits) - 1), top = (uint8_t)(1 << (bits - 1));
	bool extend = wq_dtype(y->dtype)->cls == 'I';
	for (int64_t i = 0, n = wq_tensor_count(x); i < n; i++)
		d[i] = (uint8_t)((s[i] & mask) | (extend && s[i] & top ? ~mask : 0));
}
