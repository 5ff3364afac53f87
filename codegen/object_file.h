/* object_file.h: objects as files. LLVM makes the code; what is large is added here, so that it never passes through LLVM or memory. */
#ifndef WQ_OBJECT_FILE_H
#define WQ_OBJECT_FILE_H

#include "codegen/codegen.h"

typedef void WqSink(void *arg, const void *p, size_t n);

/* Read-only data to be added to an object: it defines `symbol`, which the code refers to, aligned to 64. */
typedef struct WqBlob {
	const char *symbol;
	int64_t bytes;
	void (*write)(const void *from, WqSink *sink, void *arg); /* gives exactly `bytes` */
	const void *from;
} WqBlob;

/* An object to be written: LLVM's bytes and, if not NULL, a blob. */
typedef struct WqObject {
	const char *name; /* "model.o": in an archive */
	const void *code;
	size_t n;
	const WqBlob *blob;
} WqObject;

/* A program's object; its weights are the blob if they belong inside. Optimises the code if nobody has; sets p->stack_bytes. */
WqObject wq_program_object(WqProgram *p, const char *name);
/* The program as text: CG_ASSEMBLY or CG_LLVM. Weights are not in it: <symbol>_weights_data is undefined there. */
const char *wq_program_text(WqProgram *p, int what);

/* For sinks that write to a WqFileOut (the argument). */
void wq_file_sink(void *file, const void *p, size_t n);

/* What the object takes of flash: code, tables, and the blob. Of a WebAssembly object: all of it. */
int64_t wq_object_flash(const WqObject *o, WqArena *a);
int64_t wq_object_bytes(const WqObject *o, WqArena *a);
void wq_object_write(const WqObject *o, WqSink *sink, void *arg, WqArena *a);
/* Calls fn with each global symbol that the object defines. */
void wq_object_symbols(const WqObject *o, void (*fn)(void *arg, const char *name), void *arg);

/* A static library (GNU ar) of n objects. */
void wq_archive_write(const WqObject *o, int n, WqSink *sink, void *arg, WqArena *a);

/* ---- the formats (object_elf.c, object_wasm.c) ------------------------------------------------------ */

bool wq_is_wasm(const void *code, size_t n);
int64_t wq_elf_flash(const WqObject *o);
int64_t wq_elf_bytes(const WqObject *o, WqArena *a);
void wq_elf_write(const WqObject *o, WqSink *sink, void *arg, WqArena *a);
void wq_elf_symbols(const WqObject *o, void (*fn)(void *arg, const char *name), void *arg);
/* Calls fn with each function's name and instructions. */
void wq_elf_functions(const void *code, size_t n, void (*fn)(void *arg, const char *name, const uint8_t *p, size_t n), void *arg);
int64_t wq_wasm_bytes(const WqObject *o, WqArena *a);
void wq_wasm_write(const WqObject *o, WqSink *sink, void *arg, WqArena *a);
void wq_wasm_symbols(const WqObject *o, void (*fn)(void *arg, const char *name), void *arg);

#endif
