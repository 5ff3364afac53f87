/* plan_test: the packing of the arena (codegen/plan.c). What is alive at once never overlaps; how near the plans come to the bytes
 * alive is printed. */
#include "codegen/codegen.h"
#include "tests/test.h"

#include <time.h>

static uint64_t state;

static int roll(int n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (int)((state >> 33) % (uint64_t)n);
}

static const WqPlanItem *items;

static int by_offset(const void *a, const void *b)
{
	const WqPlanItem *x = &items[*(const int *)a], *y = &items[*(const int *)b];
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Walks the items by offset: only those that begin before another one's end are compared. */
static int overlaps(const WqPlanItem *item, int n)
{
	int *order = malloc(((size_t)n + 1) * sizeof *order), bad = 0, far = 0;
	for (int i = 0; i < n; i++)
		order[i] = i;
	items = item;
	qsort(order, (size_t)n, sizeof *order, by_offset);
	for (int i = 0; i < n; i++) {
		const WqPlanItem *x = &item[order[i]];
		for (int k = far = i + 1; k < n && item[order[k]].offset < x->offset + x->bytes; k++, far++) {
			const WqPlanItem *y = &item[order[k]];
			bad += y->bytes > 0 && x->begin <= y->end && y->begin <= x->end;
		}
	}
	free(order);
	return bad;
}

static int64_t most_alive(const WqPlanItem *item, int n, int steps)
{
	int64_t most = 0, now = 0, *change = calloc((size_t)steps + 1, sizeof *change);
	for (int i = 0; i < n; i++) {
		change[item[i].begin] += item[i].bytes;
		change[item[i].end + 1] -= item[i].bytes;
	}
	for (int i = 0; i < steps; i++) {
		now += change[i];
		most = now > most ? now : most;
	}
	free(change);
	return most;
}

/* Plans, checks everything that a plan promises, and returns total / live. */
static double plan(WqPlanItem *item, int n, int steps, int64_t align)
{
	WqArena *a = wq_arena_new();
	int64_t live = -1, again_live = -1, total = wq_plan(item, n, align, &live, a);
	int misaligned = 0, outside = 0, moved = 0;
	for (int i = 0; i < n; i++) {
		misaligned += item[i].offset % align != 0;
		outside += item[i].offset < 0 || item[i].offset + item[i].bytes > total;
	}
	CHECK_EQ(misaligned, 0);
	CHECK_EQ(outside, 0);
	CHECK_EQ(overlaps(item, n), 0);
	CHECK_EQ(live, most_alive(item, n, steps));
	CHECK(total >= live);
	WqPlanItem *copy = WQ_NEW_N(a, WqPlanItem, n);
	if (n)
		memcpy(copy, item, (size_t)n * sizeof *item);
	CHECK_EQ(wq_plan(copy, n, align, &again_live, a), total);
	for (int i = 0; i < n; i++)
		moved += copy[i].offset != item[i].offset;
	CHECK_EQ(moved, 0);
	wq_arena_free(a);
	return live ? (double)total / (double)live : 1;
}

static void fill(WqPlanItem *item, int n, int steps, int longest, int largest)
{
	for (int i = 0; i < n; i++) {
		int begin = roll(steps), end = begin + roll(longest);
		item[i] = (WqPlanItem){ 1 + roll(largest), begin, end < steps ? end : steps - 1, 0 };
	}
}

static double seconds_since(clock_t from) { return (double)(clock() - from) / CLOCKS_PER_SEC; }

TEST(nothing)
{
	WqPlanItem empty[3] = { { 0, 0, 5, 0 }, { 0, 3, 3, 0 }, { 0, 1, 9, 0 } };
	CHECK(plan(empty, 0, 1, 64) == 1);
	CHECK(plan(empty, 3, 10, 64) == 1);
	WqPlanItem one = { 1000, 4, 4, 0 };
	CHECK(plan(&one, 1, 5, 64) == 1);
	WqPlanItem mixed[3] = { { 64, 0, 5, 0 }, { 0, 3, 3, 0 }, { 64, 5, 9, 0 } };
	CHECK(plan(mixed, 3, 10, 64) == 1);
}

/* a chain reuses two buffers; all alive at once lie side by side */
TEST(plain_cases)
{
	WqPlanItem chain[100], all[100];
	for (int i = 0; i < 100; i++) {
		chain[i] = (WqPlanItem){ 640, i, i + 1, 0 };
		all[i] = (WqPlanItem){ 64 * (i + 1), i, 200, 0 };
	}
	CHECK(plan(chain, 100, 101, 64) == 1);
	CHECK(plan(all, 100, 201, 64) == 1);
}

/* Cases where packing by size alone, or by time alone, wastes memory, and an exact plan exists. */
TEST(hard_cases)
{
	/* a block of 4 between two of 2 that must lie apart from it and together */
	WqPlanItem split[] = { { 2, 0, 2, 0 }, { 2, 1, 4, 0 }, { 4, 3, 6, 0 }, { 2, 5, 8, 0 }, { 2, 5, 8, 0 } };
	CHECK(plan(split, WQ_COUNTOF(split), 9, 1) <= 1.34);
	/* the brick pattern: each row must be entered at the right height */
	WqPlanItem brick[] = { { 3, 0, 1, 0 }, { 3, 0, 3, 0 }, { 3, 2, 5, 0 }, { 3, 4, 7, 0 }, { 3, 6, 7, 0 }, { 2, 0, 7, 0 } };
	CHECK(plan(brick, WQ_COUNTOF(brick), 8, 1) == 1);
	/* U-Net: what the way down keeps for the way up is alive around everything deeper */
	WqPlanItem unet[40];
	int n = 0, depth = 9;
	for (int d = 0; d < depth; d++) {
		unet[n++] = (WqPlanItem){ 1 << (20 - d), 2 * d, 4 * depth - 2 * d, 0 };
		unet[n++] = (WqPlanItem){ 3 << (18 - d), 2 * d + 1, 2 * d + 2, 0 };
		unet[n++] = (WqPlanItem){ 1 << (20 - d), 4 * depth - 2 * d - 1, 4 * depth - 2 * d + 1, 0 };
		unet[n++] = (WqPlanItem){ 5 << (16 - d), 4 * depth - 2 * d, 4 * depth - 2 * d + 2, 0 };
	}
	CHECK(plan(unet, n, 4 * depth + 3, 64) <= 1.05);
}

/* Dense blocks (each layer reads all before), residual towers, branches of different width. */
TEST(networks)
{
	enum { N = 600 };
	static WqPlanItem item[N];
	int n = 0;
	for (int block = 0; block < 4; block++)
		for (int i = 0; i < 24; i++)
			item[n++] = (WqPlanItem){ (int64_t)(96 + 32 * i) * 3136 >> (2 * block), 30 * block + i, 30 * block + i + 1, 0 };
	for (int block = 0; block < 4; block++)
		item[n++] = (WqPlanItem){ (int64_t)864 * 3136 >> (2 * block), 30 * block, 30 * block + 25, 0 };
	double dense = plan(item, n, 200, 64);
	n = 0;
	for (int i = 0; i < 50; i++) {
		int64_t unit = (int64_t)802816 >> (i / 12);
		item[n++] = (WqPlanItem){ 4 * unit, 4 * i, 4 * i + 4, 0 };
		item[n++] = (WqPlanItem){ unit, 4 * i + 1, 4 * i + 2, 0 };
		item[n++] = (WqPlanItem){ unit, 4 * i + 2, 4 * i + 3, 0 };
		item[n++] = (WqPlanItem){ 4 * unit, 4 * i + 3, 4 * i + 4, 0 };
	}
	double residual = plan(item, n, 300, 64);
	state = 7;
	n = 0;
	for (int i = 0; i < 60; i++)
		for (int branch = 0; branch < 6; branch++) {
			int from = 10 * i + branch, until = branch == 5 ? 10 * i + 10 : 10 * i + 1 + roll(9);
			item[n++] = (WqPlanItem){ 1024 * (1 + roll(64)), from, until < from ? from : until, 0 };
		}
	double branches = plan(item, n, 700, 64);
	printf("networks: dense %.3f, residual %.3f, branches %.3f of the live bytes\n", dense, residual, branches);
	CHECK(dense <= 1.001);
	CHECK(residual <= 1.001);
	CHECK(branches <= 1.1);
}

/* Small ones of all kinds, many; sizes that repeat, and alignments. */
TEST(random_intervals)
{
	static WqPlanItem item[400];
	double sum = 0, worst = 0;
	int cases = 0;
	state = 1;
	for (int c = 0; c < 120; c++) {
		int n = 1 + roll(400), steps = 2 + roll(200), longest = 1 + roll(c % 3 ? 8 : steps);
		fill(item, n, steps, longest, c % 2 ? 100000 : 4);
		double ratio = plan(item, n, steps, 1);
		sum += ratio;
		worst = ratio > worst ? ratio : worst;
		cases++;
		plan(item, n, steps, 1 << roll(8));
	}
	printf("random: %d plans, mean %.3f, worst %.3f of the live bytes\n", cases, sum / cases, worst);
	CHECK(sum / cases <= 1.05);
	CHECK(worst <= 1.34);
}

/* Large graphs: the time is bounded, whatever the overlaps. */
TEST(large)
{
	enum { N = 20000, LIMIT = 20 };
	static WqPlanItem item[N];
	static const int longest[] = { 4, 40, 400, N };
	for (int c = 0; c < WQ_COUNTOF(longest); c++) {
		state = 3;
		fill(item, N, N, longest[c], 1 << 20);
		clock_t from = clock();
		double ratio = plan(item, N, N, 64), took = seconds_since(from) / 2;
		printf("%d items alive for up to %d steps: %.3f of the live bytes, %.0f ms\n", N, longest[c], ratio, took * 1e3);
		CHECK_MSG(took < LIMIT, "%.1f seconds", took);
	}
	fill(item, 3000, 3000, 12, 1 << 20);
	clock_t from = clock();
	plan(item, 3000, 3000, 64);
	printf("3000 items: %.1f ms\n", seconds_since(from) / 2 * 1e3);
	for (int i = 0; i < N; i++)
		item[i] = (WqPlanItem){ 100, i / 2, N, 0 };
	CHECK(plan(item, N, N + 1, 64) < 1.29); /* 128 of 100 bytes: the alignment's */
}

TEST(too_large)
{
	WqPlanItem huge[2] = { { INT64_MAX / 2, 0, 1, 0 }, { INT64_MAX / 2 + 10, 0, 1, 0 } };
	int64_t live;
	WqArena *a = wq_arena_new();
	CHECK_ERROR(WQ_EINPUT, "arena", wq_plan(huge, 2, 64, &live, a));
	wq_arena_free(a);
}

TEST_MAIN(TEST_RUN(nothing) TEST_RUN(plain_cases) TEST_RUN(hard_cases) TEST_RUN(networks) TEST_RUN(random_intervals) TEST_RUN(large)
	  TEST_RUN(too_large))
