/* object_file.c: an object as a file, whatever its format. */
#include "codegen/export.h"
#include "codegen/object_file.h"

bool wq_is_wasm(const void *code, size_t n) { return n > 8 && !memcmp(code, "\0asm", 4); }

int64_t wq_object_bytes(const WqObject *o, WqArena *a) { return wq_is_wasm(o->code, o->n) ? wq_wasm_bytes(o, a) : wq_elf_bytes(o, a); }

int64_t wq_object_flash(const WqObject *o, WqArena *a) { return wq_is_wasm(o->code, o->n) ? wq_wasm_bytes(o, a) : wq_elf_flash(o); }

void wq_object_write(const WqObject *o, WqSink *sink, void *arg, WqArena *a)
{
	(wq_is_wasm(o->code, o->n) ? wq_wasm_write : wq_elf_write)(o, sink, arg, a);
}

void wq_object_symbols(const WqObject *o, void (*fn)(void *arg, const char *name), void *arg)
{
	(wq_is_wasm(o->code, o->n) ? wq_wasm_symbols : wq_elf_symbols)(o, fn, arg);
}

static void program_weights(const void *from, WqSink *sink, void *arg) { wq_program_weights(from, sink, arg); }

/* The descriptor's place for the stack's size gets it. */
static void tell_stack(const WqProgram *p, uint8_t *code, size_t n)
{
	const uint64_t mark = WQ_STACK_MARK;
	for (size_t i = 0; i + sizeof mark <= n; i++) {
		if (memcmp(code + i, &mark, sizeof mark) != 0)
			continue;
		memcpy(code + i, &p->stack_bytes, sizeof mark);
		return;
	}
}

WqObject wq_program_object(WqProgram *p, const char *name)
{
	WqObject o = {.name = name};
	if (!cg_optimized(p->cg))
		cg_optimize(p->cg, p->o.level, p->o.size);
	uint8_t *code = cg_emit(p->cg, CG_OBJECT, &o.n);
	p->stack_bytes = cg_stack_bytes(p->cg);
	tell_stack(p, code, o.n);
	o.code = code;
	if (p->o.weights_inside) {
		WqBlob *b = WQ_NEW(p->a, WqBlob);
		*b = (WqBlob){wq_sprintf(p->a, "%s_weights_data", p->o.symbol), p->weights_bytes, program_weights, p};
		o.blob = b;
	}
	return o;
}

/* The same in text, where the number is written out. */
static const char *tell_stack_in_text(const WqProgram *p, const char *text, WqArena *a)
{
	char mark[32];
	snprintf(mark, sizeof mark, "%lld", (long long)WQ_STACK_MARK);
	const char *at = strstr(text, mark);
	if (!at)
		return text;
	return wq_sprintf(a, "%.*s%lld%s", (int)(at - text), text, (long long)p->stack_bytes, at + strlen(mark));
}

const char *wq_program_text(WqProgram *p, int what)
{
	size_t n;
	if (!cg_optimized(p->cg))
		cg_optimize(p->cg, p->o.level, p->o.size);
	const char *text = cg_emit(p->cg, what, &n);
	cg_emit(p->cg, CG_OBJECT, &n); /* for its frames */
	p->stack_bytes = cg_stack_bytes(p->cg);
	return tell_stack_in_text(p, text, p->a);
}

void wq_file_sink(void *file, const void *p, size_t n) { wq_file_write(file, p, n); }
