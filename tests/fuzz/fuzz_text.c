/* The text form: what parses verifies, prints, parses again to the same text, and survives every pass. */
#include "engine/engine.h"
#include "passes/pass.h"
#include "tests/fuzz/fuzz.h"

static void free_module(void *m) { wq_module_free(m); }

static WqModule *parse(WqArena *a, const char *text, size_t n, WqMapped data)
{
	WqModule *m = wq_parse("text", text, n, data);
	wq_defer(a, free_module, m);
	return m;
}

static void must_verify(WqArena *a, const WqModule *m)
{
	WqStr faults = { .a = a };
	if (!wq_verify(m, &faults))
		WQ_BUG("a broken graph was accepted: %s", faults.s);
}

static void round_trip(WqArena *a, const uint8_t *p, size_t n)
{
	static const uint8_t data[256];
	WqModule *m = parse(a, (const char *)p, n, (WqMapped){ data, sizeof data });
	must_verify(a, m);
	WqStr once = { .a = a }, twice = { .a = a }, d1 = { .a = a }, d2 = { .a = a };
	wq_print(m, &once, &d1, 8);
	WqModule *again = parse(a, once.s, once.n, (WqMapped){ (const uint8_t *)d1.s, d1.n });
	must_verify(a, again);
	wq_print(again, &twice, &d2, 8);
	if (strcmp(once.s, twice.s) || d1.n != d2.n || (d1.n && memcmp(d1.s, d2.s, d1.n)))
		WQ_BUG("printed, parsed and printed again it differs:\n%s\n%s", once.s, twice.s);
	again->fold = wq_engine_fold;
	wq_passes(again, "opt");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	fuzz_one(round_trip, p, n);
	return 0;
}
