/* object_file.c: an object as a file, whatever its format. */
#include "codegen/object_file.h"

bool wq_is_wasm(const void *code, size_t n) { return n > 8 && !memcmp(code, "\0asm", 4); }

int64_t wq_object_bytes(const WqObject *o, WqArena *a) { return wq_is_wasm(o->code, o->n) ? wq_wasm_bytes(o, a) : wq_elf_bytes(o, a); }

void wq_object_write(const WqObject *o, WqSink *sink, void *arg, WqArena *a)
{
	(wq_is_wasm(o->code, o->n) ? wq_wasm_write : wq_elf_write)(o, sink, arg, a);
}

void wq_object_symbols(const WqObject *o, void (*fn)(void *arg, const char *name), void *arg)
{
	(wq_is_wasm(o->code, o->n) ? wq_wasm_symbols : wq_elf_symbols)(o, fn, arg);
}

static void program_weights(const void *from, WqSink *sink, void *arg) { wq_program_weights(from, sink, arg); }

WqObject wq_program_object(WqProgram *p, const char *name)
{
	WqObject o = {.name = name};
	if (!cg_optimized(p->cg))
		cg_optimize(p->cg, p->o.level, p->o.size);
	o.code = cg_emit(p->cg, CG_OBJECT, &o.n);
	if (p->o.weights_inside) {
		WqBlob *b = WQ_NEW(p->a, WqBlob);
		*b = (WqBlob){wq_sprintf(p->a, "%s_weights_data", p->o.symbol), p->weights_bytes, program_weights, p};
		o.blob = b;
	}
	return o;
}

void wq_file_sink(void *file, const void *p, size_t n) { wq_file_write(file, p, n); }
