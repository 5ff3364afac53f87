/* json.c: writes JSON. */
#include "api/api.h"

static void quote(WqStr *out, const char *s)
{
	wq_str_printf(out, "\"");
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			wq_str_printf(out, "\\%c", c);
		else if (c < 32)
			wq_str_printf(out, "\\u%04x", c);
		else
			wq_str_write(out, s, 1);
	}
	wq_str_printf(out, "\"");
}

static void item(Json *j, const char *key)
{
	if (j->depth) {
		wq_str_printf(j->out, "%s\n%*s", j->first[j->depth] ? "" : ",", j->depth * 2, "");
		j->first[j->depth] = false;
	}
	if (key) {
		quote(j->out, key);
		wq_str_printf(j->out, ": ");
	}
}

void json_begin(Json *j, const char *key, char open)
{
	item(j, key);
	wq_str_printf(j->out, "%c", open);
	WQ_ASSERT(j->depth + 1 < WQ_COUNTOF(j->first));
	j->first[++j->depth] = true;
}

void json_end(Json *j, char close)
{
	bool empty = j->first[j->depth--];
	if (!empty)
		wq_str_printf(j->out, "\n%*s", j->depth * 2, "");
	wq_str_printf(j->out, j->depth ? "%c" : "%c\n", close);
}

void json_str(Json *j, const char *key, const char *v)
{
	item(j, key);
	quote(j->out, v);
}

void json_int(Json *j, const char *key, int64_t v)
{
	item(j, key);
	wq_str_printf(j->out, "%lld", (long long)v);
}

void json_num(Json *j, const char *key, double v)
{
	item(j, key);
	wq_str_printf(j->out, "%.9g", v);
}

void json_bool(Json *j, const char *key, bool v)
{
	item(j, key);
	wq_str_printf(j->out, v ? "true" : "false");
}
