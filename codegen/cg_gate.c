/* cg_gate.c: which features an intrinsic needs. LLVM aborts when it cannot select an instruction, so we ask first. */
#include "codegen/cg_impl.h"

typedef struct Gate {
	const char *prefix, *needs; /* all of them, by spaces; a|b: either */
} Gate;

/* The first prefix that matches counts. */
static const Gate gates[] = {
	{"llvm.x86.avx512.vpdpbusd.512", "avx512vnni"},
	{"llvm.x86.avx512.vpdpbusds.512", "avx512vnni"},
	{"llvm.x86.avx512.vpdpwssd.512", "avx512vnni"},
	{"llvm.x86.avx512.vpdpwssds.512", "avx512vnni"},
	{"llvm.x86.avx512.vpdp", "avx512vnni|avxvnni avx512vl|avxvnni"},
	{"llvm.x86.avx512.permvar.qi.512", "avx512vbmi"},
	{"llvm.x86.avx512.vpermi2var.qi.512", "avx512vbmi"},
	{"llvm.x86.avx512.permvar.qi", "avx512vbmi avx512vl"},
	{"llvm.x86.avx512.vpermi2var.qi", "avx512vbmi avx512vl"},
	{"llvm.x86.avx512.pmultishift.qb", "avx512vbmi"},
	{"llvm.x86.avx512.vpmadd52", "avx512ifma"},
	{"llvm.x86.avx512.permvar.hi", "avx512bw"},
	{"llvm.x86.avx512.vpermi2var.hi", "avx512bw"},
	{"llvm.x86.avx512.pshuf.b", "avx512bw"},
	{"llvm.x86.avx512.pmadd", "avx512bw"},
	{"llvm.x86.avx512.pmul", "avx512bw"},
	{"llvm.x86.avx512.psad", "avx512bw"},
	{"llvm.x86.avx512.pack", "avx512bw"},
	{"llvm.x86.avx512bf16.", "avx512bf16"},
	{"llvm.x86.avx512fp16.", "avx512fp16"},
	{"llvm.x86.avx512.", "avx512f"},
	{"llvm.x86.vgf2p8", "gfni"},
	{"llvm.x86.fma.", "fma"},
	{"llvm.x86.vcvtps2ph", "f16c"},
	{"llvm.x86.bmi.", "bmi2"},
	{"llvm.x86.avx2.vpdp", "avxvnniint8|avxvnniint16"},
	{"llvm.x86.avx2.", "avx2"},
	{"llvm.x86.avx.", "avx"},
	{"llvm.x86.sse42.", "sse4.2"},
	{"llvm.x86.sse41.", "sse4.1"},
	{"llvm.x86.ssse3.", "ssse3"},
	{"llvm.x86.sse3.", "sse3"},
	{"llvm.x86.sse", ""},
	{"llvm.aarch64.neon.sdot", "dotprod"},
	{"llvm.aarch64.neon.udot", "dotprod"},
	{"llvm.aarch64.neon.smmla", "i8mm"},
	{"llvm.aarch64.neon.ummla", "i8mm"},
	{"llvm.aarch64.neon.usmmla", "i8mm"},
	{"llvm.aarch64.neon.usdot", "i8mm"},
	{"llvm.aarch64.neon.bf", "bf16"},
	{"llvm.aarch64.neon.", "neon"},
	{"llvm.aarch64.sve.", "sve"},
	{"llvm.arm.neon.sdot", "dotprod"},
	{"llvm.arm.neon.udot", "dotprod"},
	{"llvm.arm.neon.", "neon"},
	{"llvm.arm.mve.vmulh", "mve"},
	{"llvm.arm.mve.", "mve"},
	{"llvm.arm.sml", "dsp"},
	{"llvm.arm.smu", "dsp"},
	{"llvm.arm.sxtb16", "dsp"},
	{"llvm.arm.uxtb16", "dsp"},
	{"llvm.arm.sxtab16", "dsp"},
	{"llvm.arm.uxtab16", "dsp"},
	{"llvm.arm.ssat16", "dsp"},
	{"llvm.arm.usat16", "dsp"},
	{"llvm.arm.ssat", "thumb2"},
	{"llvm.arm.usat", "thumb2"},
	{"llvm.arm.qadd", "dsp"},
	{"llvm.arm.qsub", "dsp"},
	{"llvm.arm.sadd", "dsp"},
	{"llvm.arm.uadd", "dsp"},
	{"llvm.arm.ssub", "dsp"},
	{"llvm.arm.usub", "dsp"},
	{"llvm.riscv.", "v"},
	{"llvm.wasm.relaxed.", "relaxed-simd"},
	{"llvm.wasm.", "simd128"},
};

static const char *prefix_of(WqFamily f)
{
	switch (f) {
	case WQ_X86: return "llvm.x86.";
	case WQ_AARCH64: return "llvm.aarch64.";
	case WQ_RISCV: return "llvm.riscv.";
	case WQ_WASM: return "llvm.wasm.";
	default: return "llvm.arm.";
	}
}

/* Is any of "a|b" there? */
static bool has_any(const WqTarget *t, const char *names, size_t n)
{
	char one[32];
	for (size_t i = 0, len; i < n; i += len + 1) {
		len = strcspn(names + i, "| ");
		WQ_ASSERT(len < sizeof one);
		memcpy(one, names + i, len);
		one[len] = 0;
		if (wq_target_has(t, one))
			return true;
	}
	return false;
}

static void need(const WqTarget *t, const char *name, const char *needs)
{
	while (*needs) {
		size_t n = strcspn(needs, " ");
		if (!has_any(t, needs, n))
			wq_fail(WQ_EUNSUPPORTED, "%s (CPU %s) lacks %.*s, which %s needs", t->name, t->cpu, (int)n, needs, name);
		needs += n + (needs[n] == ' ');
	}
}

/* llvm.x86. and so on: names with a CPU in them. */
static bool is_of_a_cpu(const char *name)
{
	static const WqFamily all[] = {WQ_X86, WQ_AARCH64, WQ_ARM, WQ_RISCV, WQ_WASM};
	for (int i = 0; i < WQ_COUNTOF(all); i++)
		if (!strncmp(name, prefix_of(all[i]), strlen(prefix_of(all[i]))))
			return true;
	return false;
}

void cg_need_intrinsic(const WqTarget *t, const char *name)
{
	const char *own = prefix_of(t->family);
	if (!is_of_a_cpu(name))
		return;
	if (strncmp(name, own, strlen(own)) != 0)
		wq_fail(WQ_EUNSUPPORTED, "%s has no %s", t->name, name);
	for (int i = 0; i < WQ_COUNTOF(gates); i++) {
		if (!strncmp(name, gates[i].prefix, strlen(gates[i].prefix))) {
			need(t, name, gates[i].needs);
			return;
		}
	}
	WQ_BUG("%s: unknown what it needs (gates in cg_gate.c)", name);
}
