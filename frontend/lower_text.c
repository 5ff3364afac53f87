/* lower_text.c: strings, and TfIdfVectorizer, by comparing every window of the input with every n-gram of the pool.
 *
 * For n-grams of n items at distance s: item j of the windows, [B, windows, 1], equals item j of the n-grams,
 * [n-grams], for all j; the windows that do are counted. The counts of all n-grams, [B, total], are added to the
 * columns that they belong to.
 */
#include "frontend/lower_ml.h"

enum { MOST_COMPARISONS = 10000 };

typedef struct Pool {
	Lower *L;
	int n_items, n_counts, n_index;
	const int64_t *ints; /* or, where NULL */
	const char **strings;
	const int64_t *counts; /* where the n-grams of each size begin */
	const int64_t *index;  /* the output's column of each n-gram */
	int64_t min, max, skips, columns;
} Pool;

static void check_columns(Pool *p)
{
	for (int i = 0; i < p->n_index; i++) {
		if (p->index[i] < 0 || p->index[i] >= INT32_MAX)
			lo_bad(p->L, "ngram_indexes has %lld", (long long)p->index[i]);
		if (p->index[i] >= p->columns)
			p->columns = p->index[i] + 1;
	}
	int64_t n_grams = 0;
	for (int n = 1; n <= p->n_counts; n++) {
		int64_t from = p->counts[n - 1], to = n < p->n_counts ? p->counts[n] : p->n_items;
		if (from < 0 || to < from || to > p->n_items || (to - from) % n)
			lo_bad(p->L, "ngram_counts does not divide the pool's %d items into %d-grams", p->n_items, n);
		n_grams += (to - from) / n;
	}
	if (n_grams != p->n_index)
		lo_bad(p->L, "the pool has %lld n-grams, ngram_indexes %d", (long long)n_grams, p->n_index);
}

static Pool read_pool(Lower *L)
{
	Pool p = { .L = L };
	p.counts = lo_ints(L, "ngram_counts", &p.n_counts);
	p.index = lo_ints(L, "ngram_indexes", &p.n_index);
	p.ints = lo_ints(L, "pool_int64s", &p.n_items);
	if (!p.n_items) {
		p.ints = NULL;
		p.strings = lo_strings(L, "pool_strings", &p.n_items);
	}
	p.min = lo_i(L, "min_gram_length", 1);
	p.max = lo_i(L, "max_gram_length", 1);
	p.skips = lo_i(L, "max_skip_count", 0);
	if (p.min < 1 || p.max < p.min || p.skips < 0)
		lo_bad(L, "n-grams of %lld to %lld items, up to %lld skipped", (long long)p.min, (long long)p.max,
			(long long)p.skips);
	check_columns(&p);
	return p;
}

/* Item j of the n-grams that begin at `from` of the pool, a constant [count]. */
static WqValue *items(const Pool *p, int64_t from, int64_t n, int64_t j, int64_t count)
{
	WqTensor *t = wq_tensor_new(p->L->m, p->ints ? WQ_I64 : WQ_STR, 1, &count);
	for (int64_t i = 0; i < count; i++) {
		int64_t at = from + i * n + j;
		if (p->ints)
			wq_tensor_set_i(t, i, p->ints[at]);
		else
			((WqString *)t->data)[i] = (WqString){ p->strings[at], strlen(p->strings[at]) };
	}
	return wq_const(p->L->g, NULL, t);
}

/* x [B, C, 1]; f32 [B, count]: how often each n-gram stands in a row with its items at distance s */
static WqValue *count_at_distance(const Pool *p, WqValue *x, int64_t from, int64_t n, int64_t count, int64_t s)
{
	Lower *L = p->L;
	WqDim span = s * (n - 1), last = wq_dim_sub(L->m, x->type.dim[1], span);
	WqDim windows = wq_dim_max(L->m, last, 0);
	WqValue *same = NULL;
	for (int64_t j = 0; j < n; j++) {
		WqValue *part = lo_slice(L, x, 1, s * j, wq_dim_add(L->m, windows, s * j), 1);
		WqValue *equal = lo2(L, OP_Equal, part, items(p, from, n, j, count));
		same = same ? lo2(L, OP_And, same, equal) : equal;
	}
	return lo_reduce(L, OP_ReduceSum, lo_cast(L, same, WQ_F32), 1, (int64_t[]){ 1 }, false);
}

static WqValue *zeros(const Pool *p, int rank, const WqDim *dim)
{
	return lo_expand(p->L, lo_scalar(p->L, WQ_F32, 0), rank, dim);
}

/* f32 [B, count] over all distances; single items have only one */
static WqValue *count_grams(const Pool *p, WqValue *x, int64_t from, int64_t n, int64_t count, int *comparisons)
{
	WqValue *sum = NULL;
	WqDim length = x->type.dim[1];
	for (int64_t s = 1; s - 1 <= (n == 1 ? 0 : p->skips); s++) {
		if (n > 1 && wq_dim_static(length) && s > (length - 1) / (n - 1))
			break; /* longer than the row */
		if ((*comparisons += (int)n) > MOST_COMPARISONS)
			lo_unsupported(p->L, "n-grams that skip so many items");
		WqValue *c = count_at_distance(p, x, from, n, count, s);
		sum = sum ? lo2(p->L, OP_Add, sum, c) : c;
	}
	return sum ? sum : zeros(p, 2, (WqDim[]){ x->type.dim[0], count });
}

/* counts [B, total], in the order of the n-grams given; their columns; to f32 [B, columns] */
static WqValue *to_columns(const Pool *p, WqValue *counts, int64_t n, const int64_t *column)
{
	Lower *L = p->L;
	WqDim dim[] = { p->columns, counts->type.dim[0] };
	WqValue *at = lo_reshape(L, lo_i64s(L, (int)n, column), 2, (WqDim[]){ n, 1 });
	WqNode *s = lo_node(L, OP_ScatterND, 3, zeros(p, 2, dim), at, lo_swap_last(L, counts));
	wq_set_s(s, "reduction", "add");
	return lo_swap_last(L, lo_result(L, s));
}

static WqValue *frequencies(const Pool *p, WqValue *x)
{
	Lower *L = p->L;
	int n_parts = 0, comparisons = 0;
	int64_t used = 0, id = 0, *column = WQ_NEW_N(L->m->arena, int64_t, p->n_index);
	WqValue **part = WQ_NEW_N(L->m->arena, WqValue *, p->n_counts);
	for (int n = 1; n <= p->n_counts; n++) {
		int64_t from = p->counts[n - 1], count = ((n < p->n_counts ? p->counts[n] : p->n_items) - from) / n;
		if (count && n >= p->min && n <= p->max) {
			part[n_parts++] = count_grams(p, x, from, n, count, &comparisons);
			memcpy(column + used, p->index + id, (size_t)count * sizeof *column);
			used += count;
		}
		id += count;
	}
	if (!used)
		return zeros(p, 2, (WqDim[]){ x->type.dim[0], p->columns });
	return to_columns(p, lo_concat(L, 1, n_parts, part), used, column);
}

static WqValue *weights(const Pool *p)
{
	int n;
	const float *w = lo_floats(p->L, "weights", &n);
	if (!n)
		return NULL;
	if (n < p->columns)
		lo_bad(p->L, "%d weights for %lld columns", n, (long long)p->columns);
	WqTensor *t = wq_tensor_new(p->L->m, WQ_F32, 1, &p->columns);
	memcpy(t->data, w, (size_t)p->columns * sizeof *w);
	return wq_const(p->L->g, NULL, t);
}

void lower_TfIdfVectorizer(Lower *L)
{
	Pool p = read_pool(L);
	WqValue *x = lo_need(L, 0), *w = weights(&p);
	int rank = lo_rank(L, x);
	const char *mode = lo_s(L, "mode", "");
	if (strcmp(mode, "TF") && strcmp(mode, "IDF") && strcmp(mode, "TFIDF"))
		lo_bad(L, "mode is \"%s\": expected \"TF\", \"IDF\" or \"TFIDF\"", mode);
	if (rank > 2)
		lo_bad(L, "the input has rank %d instead of 1 or 2", rank);
	if ((lo_type_of(x) == WQ_STR) != !p.ints)
		lo_bad(L, "the input and the pool have different types");
	WqDim batch = rank == 2 ? lo_dim(L, x, 0) : 1;
	x = lo_reshape(L, x, 3, (WqDim[]){ batch, rank ? lo_dim(L, x, -1) : 1, 1 });
	WqValue *y = frequencies(&p, p.ints ? lo_cast(L, x, WQ_I64) : x);
	if (!strcmp(mode, "IDF"))
		y = lo_cast(L, lo2(L, OP_Less, lo_like(L, y, 0), y), WQ_F32);
	if (w && strcmp(mode, "TF"))
		y = lo2(L, OP_Mul, y, w);
	lo_out(L, 0, rank == 2 ? y : lo_reshape(L, y, 1, (WqDim[]){ p.columns }));
}

/* ---- strings ------------------------------------------------------------------------------------------------ */

void lower_StringConcat(Lower *L)
{
	lo_out(L, 0, lo2(L, OP_StringConcat, lo_need(L, 0), lo_need(L, 1)));
}

void lower_StringSplit(Lower *L)
{
	WqNode *n = lo_node(L, OP_StringSplit, 1, lo_need(L, 0));
	wq_set_s(n, "delimiter", lo_s(L, "delimiter", ""));
	wq_set_i(n, "maxsplit", lo_i(L, "maxsplit", -1));
	wq_node_finish(n, 2, NULL);
	lo_out(L, 0, n->out[0]);
	lo_out(L, 1, n->out[1]);
}

void lower_RegexFullMatch(Lower *L)
{
	if (!lo_has(L, "pattern"))
		lo_bad(L, "attribute 'pattern' is missing");
	WqNode *n = lo_node(L, OP_RegexFullMatch, 1, lo_need(L, 0));
	wq_set_s(n, "pattern", lo_s(L, "pattern", ""));
	lo_out(L, 0, lo_result(L, n));
}

static WqValue *in_case(Lower *L, WqValue *x, const char *to)
{
	WqNode *n = lo_node(L, OP_StringCase, 1, x);
	wq_set_s(n, "to", to);
	return lo_result(L, n);
}

/* x [C] without stop words, which are equal to it or, not case-sensitive, in the case `fold`; one empty string where
 * nothing is left. */
static WqValue *without(Lower *L, WqValue *x, int n_stop, const char **stop, const char *fold)
{
	WqValue *words = ml_strings(L, n_stop, stop), *key = x;
	if (fold) {
		words = in_case(L, words, fold);
		key = in_case(L, x, fold);
	}
	WqValue *same = lo2(L, OP_Equal, lo_unsqueeze(L, key, 1, (int64_t[]){ 1 }), words);
	WqValue *keep = lo1(L, OP_Not, lo_reduce(L, OP_ReduceMax, same, 1, (int64_t[]){ 1 }, false));
	WqValue *none = lo1(L, OP_Not, lo_reduce(L, OP_ReduceMax, keep, 1, (int64_t[]){ 0 }, true));
	x = lo_concat(L, 0, 2, (WqValue *[]){ x, ml_strings(L, 1, (const char *[]){ "" }) });
	keep = lo_concat(L, 0, 2, (WqValue *[]){ keep, none });
	return lo2(L, OP_Gather, x, lo_reshape_to(L, lo1(L, OP_NonZero, keep), 1, (int64_t[]){ -1 }));
}

/* Languages whose letters have other cases than everybody's. */
static void check_locale(Lower *L)
{
	static const char *const own[] = { "tr", "az", "lt" };
	const char *locale = lo_s(L, "locale", "");
	for (int i = 0; i < WQ_COUNTOF(own); i++)
		if (!strncmp(locale, own[i], 2) && strcspn(locale, "_-.@") == 2)
			lo_unsupported(L, "the cases of letters in locale '%.40s'", locale);
}

void lower_StringNormalizer(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	const char *action = lo_s(L, "case_change_action", "NONE");
	bool upper = !strcmp(action, "UPPER"), lower = !strcmp(action, "LOWER");
	int rank = lo_rank(L, x), n_stop;
	const char **stop = lo_strings(L, "stopwords", &n_stop);
	if (!upper && !lower && strcmp(action, "NONE"))
		lo_bad(L, "case_change_action is \"%s\": expected \"LOWER\", \"UPPER\" or \"NONE\"", action);
	if (rank != 1 && (rank != 2 || (wq_dim_static(x->type.dim[0]) && x->type.dim[0] != 1)))
		lo_bad(L, "the input is neither [C] nor [1,C]");
	check_locale(L);
	if (rank == 2)
		x = lo_squeeze(L, x, 1, (int64_t[]){ 0 });
	if (n_stop)
		x = without(L, x, n_stop, stop, lo_i(L, "is_case_sensitive", 0) ? NULL : upper ? "upper" : "lower");
	if (upper || lower)
		x = in_case(L, x, upper ? "upper" : "lower");
	lo_out(L, 0, rank == 2 ? lo_unsqueeze(L, x, 1, (int64_t[]){ 0 }) : x);
}
