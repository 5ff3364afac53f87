/* softfloat.h: binary floating point in integers, for one format; softfloat.c includes this once for each.
 *
 * Before: FLOAT, BITS (an unsigned integer of its size), WIDTH (of BITS), FRAC (bits of the stored fraction), N(x) (x's
 * name in this format). All of them are undefined at the end.
 *
 * A finite number is taken apart into sign, biased exponent and a significand with its leading bit at FRAC, then GUARD
 * bits below: two for rounding and one that is set when anything lower is. Results round to nearest, halves to even;
 * subnormals are kept; a NaN that comes in goes out quiet, one that arises is positive and quiet (what arises on the
 * CPU differs among CPUs).
 */
#define GUARD 3
#define EXP_BITS (WIDTH - 1 - FRAC)
#define EXP_MAX ((1 << EXP_BITS) - 1)
#define BIAS (EXP_MAX / 2)
#define ONE ((BITS)1)
#define SIGN_BIT (ONE << (WIDTH - 1))
#define HIDDEN (ONE << FRAC)
#define INFINITE ((BITS)EXP_MAX << FRAC)
#define QUIET (HIDDEN >> 1)
#define LEAD (HIDDEN << GUARD)

static inline BITS N(bits)(FLOAT f)
{
	union {
		FLOAT f;
		BITS b;
	} u = { f };
	return u.b;
}

static inline FLOAT N(value)(BITS b)
{
	union {
		BITS b;
		FLOAT f;
	} u = { b };
	return u.f;
}

static inline bool N(is_nan)(BITS b) { return (b & ~SIGN_BIT) > INFINITE; }

static inline int N(zeros)(BITS v) { return zeros64(v) - (64 - WIDTH); }

/* v / 2^by, the lowest bit telling whether anything was lost. */
static inline BITS N(shift_sticky)(BITS v, int by)
{
	if (by == 0)
		return v;
	if (by >= WIDTH)
		return v != 0;
	return v >> by | ((v << (WIDTH - by)) != 0);
}

/* The exponent of a finite, non-zero number; *sig gets its leading bit at FRAC. */
static inline int N(normal)(BITS magnitude, BITS *sig)
{
	int e = (int)(magnitude >> FRAC);
	*sig = magnitude & (HIDDEN - 1);
	if (e) {
		*sig |= HIDDEN;
		return e;
	}
	int up = N(zeros)(*sig) - EXP_BITS;
	*sig <<= up;
	return 1 - up;
}

/* sig has its leading bit at FRAC + GUARD, or lower where e is 1. */
static BITS N(round)(BITS sign, int e, BITS sig)
{
	if (e >= EXP_MAX)
		return sign | INFINITE;
	if (e < 1) {
		sig = N(shift_sticky)(sig, 1 - e);
		e = 1;
	}
	BITS half = ONE << (GUARD - 1), rest = sig & (2 * half - 1);
	sig >>= GUARD;
	if (rest > half || (rest == half && (sig & 1)))
		sig++;
	/* The leading bit, where there is one, adds 1 to the exponent; a carry out of the fraction does as well, up to
	 * infinity. */
	return sign | (((BITS)(e - 1) << FRAC) + sig);
}

static BITS N(nan_of)(BITS a, BITS b) { return N(is_nan)(a) ? a | QUIET : N(is_nan)(b) ? b | QUIET : INFINITE | QUIET; }

static BITS N(add_bits)(BITS a, BITS b)
{
	if ((a & ~SIGN_BIT) < (b & ~SIGN_BIT)) {
		BITS t = a;
		a = b;
		b = t;
	}
	BITS sign = a & SIGN_BIT, ma = a & ~SIGN_BIT, mb = b & ~SIGN_BIT;
	bool subtract = (a ^ b) & SIGN_BIT;
	if (ma >= INFINITE)
		return N(is_nan)(a) || N(is_nan)(b) || (mb == INFINITE && subtract) ? N(nan_of)(a, b) : a;
	int ea = (int)(ma >> FRAC), eb = (int)(mb >> FRAC);
	BITS sa = ((ma & (HIDDEN - 1)) | (ea ? HIDDEN : 0)) << GUARD, sb = ((mb & (HIDDEN - 1)) | (eb ? HIDDEN : 0))
									   << GUARD;
	ea += !ea;
	eb += !eb;
	sb = N(shift_sticky)(sb, ea - eb);
	if (!subtract) {
		sa += sb;
		if (sa >= 2 * LEAD) {
			sa = N(shift_sticky)(sa, 1);
			ea++;
		}
		return N(round)(sign, ea, sa);
	}
	sa -= sb;
	if (!sa)
		return 0;
	int up = N(zeros)(sa) - (EXP_BITS - GUARD);
	if (up > ea - 1)
		up = ea - 1;
	/* NOLINTNEXTLINE(clang-analyzer-core.BitwiseShift): up is at most the number of leading zeros */
	return up > 0 ? N(round)(sign, ea - up, sa << up) : N(round)(sign, ea, sa);
}

static BITS N(mul_bits)(BITS a, BITS b)
{
	BITS sign = (a ^ b) & SIGN_BIT, ma = a & ~SIGN_BIT, mb = b & ~SIGN_BIT, sa, sb;
	if (ma >= INFINITE || mb >= INFINITE)
		return N(is_nan)(a) || N(is_nan)(b) || !ma || !mb ? N(nan_of)(a, b) : sign | INFINITE;
	if (!ma || !mb)
		return sign;
	int e = N(normal)(ma, &sa) + N(normal)(mb, &sb) - BIAS;
	/* One factor at the top of the word, the other so that the product's high word has its leading bit at FRAC +
	 * GUARD or one up. */
	BITS low, high = N(wide_product)(sa << EXP_BITS, sb << (GUARD + 1), &low);
	high |= low != 0;
	if (high >= 2 * LEAD) {
		high = N(shift_sticky)(high, 1);
		e++;
	}
	return N(round)(sign, e, high);
}

static BITS N(div_bits)(BITS a, BITS b)
{
	BITS sign = (a ^ b) & SIGN_BIT, ma = a & ~SIGN_BIT, mb = b & ~SIGN_BIT, sa, sb;
	if (ma >= INFINITE || mb >= INFINITE)
		return N(is_nan)(a) || N(is_nan)(b) || ma == mb ? N(nan_of)(a, b)
		       : ma == INFINITE                         ? sign | INFINITE
								: sign;
	if (!mb)
		return ma ? sign | INFINITE : N(nan_of)(a, b);
	if (!ma)
		return sign;
	int e = N(normal)(ma, &sa) - N(normal)(mb, &sb) + BIAS;
	if (sa < sb) {
		sa <<= 1;
		e--;
	}
	BITS q = 0;
	for (int i = 0; i < FRAC + GUARD; i++, sa <<= 1) {
		q <<= 1;
		if (sa >= sb) {
			sa -= sb;
			q |= 1;
		}
	}
	return N(round)(sign, e, q << 1 | (sa != 0));
}

static BITS N(sqrt_bits)(BITS a)
{
	BITS ma = a & ~SIGN_BIT, s;
	if (N(is_nan)(a) || (a & SIGN_BIT && ma))
		return N(nan_of)(a, a);
	if (!ma || ma == INFINITE)
		return a;
	int e = N(normal)(ma, &s) - BIAS;
	if (e & 1) {
		s <<= 1;
		e--;
	}
	/* Digit by digit, two of them below FRAC. Before the bit 2^(FRAC + 2 - k), rest is what the square of root
	 * leaves of s, times 2^k. */
	BITS root = 0, rest = s << (GUARD - 1);
	for (BITS bit = HIDDEN << (GUARD - 1); bit; bit >>= 1) {
		BITS t = 2 * root + bit;
		if (rest >= t) {
			rest -= t;
			root |= bit;
		}
		rest <<= 1;
	}
	return N(round)(0, e / 2 + BIAS, root << 1 | (rest != 0));
}

/* -1, 0, 1; 2 when one is a NaN. */
static int N(compare)(BITS a, BITS b)
{
	if (N(is_nan)(a) || N(is_nan)(b))
		return 2;
	if (a == b || !((a | b) & ~SIGN_BIT))
		return 0;
	if ((a ^ b) & SIGN_BIT)
		return a & SIGN_BIT ? -1 : 1;
	return (a < b) != (bool)(a & SIGN_BIT) ? -1 : 1;
}

static BITS N(from_integer)(bool negative, uint64_t v)
{
	if (!v)
		return 0;
	int top = 63 - zeros64(v), down = top - FRAC - GUARD;
	uint64_t sig = down <= 0 ? v << -down : v >> down | ((v << (64 - down)) != 0);
	return N(round)(negative ? SIGN_BIT : 0, BIAS + top, (BITS)sig);
}

/* Truncates; what is out of [lo, hi] becomes the nearer of them, a NaN 0. lo is 0 or -hi - 1. */
static uint64_t N(to_integer)(BITS b, bool sign, uint64_t hi)
{
	if (N(is_nan)(b))
		return 0;
	bool negative = b & SIGN_BIT;
	int e = (int)(b >> FRAC & EXP_MAX) - BIAS;
	if (e < 0 || (negative && !sign))
		return 0;
	uint64_t limit = hi + negative, v = (b & (HIDDEN - 1)) | HIDDEN;
	if (e > 63)
		v = limit;
	else
		v = e > FRAC ? v << (e - FRAC) : v >> (FRAC - e);
	if (v > limit)
		v = limit;
	return negative ? -v : v;
}

#undef FLOAT
#undef BITS
#undef WIDTH
#undef FRAC
#undef N
#undef GUARD
#undef EXP_BITS
#undef EXP_MAX
#undef BIAS
#undef ONE
#undef SIGN_BIT
#undef HIDDEN
#undef INFINITE
#undef QUIET
#undef LEAD
