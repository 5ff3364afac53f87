/* Tensor files: our own round trips, hostile ones, and numpy's where it is installed. */
#include <zlib.h>

#include "frontend/frontend.h"
#include "tests/test.h"

static char *in_dir(WqArena *a, const char *name) { return wq_sprintf(a, "%s/%s", test_dir(), name); }

/* A tensor of any type with n elements that differ. */
static WqTensor *sample(WqArena *a, WqDtype type, int64_t n)
{
	WqTensor *t = WQ_NEW(a, WqTensor);
	*t = (WqTensor){ .dtype = type, .rank = 2, .dim = { 1, n }, .data = wq_alloc(a, (size_t)n * 16 + 1) };
	for (int64_t i = 0; i < n; i++) {
		if (type == WQ_STR)
			((WqString *)t->data)[i] =
				i ? (WqString){ "z", 1 } : (WqString){ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9 };
		else if (wq_dtype(type)->cls == 'C')
			memset((char *)t->data + (size_t)i * wq_dtype_size(type), (int)i, wq_dtype_size(type));
		else
			wq_tensor_set_i(t, i, i % 3 - (wq_dtype_is_signed(type) && wq_dtype_is_int(type)));
	}
	return t;
}

static bool same(const WqTensor *x, const WqTensor *y)
{
	int64_t n = wq_tensor_count(x);
	if (x->dtype != y->dtype || x->rank != y->rank ||
	    memcmp(x->dim, y->dim, sizeof x->dim[0] * (size_t)x->rank) != 0)
		return false;
	if (x->dtype != WQ_STR)
		return !memcmp(x->data, y->data, wq_tensor_bytes(x));
	const WqString *s = x->data, *t = y->data;
	for (int64_t i = 0; i < n; i++)
		if (s[i].n != t[i].n || memcmp(s[i].p, t[i].p, s[i].n) != 0)
			return false;
	return true;
}

TEST(round_trips_of_every_type)
{
	WqArena *a = wq_arena_new();
	const char *names[WQ_NUM_DTYPES];
	const WqTensor *all[WQ_NUM_DTYPES];
	for (int d = 1; d < WQ_NUM_DTYPES; d++) {
		const WqTensor *t = sample(a, (WqDtype)d, d == WQ_STR ? 2 : 7);
		WqType want = wq_type_tensor((WqDtype)d, -1, NULL);
		wq_npy_write(a, in_dir(a, "t.npy"), t);
		CHECK_MSG(same(t, wq_value_read(a, in_dir(a, "t.npy"), &want)->t), "npy of %s",
			  wq_dtype((WqDtype)d)->text);
		wq_pb_write(a, in_dir(a, "t.pb"), "name", t);
		WqFileValue *v = wq_value_read(a, in_dir(a, "t.pb"), &want);
		CHECK_MSG(same(t, v->t) && !strcmp(v->name, "name"), "pb of %s", wq_dtype((WqDtype)d)->text);
		names[d - 1] = wq_dtype((WqDtype)d)->text;
		all[d - 1] = t;
	}
	wq_npz_write(a, in_dir(a, "t.npz"), WQ_NUM_DTYPES - 1, names, all);
	int n;
	WqFileValue *v = wq_npz_read(a, in_dir(a, "t.npz"), &n);
	CHECK_EQ(n, WQ_NUM_DTYPES - 1);
	for (int i = 0; i < n; i++)
		CHECK_MSG(!strcmp(v[i].name, names[i]) && same(all[i], wq_tensor_as(a, v[i].t, all[i]->dtype, "x")),
			  "npz of %s", names[i]);
	wq_arena_free(a);
}

static WqTensor *parse(WqArena *a, const char *head, const void *data, size_t n)
{
	WqStr f = { .a = a };
	wq_str_write(&f, (uint8_t[]){ 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)strlen(head), 0 }, 10);
	wq_str_write(&f, head, strlen(head));
	wq_str_write(&f, data, n);
	return wq_npy_parse(a, (const uint8_t *)f.s, f.n, "x.npy");
}

TEST(npy_headers)
{
	WqArena *a = wq_arena_new();
	WqTensor *t = parse(a, "{'descr': '>i4', 'fortran_order': True, 'shape': (2, 3), }",
			    "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\6", 24);
	CHECK(wq_tensor_get_i(t, 0) == 1 && wq_tensor_get_i(t, 1) == 3 && wq_tensor_get_i(t, 3) == 2);
	t = parse(a, "{\"shape\":(),'fortran_order':False,'descr':'|b1'}\n", "\7", 1);
	CHECK(t->rank == 0 && wq_tensor_get_i(t, 0) == 1);
	t = parse(a, "{'descr': '|S3', 'fortran_order': False, 'shape': (2,)}", "ab\0abc", 6);
	CHECK(((WqString *)t->data)[0].n == 2 && ((WqString *)t->data)[1].n == 3);
	static const struct { const char *head, *why; int code;
	} bad[] = {
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", "overflows",
		  WQ_EINPUT },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "too large",
		  WQ_EINPUT },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "takes 3 elements of 4 bytes", WQ_EINPUT },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': 3}", "no tuple", WQ_EINPUT },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}", "number was expected", WQ_EINPUT },
		{ "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "pickled", WQ_EINPUT },
		{ "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "structures", WQ_EINPUT },
		{ "{'descr': '<M8', 'fortran_order': False, 'shape': (1,)}", "no equal in ONNX", WQ_EUNSUPPORTED },
		{ "{'descr': '<f4', 'shape': (1,)}", "are needed", WQ_EINPUT },
		{ "{'descr': '<f4', 'descr': '<f4'}", "its keys", WQ_EINPUT },
		{ "{'descr': '<f4", "does not end", WQ_EINPUT },
		{ "{'descr': '|S0', 'fortran_order': False, 'shape': (99999999999,)}", "takes", WQ_EINPUT },
		{ "", "no dictionary", WQ_EINPUT },
	};
	for (int i = 0; i < WQ_COUNTOF(bad); i++)
		CHECK_ERROR(bad[i].code, bad[i].why, parse(a, bad[i].head, "12345678", 8));
	CHECK_ERROR(WQ_EINPUT, "not a .npy", wq_npy_parse(a, (const uint8_t *)"\x93NUM", 4, "x"));
	CHECK_ERROR(WQ_EINPUT, "cut off", wq_npy_parse(a, (const uint8_t *)"\x93NUMPY\1\0\xff\xff{}", 12, "x"));
	wq_arena_free(a);
}

TEST(types_that_numpy_cannot_name)
{
	WqArena *a = wq_arena_new();
	WqTensor bytes = { .dtype = WQ_I8, .rank = 1, .dim = { 2 }, .data = (int8_t[]){ -8, 7 } };
	CHECK_EQ(wq_tensor_as(a, &bytes, WQ_I4, "x")->dtype, WQ_I4);
	CHECK_ERROR(WQ_EINPUT, "element 0 is -8, which i2 cannot hold", wq_tensor_as(a, &bytes, WQ_I2, "x"));
	CHECK_EQ(wq_tensor_as(a, &bytes, WQ_F32, "x")->dtype, WQ_I8);
	CHECK_EQ(wq_tensor_as(a, &bytes, WQ_F8E4M3FN, "x")->dtype, WQ_F8E4M3FN);
	wq_arena_free(a);
}

/* ---- zip ------------------------------------------------------------------------------------------------ */

/* An archive with one deflated member that claims a size, listed so many times. */
static WqStr deflated(WqArena *a, const char *name, const void *p, size_t n, uint32_t claimed, int copies)
{
	WqStr z = { .a = a };
	uint8_t *packed = wq_alloc(a, n + 1000);
	z_stream s = { .next_in = (Bytef *)p, .avail_in = (uInt)n, .next_out = packed, .avail_out = (uInt)(n + 1000) };
	deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
	deflate(&s, Z_FINISH);
	uint32_t crc = (uint32_t)crc32(0, p, (uInt)n), size = (uint32_t)s.total_out;
	deflateEnd(&s);
	struct __attribute__((packed)) {
		uint32_t sig; uint16_t ver, flags, method; uint32_t time, crc, packed, size; uint16_t name, extra;
	} local = { 0x04034b50, 20, 0, 8, 0, crc, size, claimed, (uint16_t)strlen(name), 0 };
	wq_str_write(&z, &local, sizeof local);
	wq_str_write(&z, name, strlen(name));
	wq_str_write(&z, packed, size);
	uint32_t start = (uint32_t)z.n;
	for (int i = 0; i < copies; i++) {
		wq_str_write(&z, "PK\1\2\24\0", 6);
		wq_str_write(&z, &local.ver, sizeof local - 4);
		wq_str_write(&z, (uint8_t[14]){ 0 }, 14);
		wq_str_write(&z, name, strlen(name));
	}
	struct __attribute__((packed)) {
		uint32_t sig; uint16_t disk[2], n[2]; uint32_t size, start; uint16_t comment;
	} end = { 0x06054b50, { 0 }, { (uint16_t)copies, (uint16_t)copies }, (uint32_t)z.n - start, start, 0 };
	wq_str_write(&z, &end, sizeof end);
	return z;
}

static ZipMember *unzip(WqArena *a, WqStr z)
{
	int n;
	return zip_read(a, (const uint8_t *)z.s, z.n, "x.npz", &n);
}

TEST(zip_archives)
{
	WqArena *a = wq_arena_new();
	char *data = wq_alloc(a, 100000);
	memset(data, 'a', 100000);
	ZipMember *m = unzip(a, deflated(a, "x", data, 100000, 100000, 1));
	CHECK(m->n == 100000 && !memcmp(m->p, data, 100000) && !strcmp(m->name, "x"));
	CHECK_ERROR(WQ_EINPUT, "damaged", unzip(a, deflated(a, "x", data, 100000, 99999, 1)));
	CHECK_ERROR(WQ_EINPUT, "damaged", unzip(a, deflated(a, "x", data, 100000, 100001, 1)));
	CHECK_ERROR(WQ_EINPUT, "cannot inflate", unzip(a, deflated(a, "x", data, 100000, 4000000000u, 1)));
	CHECK_ERROR(WQ_EINPUT, "overlap", unzip(a, deflated(a, "x", data, 100000, 100000, 9)));
	WqStr z = deflated(a, "x", "abc", 3, 3, 1);
	z.s[14] ^= 1; /* the local header's checksum is not looked at: the directory's counts */
	CHECK_EQ(unzip(a, z)->n, 3);
	z.s[z.n - 22 - 47 + 16] ^= 1;
	CHECK_ERROR(WQ_EINPUT, "checksum", unzip(a, z));
	for (size_t n = 0; n < z.n; n++) {
		WqStr cut = z;
		cut.n = n;
		CHECK_ERROR(WQ_EINPUT, "zip archive", unzip(a, cut));
	}
	wq_arena_free(a);
}

/* ---- sequences and optionals ------------------------------------------------------------------------------ */

TEST(sequences)
{
	WqArena *a = wq_arena_new();
	WqStr t = { .a = a }, s = { .a = a };
	WqTensor v = { .dtype = WQ_I64, .rank = 1, .dim = { 2 }, .data = (int64_t[]){ 3, 4 } };
	size_t n;
	const void *data = onnx_put_tensor(&t, "e", &v, &n);
	wq_str_write(&t, data, n);
	wire_put_text(&s, 1, "list");
	wire_put_int(&s, 2, 1);
	wire_put_bytes(&s, 3, t.s, t.n);
	wire_put_bytes(&s, 3, t.s, t.n);
	WqType want = { .kind = WQ_SEQUENCE };
	WqFileValue *f = wq_pb_parse(a, (const uint8_t *)s.s, s.n, &want, "x.pb");
	CHECK(f->type.kind == WQ_SEQUENCE && f->n == 2 && !strcmp(f->name, "list"));
	CHECK(f->type.elem && f->type.elem->dtype == WQ_I64 && wq_tensor_get_i(f->elems[1].t, 1) == 4);
	WqStr o = { .a = a };
	wire_put_int(&o, 2, 3);
	wire_put_bytes(&o, 5, s.s, s.n);
	want.kind = WQ_OPTIONAL;
	f = wq_pb_parse(a, (const uint8_t *)o.s, o.n, &want, "x.pb");
	CHECK(f->type.kind == WQ_OPTIONAL && f->n == 1 && f->elems[0].n == 2);
	f = wq_pb_parse(a, (const uint8_t *)"", 0, &want, "x.pb");
	CHECK(f->type.kind == WQ_OPTIONAL && f->n == 0);
	WqStr map = { .a = a };
	wire_put_int(&map, 2, 4);
	CHECK_ERROR(WQ_EUNSUPPORTED, "maps", wq_pb_parse(a, (const uint8_t *)map.s, map.n, &want, "x.pb"));
	wq_arena_free(a);
}

/* ---- memory ------------------------------------------------------------------------------------------------- */

static void every_format(WqArena *a)
{
	const WqTensor *t[2] = { sample(a, WQ_STR, 2), sample(a, WQ_U4, 9000) };
	wq_npz_write(a, in_dir(a, "s.npz"), 2, (const char *[]){ "a", "b" }, t);
	int n;
	wq_npz_read(a, in_dir(a, "s.npz"), &n);
	wq_pb_write(a, in_dir(a, "s.pb"), "t", t[1]);
	wq_value_read(a, in_dir(a, "s.pb"), NULL);
	WqStr z = deflated(a, "x", "abcabcabc", 9, 9, 1);
	unzip(a, z);
}

TEST(failing_allocations) { test_sweep(every_format); }

/* ---- numpy --------------------------------------------------------------------------------------------------- */

static bool python(WqArena *a, const char *code)
{
	WqFileOut *f = wq_file_create(a, in_dir(a, "t.py"));
	wq_file_write(f, code, strlen(code));
	wq_file_commit(f);
	return system(wq_sprintf(a, "cd '%s' && /usr/bin/python3 t.py 2>t.err", test_dir())) == 0;
}

TEST(numpy_reads_ours_and_we_read_numpys)
{
	WqArena *a = wq_arena_new();
	if (!python(a, "import numpy")) {
		printf("SKIP: numpy_reads_ours_and_we_read_numpys: no numpy\n");
		wq_arena_free(a);
		return;
	}
	CHECK(python(a, "import numpy as np\n"
			"r = np.random.default_rng(0)\n"
			"d = {c: (r.standard_normal((3, 4, 5)) * 50).astype(c) for c in '?bBhHiIlLefdFD'}\n"
			"d['fortran'] = np.asfortranarray(np.arange(24.).reshape(2, 3, 4))\n"
			"d['big'] = np.arange(6).astype('>i4'); d['bigc'] = (np.arange(6) * 1j).astype('>c8')\n"
			"d['u'] = np.array(['\\u00e4\\u20ac', 'x\\U0001f600', '']); d['scalar'] = np.float32(3.5)\n"
			"d['empty'] = np.zeros((0, 3)); d['one'] = np.arange(3); d['v2'] = np.array([0x3f80], "
			"'u2').view('V2')\n"
			"np.savez('stored.npz', **d); np.savez_compressed('deflated.npz', **d)\n"
			"f = open('v2.npy', 'wb'); np.lib.format.write_array(f, np.arange(3.), version=(2, 0))\n"));
	for (int k = 0; k < 2; k++) {
		int n;
		WqFileValue *v = wq_npz_read(a, in_dir(a, k ? "deflated.npz" : "stored.npz"), &n);
		const char **names = WQ_NEW_N(a, const char *, n);
		const WqTensor **t = WQ_NEW_N(a, const WqTensor *, n);
		for (int i = 0; i < n; i++) {
			names[i] = v[i].name;
			t[i] = v[i].t;
		}
		wq_npz_write(a, in_dir(a, k ? "ours1.npz" : "ours0.npz"), n, names, t);
	}
	CHECK(python(a,
		     "import numpy as np\n"
		     "x = np.load('stored.npz')\n"
		     "for f in ('ours0.npz', 'ours1.npz'):\n"
		     "    y = np.load(f)\n"
		     "    assert x.files == y.files\n"
		     "    for k in x.files:\n"
		     "        assert x[k].shape == y[k].shape and x[k].tolist() == y[k].tolist(), k\n"
		     "        assert x[k].dtype == y[k].dtype.newbyteorder('>' if k.startswith('big') else '='), k\n"));
	CHECK(wq_tensor_get_f(wq_value_read(a, in_dir(a, "v2.npy"), NULL)->t, 2) == 2);
	wq_arena_free(a);
}

TEST_MAIN(TEST_RUN(round_trips_of_every_type)
	  TEST_RUN(npy_headers)
	  TEST_RUN(types_that_numpy_cannot_name)
	  TEST_RUN(zip_archives)
	  TEST_RUN(sequences)
	  TEST_RUN(failing_allocations)
	  TEST_RUN(numpy_reads_ours_and_we_read_numpys))
