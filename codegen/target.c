/* target.c: target names, CPUs and features resolved to facts. The feature string of a resolved target is complete: it holds every known
 * feature that is on, and those that were taken away, so that neither we nor LLVM need to know what a CPU's name implies.
 */
#include "codegen/target.h"

#include <unistd.h>

typedef struct Row {
	const char *name, *triple, *cpu, *attrs, *abi;
	WqFamily family;
	int index_bits;
	bool bare;
	const char *qemu, *about;
} Row;

typedef struct Cpu {
	const char *name, *features;
	int64_t l1, l2;
	WqFamily family;
	int line;
} Cpu;

typedef struct Feature {
	WqFamily family;
	const char *name, *implies;
} Feature;

static const Row rows[] = {
#define TARGET(name, triple, cpu, attrs, abi, family, bits, bare, qemu, about) \
	{name, triple, cpu, attrs, abi, family, bits, bare, qemu, about},
#include "codegen/targets.def"
};
static const Cpu cpus[] = {
#define CPU(family, name, features, l1, l2, line) {name, features, l1, l2, family, line},
#include "codegen/targets.def"
};
static const Feature known[] = {
#define FEATURE(family, name, implies) {family, name, implies},
#include "codegen/targets.def"
};
enum { N_KNOWN = (int)(sizeof known / sizeof known[0]) };

/* Features that were asked for by name, those that are on because of them, and those that were taken away. */
typedef struct Set {
	WqFamily family;
	bool asked[N_KNOWN], on[N_KNOWN], off[N_KNOWN];
} Set;

/* ---- features --------------------------------------------------------------------------------------- */

static int find_feature(WqFamily family, const char *name, size_t n)
{
	for (int i = 0; i < N_KNOWN; i++)
		if (known[i].family == family && strlen(known[i].name) == n && !memcmp(known[i].name, name, n))
			return i;
	return -1;
}

/* Calls fn for each feature that i implies at once. */
static void each_implied(WqFamily family, const char *list, void (*fn)(bool *set, WqFamily family, int i), bool *set)
{
	for (const char *p = list; *p; p += *p == ' ') {
		size_t n = strcspn(p, " ");
		int i = find_feature(family, p, n);
		if (i < 0)
			WQ_BUG("targets.def: no feature '%.*s'", (int)n, p);
		fn(set, family, i);
		p += n;
	}
}

static void mark(bool *set, WqFamily family, int i) { (void)family, set[i] = true; }

static void mark_closure(bool *set, WqFamily family, int i)
{
	if (set[i])
		return;
	set[i] = true;
	each_implied(family, known[i].implies, mark_closure, set);
}

static bool implies(WqFamily family, int i, int what)
{
	bool set[N_KNOWN] = {0};
	mark_closure(set, family, i);
	return set[what];
}

static void close_set(Set *s)
{
	memset(s->on, 0, sizeof s->on);
	for (int i = 0; i < N_KNOWN; i++)
		if (s->asked[i])
			mark_closure(s->on, s->family, i);
}

/* With a feature goes whatever implies it, and what was on only for its sake. */
static void disable(Set *s, int i)
{
	close_set(s);
	for (int k = 0; k < N_KNOWN; k++) {
		s->off[k] |= s->on[k]; /* what is still on then counts as on */
		if (s->asked[k] && implies(s->family, k, i))
			s->asked[k] = false;
	}
	s->off[i] = true;
}

/* "+a,-b"; unknown names are an error, or left to LLVM where it told them itself (others not NULL). */
static void apply(Set *s, const char *attrs, WqStr *others)
{
	for (const char *p = attrs; *p; p += *p == ',') {
		size_t n = strcspn(p, ",");
		if (n < 2 || (*p != '+' && *p != '-'))
			wq_fail(WQ_EINPUT, "-mattr takes +feature and -feature, separated by commas, not '%s'", attrs);
		int i = find_feature(s->family, p + 1, n - 1);
		if (i >= 0 && *p == '+')
			s->asked[i] = true;
		else if (i >= 0)
			disable(s, i);
		else if (others)
			wq_str_printf(others, "%s%.*s", others->n ? "," : "", (int)n, p);
		else
			wq_fail(WQ_EINPUT, "unknown feature '%.*s' in -mattr", (int)n - 1, p + 1);
		p += n;
	}
}

static const char *join(const Set *s, const WqStr *others, WqArena *a)
{
	WqStr b = {.a = a};
	for (int i = 0; i < N_KNOWN; i++)
		if (s->on[i] || s->off[i])
			wq_str_printf(&b, "%s%c%s", b.n ? "," : "", s->on[i] ? '+' : '-', known[i].name);
	if (others->n)
		wq_str_printf(&b, "%s%s", b.n ? "," : "", others->s);
	return b.n ? b.s : "";
}

bool wq_target_has(const WqTarget *t, const char *feature)
{
	size_t n = strlen(feature);
	for (const char *p = t->features; *p; p += *p == ',') {
		size_t len = strcspn(p, ",");
		if (len == n + 1 && *p == '+' && !memcmp(p + 1, feature, n))
			return true;
		p += len;
	}
	return false;
}

/* ---- what follows from features ------------------------------------------------------------------------ */

static void derive_x86(WqTarget *t)
{
	bool avx512 = wq_target_has(t, "avx512f"), avx2 = wq_target_has(t, "avx2");
	t->vector_bytes = avx512 ? 64 : wq_target_has(t, "avx") ? 32 : 16;
	t->vector_regs = avx512 ? 32 : 16;
	t->hard_f32 = t->hard_f64 = t->vector_f32 = t->unaligned = true;
	t->fma = wq_target_has(t, "fma");
	t->round = wq_target_has(t, "sse4.1");
	t->half = wq_target_has(t, "f16c");
	t->bf16 = wq_target_has(t, "avx512bf16");
	t->gather = avx512;
	t->masked = avx2;
	bool vnni = wq_target_has(t, "avx512vnni") && (avx512 || wq_target_has(t, "avx512vl"));
	t->dot = vnni || (!avx512 && wq_target_has(t, "avxvnni")) ? WQ_DOT_VNNI : WQ_DOT_MADD;
}

static void derive_aarch64(WqTarget *t)
{
	t->vector_bytes = 16;
	t->vector_regs = 32;
	t->hard_f32 = t->hard_f64 = t->vector_f32 = t->fma = t->round = t->half = t->unaligned = true;
	t->bf16 = wq_target_has(t, "bf16");
	t->dot = wq_target_has(t, "i8mm") ? WQ_DOT_I8MM : wq_target_has(t, "dotprod") ? WQ_DOT_SDOT : WQ_DOT_NONE;
}

static void derive_arm(WqTarget *t)
{
	bool neon = wq_target_has(t, "neon");
	t->vector_bytes = neon ? 16 : 4;
	t->vector_regs = 16;
	t->hard_f32 = t->hard_f64 = wq_target_has(t, "vfp2");
	t->vector_f32 = neon;
	t->fma = wq_target_has(t, "vfp4");
	t->round = wq_target_has(t, "fp-armv8");
	t->half = wq_target_has(t, "fp16");
	t->unaligned = true;
	t->dot = WQ_DOT_NONE;
}

static void derive_cortex_m(WqTarget *t)
{
	bool mve = wq_target_has(t, "mve");
	t->hard_f32 = wq_target_has(t, "vfp4d16sp");
	t->hard_f64 = t->hard_f32 && wq_target_has(t, "fp64");
	t->vector_bytes = mve ? 16 : 4;
	t->vector_regs = mve ? 8 : t->hard_f32 ? 32 : 8;
	t->vector_f32 = wq_target_has(t, "mve.fp");
	t->fma = t->hard_f32;
	t->round = wq_target_has(t, "fp-armv8d16sp");
	t->half = wq_target_has(t, "fp16") && t->hard_f32;
	t->masked = mve;
	t->unaligned = wq_target_has(t, "thumb2");
	t->dot = mve ? WQ_DOT_MVE : wq_target_has(t, "dsp") ? WQ_DOT_SMLAD : WQ_DOT_NONE;
}

/* The V extension's registers have at least the bits that zvl promises. */
static void derive_riscv(WqTarget *t)
{
	bool v = wq_target_has(t, "zve32x");
	int bytes = wq_target_has(t, "zvl512b") ? 64 : wq_target_has(t, "zvl256b") ? 32 : wq_target_has(t, "zvl128b") ? 16 : 8;
	t->vector_bytes = v ? bytes : t->index_bits / 8;
	t->vector_regs = 32;
	t->hard_f32 = wq_target_has(t, "f");
	t->hard_f64 = wq_target_has(t, "d");
	t->vector_f32 = v && wq_target_has(t, "zve32f");
	t->fma = t->hard_f32;
	t->round = wq_target_has(t, "zfa") || t->hard_f64;
	t->half = wq_target_has(t, "zfhmin") && (!v || wq_target_has(t, "zvfhmin"));
	t->gather = t->masked = v;
	t->unaligned = wq_target_has(t, "unaligned-vector-mem");
	t->dot = WQ_DOT_NONE;
}

static void derive_wasm(WqTarget *t)
{
	bool simd = wq_target_has(t, "simd128");
	t->vector_bytes = simd ? 16 : 4;
	t->vector_regs = 16; /* what engines keep in registers on x86 */
	t->hard_f32 = t->hard_f64 = t->round = t->unaligned = true;
	t->vector_f32 = simd;
	t->dot = simd ? WQ_DOT_WASM : WQ_DOT_NONE;
}

static void derive(WqTarget *t)
{
	static void (*const of[])(WqTarget *t) = {[WQ_X86] = derive_x86, [WQ_AARCH64] = derive_aarch64, [WQ_ARM] = derive_arm,
		[WQ_CORTEX_M] = derive_cortex_m, [WQ_RISCV] = derive_riscv, [WQ_WASM] = derive_wasm};
	of[t->family](t);
}

/* ---- names -------------------------------------------------------------------------------------------- */

static const Cpu *find_cpu(WqFamily family, const char *name)
{
	for (int i = 0; i < WQ_COUNTOF(cpus); i++)
		if (cpus[i].family == family && !strcmp(cpus[i].name, name))
			return &cpus[i];
	return NULL;
}

WQ_NORETURN static void unknown_cpu(const Row *r, const char *name, WqArena *a)
{
	WqStr b = {.a = a};
	for (int i = 0; i < WQ_COUNTOF(cpus); i++)
		if (cpus[i].family == r->family)
			wq_str_printf(&b, " %s", cpus[i].name);
	wq_fail(WQ_EINPUT, "unknown CPU '%s' for %s; known are:%s", name, r->name, b.s);
}

/* "aarch64-linux-gnu": the row of a triple's first part; thumb triples name no CPU of ours, so their architecture decides. */
static const Row *row_of_triple(const char *name)
{
	static const char *const first[][2] = {{"x86_64-", "x86_64"}, {"amd64-", "x86_64"}, {"aarch64-", "aarch64"}, {"arm64-", "aarch64"},
		{"armv7", "armv7"}, {"thumbv6m-", "cortex-m0"}, {"thumbv7em-", "cortex-m4"}, {"thumbv8.1m.main-", "cortex-m55"},
		{"riscv64-", "riscv64"}, {"riscv32-", "riscv32"}, {"wasm32-", "wasm32"}};
	for (int i = 0; i < WQ_COUNTOF(first); i++) {
		if (strncmp(name, first[i][0], strlen(first[i][0])) != 0)
			continue;
		for (int k = 0; k < WQ_COUNTOF(rows); k++)
			if (!strcmp(rows[k].name, first[i][1]))
				return &rows[k];
	}
	return NULL;
}

static const Row *find_row(const char *name)
{
	for (int i = 0; i < WQ_COUNTOF(rows); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return row_of_triple(name);
}

/* Objects other than ELF and wasm have sections and names of their own. */
static void check_system(const char *triple)
{
	static const char *const no[] = {"darwin", "macos", "ios", "windows", "win32", "mingw", "cygwin", "uefi", "wasi"};
	for (int i = 0; i < WQ_COUNTOF(no); i++)
		if (strstr(triple, no[i]))
			wq_fail(WQ_EUNSUPPORTED, "target %s: only ELF objects and wasm32-unknown-unknown are written", triple);
}

WQ_NORETURN static void unknown_target(const char *name, WqArena *a)
{
	WqStr b = {.a = a};
	wq_target_list(&b);
	wq_fail(WQ_EINPUT, "unknown target '%s'; known are triples and:\n%s", name, b.s);
}

static int64_t cache_size(int name, int64_t otherwise)
{
	long n = sysconf(name);
	return n > 0 ? n : otherwise;
}

/* What LLVM detects, and the caches that the C library knows. */
static void detect_native(WqTarget *t, Set *s, WqStr *others)
{
	t->cpu = wq_native_cpu(others->a);
	apply(s, wq_native_features(others->a), others);
#ifdef _SC_LEVEL1_DCACHE_SIZE
	t->l1 = cache_size(_SC_LEVEL1_DCACHE_SIZE, t->l1);
	t->l2 = cache_size(_SC_LEVEL2_CACHE_SIZE, t->l2);
	t->line = (int)cache_size(_SC_LEVEL1_DCACHE_LINESIZE, t->line);
#endif
}

#if defined(__x86_64__)
#define HOST "x86_64"
#elif defined(__aarch64__)
#define HOST "aarch64"
#elif defined(__arm__)
#define HOST "armv7"
#elif defined(__riscv) && __riscv_xlen == 64
#define HOST "riscv64"
#else
#error "this CPU has no row in targets.def"
#endif

const WqTarget *wq_target(const char *name, const char *cpu, const char *attrs, WqArena *a)
{
	bool native = !strcmp(name, "native");
	const Row *r = find_row(native ? HOST : name);
	if (!r)
		unknown_target(name, a);
	check_system(name);
	WqTarget *t = WQ_NEW(a, WqTarget);
	*t = (WqTarget){.name = native ? "native" : r->name, .triple = r->triple, .cpu = cpu ? wq_strdup(a, cpu) : r->cpu, .abi = r->abi,
		.family = r->family, .index_bits = r->index_bits, .bare_metal = r->bare, .qemu = native ? NULL : r->qemu};
	const Cpu *p = find_cpu(r->family, t->cpu);
	if (!p)
		unknown_cpu(r, t->cpu, a);
	t->l1 = p->l1;
	t->l2 = p->l2;
	t->line = p->line;
	Set s = {.family = r->family};
	WqStr others = {.a = a};
	each_implied(s.family, p->features, mark, s.asked);
	if (!native)
		apply(&s, r->attrs, NULL);
	else if (!cpu)
		detect_native(t, &s, &others);
	if (r->family == WQ_AARCH64) /* our vectors have a known size; so have frames then */
		apply(&s, "-sve", NULL);
	if (attrs)
		apply(&s, attrs, NULL);
	close_set(&s);
	t->features = join(&s, &others, a);
	derive(t);
	return t;
}

/* ---- reports ------------------------------------------------------------------------------------------ */

void wq_target_list(WqStr *out)
{
	wq_str_printf(out, "  %-12s this CPU\n", "native");
	for (int i = 0; i < WQ_COUNTOF(rows); i++)
		wq_str_printf(out, "  %-12s %s\n", rows[i].name, rows[i].about);
}

void wq_target_print(const WqTarget *t, WqStr *out)
{
	wq_str_printf(out, "target    %s: %s%s%s\n", t->name, t->triple, t->abi[0] ? ", ABI " : "", t->abi);
	wq_str_printf(out, "cpu       %s, %d vector registers of %d bytes, L1 %lld KB, L2 %lld KB\n", t->cpu, t->vector_regs, t->vector_bytes,
		      (long long)(t->l1 / 1024), (long long)(t->l2 / 1024));
	wq_str_printf(out, "features  ");
	for (const char *p = t->features, *sep = ""; *p; p += *p == ',') {
		size_t n = strcspn(p, ",");
		if (*p == '+') {
			wq_str_printf(out, "%s%.*s", sep, (int)n - 1, p + 1);
			sep = " ";
		}
		p += n;
	}
	wq_str_printf(out, "\n");
}
