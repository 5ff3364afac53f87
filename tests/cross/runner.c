/* runner.c: runs the model that it is linked with once: inputs from in.bin, outputs to out.bin (cli/cross.c writes and
 * reads them).
 *
 *   in.bin   i64 number of sizes, the inputs' sizes; then for each input: i64 bytes, data, zeros up to a multiple of 8;
 *            i64 bytes of weights (0: those in the model), weights
 *   out.bin  i64 WQRT code, i64 what is wrong (a Wrong), i64 bytes of stack used, i64 bytes promised, i64 number of
 * sizes, the outputs' sizes; then, if the code is 0, for each output: i64 bytes, data, zeros up to a multiple of 8
 *
 * Everything lies between guard bytes. Inputs and outputs are aligned to their elements and to nothing more; the arena
 * is full of NaN.
 */
#include "io.h"
#include "wqrt.h"

enum { GUARD = 64, MAX_PORTS = 256, MAX_DIMS = 4096, SPARE = 256 };
enum Wrong { WROTE_OUTSIDE = 1, WROTE_INPUT = 2 };

extern const wqrt_model model_model;

typedef struct Buffer {
	unsigned char *p;
	size_t n;
	uint32_t sum;
} Buffer;

static unsigned char *heap;
static size_t heap_left;
static Buffer buffer[2 * MAX_PORTS + 2];
static int n_buffers, n_constant; /* the latter: the first ones, which the model must not change */

static void fill(unsigned char *p, size_t n, int byte)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)byte;
}

static uint32_t checksum(const unsigned char *p, size_t n)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

/* n bytes at a multiple of align plus `off`, guarded. */
static Buffer *allocate(size_t n, size_t align, size_t off)
{
	size_t skip = GUARD + (align - ((uintptr_t)heap + GUARD) % align) % align + off, all = skip + n + GUARD;
	if (n > heap_left || all > heap_left || n_buffers == sizeof buffer / sizeof *buffer)
		io_fail("the model's buffers do not fit into this machine's memory");
	Buffer *b = &buffer[n_buffers++];
	b->p = heap + skip;
	b->n = n;
	fill(b->p - GUARD, GUARD, 0xa5);
	fill(b->p + n, GUARD, 0x5a);
	heap += all;
	heap_left -= all;
	return b;
}

static int guards_whole(const Buffer *b)
{
	for (int i = 1; i <= GUARD; i++)
		if (b->p[-i] != 0xa5 || b->p[b->n + (size_t)i - 1] != 0x5a)
			return 0;
	return 1;
}

static size_t element_bytes(int32_t dtype)
{
	static const unsigned char size[] = { [1] = 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 8, 16, 2 };
	return (size_t)dtype < sizeof size ? size[dtype] : 1;
}

static int64_t read64(void)
{
	int64_t v;
	io_read(&v, sizeof v);
	return v;
}

static void write64(int64_t v) { io_write(&v, sizeof v); }

/* ---- stack: painted below the caller, looked at afterwards --------------------------------------------------- */

static unsigned char *stack_top; /* of what is painted */
static size_t painted;

static __attribute__((noinline)) void paint_stack(size_t want)
{
	size_t n;
	unsigned char *low = io_stack(&n), *here = __builtin_frame_address(0);
	if (!low)
		return;
	stack_top = here - SPARE;
	painted = (size_t)(stack_top - low);
	if (painted > want)
		painted = want;
	for (size_t i = 1; i <= painted; i++)
		((volatile unsigned char *)stack_top)[-(ptrdiff_t)i] = 0xc3;
}

static __attribute__((noinline)) size_t stack_used(void)
{
	size_t i = painted;
	while (i && ((volatile unsigned char *)stack_top)[-(ptrdiff_t)i] == 0xc3)
		i--;
	return i ? i + SPARE : 0;
}

/* ---- one call -------------------------------------------------------------------------------------------------------
 */

static int64_t in_dims[MAX_DIMS], out_dims[MAX_DIMS];
static const void *in[MAX_PORTS];
static void *out[MAX_PORTS];

static const void *weights;

static const void *read_buffer(size_t bytes, size_t off)
{
	Buffer *b = allocate(bytes, 64, off);
	io_read(b->p, bytes);
	b->sum = checksum(b->p, bytes);
	n_constant = n_buffers;
	return b->p;
}

static void read_inputs(const wqrt_model *m)
{
	int64_t n = read64();
	if (n > MAX_DIMS || m->n_in > MAX_PORTS || m->n_out > MAX_PORTS)
		io_fail("more inputs or outputs than the runner takes");
	for (int64_t i = 0; i < n; i++)
		in_dims[i] = read64();
	for (int i = 0; i < m->n_in; i++) {
		unsigned char pad[8];
		size_t bytes = (size_t)read64();
		in[i] = read_buffer(bytes, element_bytes(m->in[i].dtype));
		io_read(pad, -bytes % 8);
	}
	size_t bytes = (size_t)read64();
	if (bytes && bytes != m->weights_bytes)
		io_fail("the weights are not this model's");
	if (bytes)
		weights = read_buffer(bytes, 0);
}

static void write_outputs(const wqrt_model *m)
{
	const int64_t *dim = out_dims;
	for (int i = 0; i < m->n_out; dim += m->out[i++].rank) {
		uint64_t bytes = element_bytes(m->out[i].dtype);
		for (int k = 0; k < m->out[i].rank; k++)
			bytes *= (uint64_t)dim[k];
		if (bytes > (uint64_t)m->out[i].max_bytes)
			io_fail("an output is larger than the model says");
		write64((int64_t)bytes);
		io_write(out[i], (size_t)bytes);
		io_write("\0\0\0\0\0\0\0", (size_t)(-bytes % 8));
	}
}

static int check_buffers(void)
{
	int wrong = 0;
	for (int i = 0; i < n_buffers; i++) {
		if (!guards_whole(&buffer[i]))
			wrong |= WROTE_OUTSIDE;
		if (i < n_constant && checksum(buffer[i].p, buffer[i].n) != buffer[i].sum)
			wrong |= WROTE_INPUT;
	}
	return wrong;
}

int runner(void)
{
	const wqrt_model *m = &model_model;
	if (m->version != WQRT_VERSION)
		io_fail("the model is of another version of wqrt.h");
	io_open();
	heap = io_heap(&heap_left);
	read_inputs(m);
	int n_dims = 0;
	for (int i = 0; i < m->n_out; i++) {
		Buffer *b = allocate((size_t)m->out[i].max_bytes, 64, element_bytes(m->out[i].dtype));
		fill(b->p, b->n, 0xff);
		out[i] = b->p;
		n_dims += m->out[i].rank;
	}
	if (n_dims > MAX_DIMS)
		io_fail("more inputs or outputs than the runner takes");
	Buffer *arena = allocate((size_t)m->arena_bytes, m->arena_align > 64 ? (size_t)m->arena_align : 64, 0);
	fill(arena->p, arena->n, 0xff);
	wqrt_call call = {
		.arena = arena->p, .weights = weights, .in = in, .in_dims = in_dims, .out = out, .out_dims = out_dims
	};
	paint_stack((size_t)m->stack_bytes + 65536);
	int32_t code = m->call(&call);
	size_t used = stack_used();
	write64(code);
	write64(check_buffers());
	write64((int64_t)used);
	write64((int64_t)m->stack_bytes);
	write64(n_dims);
	io_write(out_dims, (size_t)n_dims * sizeof *out_dims);
	if (code == WQRT_OK)
		write_outputs(m);
	return 0;
}
