#include "frontend/lower.h"

#include <stdlib.h>

#define ONNX_OP(domain, name, fn, ...) LowerFn fn;
#define ONNX_REFUSED(domain, name, why, ...)
#include "frontend/onnx_ops.def"
#undef ONNX_OP
#undef ONNX_REFUSED

static const OnnxOp table[] = {
#define ONNX_OP(domain, name, fn, ...) { domain, #name, fn, NULL, { __VA_ARGS__ } },
#define ONNX_REFUSED(domain, name, why, ...) { domain, #name, NULL, why, { __VA_ARGS__ } },
#include "frontend/onnx_ops.def"
#undef ONNX_OP
#undef ONNX_REFUSED
};

const OnnxOp *onnx_op_table(int *n)
{
	*n = WQ_COUNTOF(table);
	return table;
}

/* The table is sorted by name within a domain, and domains stand together: a scan to the domain, then halving. */
const OnnxOp *onnx_op_find(const char *domain, const char *name)
{
	int lo = 0, hi;
	while (lo < WQ_COUNTOF(table) && strcmp(table[lo].domain, domain))
		lo++;
	for (hi = lo; hi < WQ_COUNTOF(table) && !strcmp(table[hi].domain, domain);)
		hi++;
	while (lo < hi) {
		int mid = (lo + hi) / 2, c = strcmp(name, table[mid].name);
		if (c == 0)
			return &table[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

static const OnnxLimit limits[] = {
#define ONNX_LIMIT(domain, name, message, form) { domain, #name, message, form },
#define ONNX_LIMIT_ANY(message, form) { NULL, NULL, message, form },
#include "frontend/onnx_limits.def"
#undef ONNX_LIMIT
#undef ONNX_LIMIT_ANY
};

const OnnxLimit *onnx_limit_table(int *n)
{
	*n = WQ_COUNTOF(limits);
	return limits;
}
