/* cg_stack_riscv.c: the part of RISC-V frames that grows with the vector registers. LLVM does not tell it, so it is read from the code: a frame
 * with vectors in it takes a multiple of vlenb from sp, by one of
 *
 *   csrr t, vlenb; slli t, t, K; sub sp, sp, t       or with li and mul, or shNadd, or additions, for what is no power of two
 */
#include "codegen/cg_impl.h"
#include "codegen/object_file.h"

enum { SP = 2, REGS = 32 };

/* What registers hold, as far as it is known: vlenb[r] times the vector's bytes, and a number. */
typedef struct Regs {
	uint64_t vlenb[REGS], number[REGS]; /* they wrap, as registers do */
	uint64_t taken;                     /* the most that was subtracted from sp */
} Regs;

static void set(Regs *s, uint32_t r, uint64_t vlenb, uint64_t number)
{
	if (r == 0)
		return;
	s->vlenb[r] = vlenb;
	s->number[r] = number;
}

static void shift(Regs *s, uint32_t rd, uint32_t rs, uint32_t by)
{
	set(s, rd, s->vlenb[rs] << by, s->number[rs] << by);
}

static void add(Regs *s, uint32_t rd, uint32_t a, uint32_t b)
{
	set(s, rd, s->vlenb[a] + s->vlenb[b], s->number[a] + s->number[b]);
}

static void subtract(Regs *s, uint32_t rd, uint32_t a, uint32_t b)
{
	if (rd == SP && a == SP && s->vlenb[b] > s->taken)
		s->taken = s->vlenb[b];
	set(s, rd, s->vlenb[a] - s->vlenb[b], s->number[a] - s->number[b]);
}

static void shift_and_add(Regs *s, uint32_t rd, uint32_t a, uint32_t b, uint32_t by)
{
	set(s, rd, s->vlenb[b] + s->vlenb[a] * (1u << by), s->number[b] + s->number[a] * (1u << by));
}

static void register_op(Regs *s, uint32_t i, uint32_t rd, uint32_t a, uint32_t b)
{
	uint32_t what = i >> 25 << 3 | (i >> 12 & 7);
	switch (what) {
	case 0x00 << 3: add(s, rd, a, b); break;
	case 0x20 << 3: subtract(s, rd, a, b); break;
	case 0x01 << 3: set(s, rd, s->vlenb[a] * s->number[b] + s->number[a] * s->vlenb[b], s->number[a] * s->number[b]); break;
	case 0x10 << 3 | 2: shift_and_add(s, rd, a, b, 1); break;
	case 0x10 << 3 | 4: shift_and_add(s, rd, a, b, 2); break;
	case 0x10 << 3 | 6: shift_and_add(s, rd, a, b, 3); break;
	default: set(s, rd, 0, 0);
	}
}

static void long_one(Regs *s, uint32_t i)
{
	uint32_t rd = i >> 7 & 31, a = i >> 15 & 31, b = i >> 20 & 31;
	uint64_t imm = (uint64_t)((int32_t)i >> 20);
	if ((i & 0xfffff07f) == 0xc2202073)
		set(s, rd, 1, 0);
	else if ((i & 0x707f) == 0x0013)
		set(s, rd, s->vlenb[a], s->number[a] + imm);
	else if ((i & 0xfc00707f) == 0x1013)
		shift(s, rd, a, i >> 20 & 63);
	else if ((i & 0x7f) == 0x37)
		set(s, rd, 0, (uint64_t)(int32_t)(i & 0xfffff000));
	else if ((i & 0x7f) == 0x33)
		register_op(s, i, rd, a, b);
}

/* Compressed: li, slli, mv, add; sub between x8 and x15. */
static void short_one(Regs *s, uint32_t i)
{
	uint32_t rd = i >> 7 & 31, b = i >> 2 & 31, low = (i >> 7 & 7) + 8, low_b = (i >> 2 & 7) + 8;
	uint32_t six = (i >> 7 & 32) | b;
	if ((i & 0xe003) == 0x4001)
		set(s, rd, 0, six & 32 ? (uint64_t)six - 64 : six);
	else if ((i & 0xe003) == 0x0002)
		shift(s, rd, rd, six);
	else if ((i & 0xf003) == 0x8002 && b)
		set(s, rd, s->vlenb[b], s->number[b]);
	else if ((i & 0xf003) == 0x9002 && b)
		add(s, rd, rd, b);
	else if ((i & 0xfc63) == 0x8c01)
		subtract(s, low, low, low_b);
}

static void scan(void *arg, const char *name, const uint8_t *p, size_t n)
{
	Regs s = {.taken = 0};
	for (size_t i = 0; i + 2 <= n;) {
		uint32_t w = (uint32_t)p[i] | (uint32_t)p[i + 1] << 8;
		bool wide = (w & 3) == 3 && i + 4 <= n;
		if (wide)
			long_one(&s, w | (uint32_t)p[i + 2] << 16 | (uint32_t)p[i + 3] << 24);
		else
			short_one(&s, w);
		i += wide ? 4 : 2;
	}
	Cg *c = arg;
	if (s.taken)
		cg_grow_frame(c, name, (int64_t)s.taken * c->t->vector_bytes);
}

void cg_note_vector_frames(Cg *c, const void *code, size_t n) { wq_elf_functions(code, n, scan, c); }
