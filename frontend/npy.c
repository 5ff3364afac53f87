/* npy.c: numpy's array files.
 *
 * "\x93NUMPY", version (two bytes), length of the header (two bytes in version 1, four later), the header: a dict
 * {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } padded with spaces and a newline, then the elements.
 */
#include "frontend/frontend.h"
#include "ir/text.h"

#include <ctype.h>

static const char magic[6] = "\x93NUMPY";

/* ---- the header ------------------------------------------------------------------------------------------ */

typedef struct Head {
	char order, kind;  /* '<' '>' '|' '='; numpy's kind letter */
	int64_t item;      /* bytes; of U: characters */
	bool fortran;
	int rank;
	int64_t dim[WQ_MAX_RANK];
} Head;

typedef struct Text {
	const char *p, *end, *what;
} Text;

WQ_NORETURN static void bad_head(const Text *t, const char *why)
{
	wq_fail(WQ_EINPUT, "%s: not a valid .npy header: %s", t->what, why);
}

static void skip_space(Text *t)
{
	while (t->p < t->end && isspace((unsigned char)*t->p))
		t->p++;
}

static bool eat(Text *t, char c)
{
	skip_space(t);
	if (t->p == t->end || *t->p != c)
		return false;
	t->p++;
	return true;
}

/* A quoted string without escapes, into a buffer. */
static void quoted(Text *t, char *out, size_t cap)
{
	skip_space(t);
	char q = t->p < t->end ? *t->p : 0;
	size_t n = 0;
	if (q != '\'' && q != '"')
		bad_head(t, "a string was expected (arrays of structures are not supported)");
	for (t->p++; t->p < t->end && *t->p != q; t->p++) {
		if (n + 1 == cap)
			bad_head(t, "a string is too long");
		out[n++] = *t->p;
	}
	if (t->p == t->end)
		bad_head(t, "a string does not end");
	t->p++;
	out[n] = 0;
}

static int64_t number(Text *t)
{
	int64_t v = 0;
	skip_space(t);
	if (t->p == t->end || !isdigit((unsigned char)*t->p))
		bad_head(t, "a number was expected");
	for (; t->p < t->end && isdigit((unsigned char)*t->p); t->p++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *t->p - '0', &v))
			bad_head(t, "a number is too large");
	if (t->p < t->end && *t->p == 'L') /* Python 2 */
		t->p++;
	return v;
}

static void parse_shape(Text *t, Head *h)
{
	if (!eat(t, '('))
		bad_head(t, "'shape' is no tuple");
	while (!eat(t, ')')) {
		if (h->rank == WQ_MAX_RANK)
			bad_head(t, "too many dimensions");
		h->dim[h->rank++] = number(t);
		if (!eat(t, ',') && !(eat(t, ')') && t->p--))
			bad_head(t, "'shape' is no tuple of numbers");
	}
}

static void parse_descr(Text *t, Head *h)
{
	char s[32];
	quoted(t, s, sizeof s);
	const char *p = s;
	h->order = *p && strchr("<>|=", *p) ? *p++ : '=';
	h->kind = *p ? *p++ : 0;
	Text n = { p, s + strlen(s), t->what };
	if (h->kind == 'O')
		bad_head(t, "pickled Python objects are not read");
	h->item = number(&n);
	if (n.p != n.end)
		bad_head(t, "this 'descr' is not known");
}

static void parse_bool(Text *t, bool *v)
{
	skip_space(t);
	*v = t->end - t->p >= 4 && !memcmp(t->p, "True", 4);
	size_t n = *v ? 4 : 5;
	if (!*v && (t->end - t->p < 5 || memcmp(t->p, "False", 5) != 0))
		bad_head(t, "True or False was expected");
	t->p += n;
}

static void parse_dict(Text *t, Head *h)
{
	unsigned seen = 0;
	if (!eat(t, '{'))
		bad_head(t, "no dictionary");
	while (!eat(t, '}')) {
		char key[32];
		quoted(t, key, sizeof key);
		int k = !strcmp(key, "descr") ? 0 : !strcmp(key, "fortran_order") ? 1 : !strcmp(key, "shape") ? 2 : -1;
		if (k < 0 || seen & 1u << k || !eat(t, ':'))
			bad_head(t, "its keys must be descr, fortran_order and shape");
		seen |= 1u << k;
		if (k == 0)
			parse_descr(t, h);
		else if (k == 1)
			parse_bool(t, &h->fortran);
		else
			parse_shape(t, h);
		if (!eat(t, ','))
			skip_space(t);
	}
	if (seen != 7)
		bad_head(t, "descr, fortran_order and shape are needed");
}

static WqDtype dtype_of(const Head *h)
{
	char text[32];
	snprintf(text, sizeof text, "%c%lld", h->kind, (long long)h->item);
	if (h->kind == 'S' || h->kind == 'U')
		return WQ_STR;
	if (!strcmp(text, "V2"))
		return WQ_BF16;
	if (!strcmp(text, "V1"))
		return WQ_U8;
	if (!strcmp(text, "f1"))
		return WQ_F8E5M2;
	for (int t = 1; t < WQ_NUM_DTYPES; t++) {
		const char *npy = wq_dtype((WqDtype)t)->npy;
		if (npy && !strcmp(npy + 1, text))
			return (WqDtype)t;
	}
	return WQ_UNDEF;
}

/* ---- elements ----------------------------------------------------------------------------------------------- */

/* Reverses the bytes of every number: a complex one has two. */
static void swap_bytes(uint8_t *p, size_t n, size_t size)
{
	for (size_t at = 0; at + size <= n; at += size)
		for (size_t i = 0; i < size / 2; i++) {
			uint8_t b = p[at + i];
			p[at + i] = p[at + size - 1 - i];
			p[at + size - 1 - i] = b;
		}
}

/* First index fastest -> last index fastest. */
static void from_fortran(const WqTensor *t, const uint8_t *from, uint8_t *to, size_t size)
{
	int64_t count = wq_tensor_count(t), index[WQ_MAX_RANK] = { 0 }, place = 0, stride[WQ_MAX_RANK] = { 0 };
	int64_t s = 1;
	for (int i = t->rank - 1; i >= 0; i--) {
		stride[i] = s;
		s *= t->dim[i];
	}
	for (int64_t k = 0; k < count; k++) {
		memcpy(to + (size_t)place * size, from + (size_t)k * size, size);
		for (int i = 0; i < t->rank; i++) {
			place += stride[i];
			if (++index[i] < t->dim[i])
				break;
			place -= stride[i] * t->dim[i];
			index[i] = 0;
		}
	}
}

/* Fixed-width strings, padded with zeros, as views (S) or converted (U). */
static WqString *strings(WqArena *a, const Head *h, const uint8_t *p, int64_t count, const char *what)
{
	WqString *v = WQ_NEW_N(a, WqString, count);
	size_t width = (size_t)h->item;
	for (int64_t k = 0; k < count; k++) {
		if (h->kind == 'S') {
			const char *s = (const char *)p + (size_t)k * width;
			size_t n = width;
			while (n && !s[n - 1])
				n--;
			v[k] = (WqString){ n ? s : "", n };
			continue;
		}
		size_t n = width, bytes = 0;
		const uint8_t *s = p + (size_t)k * width * 4;
		while (n && !memcmp(s + 4 * (n - 1), "\0\0\0", 4))
			n--;
		char *out = wq_alloc(a, 4 * n + 1);
		for (size_t i = 0; i < n; i++) {
			uint32_t c;
			memcpy(&c, s + 4 * i, 4);
			if (h->order == '>')
				c = __builtin_bswap32(c);
			if (c > 0x10ffff)
				wq_fail(WQ_EINPUT, "%s: a string has a character beyond Unicode", what);
			bytes += wq_utf8_put(out + bytes, c);
		}
		v[k] = (WqString){ out, bytes };
	}
	return v;
}

static Head parse_head(const uint8_t *p, size_t n, const char *what, size_t *at)
{
	Head h = { 0 };
	if (n < 10 || memcmp(p, magic, sizeof magic) != 0)
		wq_fail(WQ_EINPUT, "%s: not a .npy file", what);
	if (p[6] < 1 || p[6] > 3)
		wq_fail(WQ_EUNSUPPORTED, "%s: .npy version %d.%d is not known", what, p[6], p[7]);
	size_t len = p[8] | (size_t)p[9] << 8;
	*at = 10;
	if (p[6] > 1 && n >= 12) {
		len |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
		*at = 12;
	}
	if (len > n - *at)
		wq_fail(WQ_EINPUT, "%s: the .npy header is cut off", what);
	Text t = { (const char *)p + *at, (const char *)p + *at + len, what };
	parse_dict(&t, &h);
	*at += len;
	return h;
}

WqTensor *wq_npy_parse(WqArena *a, const uint8_t *p, size_t n, const char *what)
{
	size_t at;
	Head h = parse_head(p, n, what, &at);
	WqTensor *t = WQ_NEW(a, WqTensor);
	t->dtype = dtype_of(&h);
	if (!t->dtype || h.item > 1 << 24)
		wq_fail(WQ_EUNSUPPORTED, "%s: numpy's element type %c%lld has no equal in ONNX", what, h.kind,
			(long long)h.item);
	t->rank = h.rank;
	memcpy(t->dim, h.dim, sizeof t->dim);
	int64_t count = wq_shape_count(t->rank, t->dim, what);
	uint64_t size = (uint64_t)h.item * (h.kind == 'U' ? 4 : 1), need;
	if (__builtin_mul_overflow((uint64_t)count, size, &need) || need != n - at)
		wq_fail(WQ_EINPUT, "%s: its shape takes %lld elements of %llu bytes, it has %zu bytes", what,
			(long long)count, (unsigned long long)size, n - at);
	if (count > 0 && size == 0 && count > 1 << 24) /* empty strings: no bytes in the file, but some in memory */
		wq_fail(WQ_EINPUT, "%s: %lld elements without bytes", what, (long long)count);
	const uint8_t *data = p + at;
	if (t->dtype == WQ_STR) {
		data = (const uint8_t *)strings(a, &h, data, count, what);
		size = sizeof(WqString);
	}
	bool swap = h.order == '>' && t->dtype != WQ_STR && size > 1;
	bool turn = h.fortran && t->rank > 1 && count > 1;
	if (swap || turn || t->dtype == WQ_BOOL) {
		uint8_t *own = wq_alloc_n(a, (size_t)count, size);
		if (turn)
			from_fortran(t, data, own, size);
		else
			memcpy(own, data, (size_t)count * size);
		if (swap)
			swap_bytes(own, (size_t)count * size, wq_dtype(t->dtype)->cls == 'C' ? size / 2 : size);
		for (int64_t i = 0; t->dtype == WQ_BOOL && i < count; i++)
			own[i] = own[i] != 0;
		data = own;
	}
	t->data = (void *)data;
	return t;
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

/* Characters of the longest string; -1: some are not UTF-8, and *bytes is the longest in bytes. */
static int64_t text_width(const WqTensor *t, int64_t *bytes)
{
	int64_t width = 0;
	bool utf8 = true;
	*bytes = 0;
	const WqString *s = t->data;
	for (int64_t k = 0, count = wq_tensor_count(t); k < count; k++) {
		int64_t n = 0;
		size_t at = 0;
		while (utf8 && at < s[k].n) {
			utf8 = wq_utf8_next(&s[k], &at) >= 0;
			n++;
		}
		width = n > width ? n : width;
		*bytes = (int64_t)s[k].n > *bytes ? (int64_t)s[k].n : *bytes;
	}
	return utf8 ? width : -1;
}

typedef struct Npy { /* a file in two parts */
	WqStr head;
	const void *data;
	size_t n;
} Npy;

static void npy_strings(WqArena *a, const WqTensor *t, Npy *f, char *descr, size_t cap)
{
	int64_t bytes, width = text_width(t, &bytes), count = wq_tensor_count(t);
	bool utf8 = width >= 0;
	if (!utf8)
		width = bytes;
	width = width ? width : 1; /* as numpy */
	size_t item = (size_t)width * (utf8 ? 4 : 1);
	snprintf(descr, cap, utf8 ? "<U%lld" : "|S%lld", (long long)width);
	uint8_t *out = wq_alloc_n(a, (size_t)count, item);
	f->data = out;
	f->n = (size_t)count * item;
	for (int64_t k = 0; k < count; k++, out += item) {
		const WqString *s = (const WqString *)t->data + k;
		if (!utf8 && s->n)
			memcpy(out, s->p, s->n);
		for (size_t at = 0, i = 0; utf8 && at < s->n; i++) {
			uint32_t c = (uint32_t)wq_utf8_next(s, &at);
			memcpy(out + 4 * i, &c, 4);
		}
	}
}

static Npy npy_file(WqArena *a, const WqTensor *t)
{
	Npy f = { { .a = a }, t->data, wq_tensor_bytes(t) };
	const WqDtypeInfo *d = wq_dtype(t->dtype);
	int64_t count = wq_tensor_count(t);
	char descr[32];
	if (t->dtype == WQ_STR)
		npy_strings(a, t, &f, descr, sizeof descr);
	else
		snprintf(descr, sizeof descr, "%s",
			 d->npy ? d->npy : t->dtype == WQ_BF16 ? "<V2" : d->cls == 'F' ? "|V1" :
			 d->cls == 'I' ? "|i1" : "|u1");
	if (t->packed) {
		void *own = wq_alloc_n(a, (size_t)count, 1);
		wq_unpack(t->dtype, t->data, own, count);
		f.data = own;
		f.n = (size_t)count;
	}
	wq_str_printf(&f.head, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
	for (int i = 0; i < t->rank; i++)
		wq_str_printf(&f.head, i ? ", %lld" : t->rank == 1 ? "%lld," : "%lld", (long long)t->dim[i]);
	wq_str_printf(&f.head, "), }");
	size_t len = (10 + f.head.n + 1 + 63) / 64 * 64 - 10; /* elements start at a multiple of 64 */
	WqStr head = { .a = a };
	wq_str_write(&head, magic, sizeof magic);
	wq_str_write(&head, (const uint8_t[]){ 1, 0, (uint8_t)len, (uint8_t)(len >> 8) }, 4);
	wq_str_printf(&head, "%-*s\n", (int)len - 1, f.head.s);
	f.head = head;
	return f;
}

void wq_npy_write(WqArena *a, const char *path, const WqTensor *t)
{
	Npy f = npy_file(a, t);
	WqFileOut *out = wq_file_create(a, path);
	wq_file_write(out, f.head.s, f.head.n);
	wq_file_write(out, f.data, f.n);
	wq_file_commit(out);
}

/* ---- .npz: a zip archive of .npy files ---------------------------------------------------------------------- */

WqFileValue *wq_npz_parse(WqArena *a, const uint8_t *p, size_t n, const char *what, int *count)
{
	int members;
	ZipMember *m = zip_read(a, p, n, what, &members);
	WqFileValue *v = WQ_NEW_N(a, WqFileValue, members);
	*count = 0;
	for (int i = 0; i < members; i++) {
		size_t len = strlen(m[i].name);
		if (len < 4 || strcmp(m[i].name + len - 4, ".npy") != 0)
			continue;
		WqFileValue *to = &v[(*count)++];
		to->name = wq_strndup(a, m[i].name, len - 4);
		to->t = wq_npy_parse(a, m[i].p, m[i].n, wq_sprintf(a, "%s: '%s'", what, m[i].name));
		to->type = wq_type_of_tensor(to->t);
	}
	return v;
}

void wq_npz_write(WqArena *a, const char *path, int n, const char *const *names, const WqTensor *const *t)
{
	ZipOut *z = zip_create(a, path);
	for (int i = 0; i < n; i++) {
		Npy f = npy_file(a, t[i]);
		zip_add(z, wq_sprintf(a, "%s.npy", names[i]), f.head.s, f.head.n, f.data, f.n);
	}
	zip_commit(z);
}
