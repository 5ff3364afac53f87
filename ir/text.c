#include "ir/text.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

int32_t wq_utf8_next(const WqString *s, size_t *at)
{
	uint8_t b = (uint8_t)s->p[(*at)++];
	int more = b < 0x80 ? 0 : b >= 0xf0 && b < 0xf5 ? 3 : b >= 0xe0 ? 2 : b >= 0xc2 ? 1 : -1;
	if (more < 0 || b >= 0xf5 || s->n - *at < (size_t)more)
		return -1;
	int32_t c = more ? b & (0x3f >> more) : b;
	for (int i = 0; i < more; i++, (*at)++) {
		if (((uint8_t)s->p[*at] & 0xc0) != 0x80)
			return -1;
		c = c << 6 | (s->p[*at] & 0x3f);
	}
	static const int32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	return c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? -1 : c;
}

size_t wq_utf8_put(char out[4], uint32_t c)
{
	if (c < 0x80)
		return out[0] = (char)c, 1;
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)((0xf00 >> n & 0xff) | c);
	return n;
}

bool wq_char_is_space(int32_t c)
{
	return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* ---- case ------------------------------------------------------------------------------------------------ */

/* A locale that has Unicode's letters; (locale_t)0: there is none, only ASCII has cases. Made once, stays. */
static locale_t letters;

static void find_letters(void)
{
	static const char *const names[] = { "C.UTF-8", "en_US.UTF-8" };
	for (int i = 0; i < WQ_COUNTOF(names) && !letters; i++)
		letters = newlocale(LC_CTYPE_MASK, names[i], (locale_t)0);
}

static locale_t letters_locale(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, find_letters);
	return letters;
}

int32_t wq_char_lower(int32_t c)
{
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	locale_t l = letters_locale();
	return l ? (int32_t)towlower_l((wint_t)c, l) : c;
}

int32_t wq_char_upper(int32_t c)
{
	if (c < 0x80)
		return c >= 'a' && c <= 'z' ? c - 32 : c;
	locale_t l = letters_locale();
	return l ? (int32_t)towupper_l((wint_t)c, l) : c;
}
