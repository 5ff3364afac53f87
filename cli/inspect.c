/* inspect: what is in a model; what of it is not supported. */
#include "cli/code.h"
#include "codegen/object_file.h"

/* A model that cannot be read still has its list of what is unsupported. */
static int unsupported(Common *c, const wqcc_error *err, bool json)
{
	if (!json) {
		fprintf(stderr, "wqcc: %s\n", err->message);
		return err->code;
	}
	WqStr s = { .a = c->arena };
	Json j = { .out = &s };
	json_begin(&j, NULL, '{');
	json_int(&j, "inspection_version", 1);
	json_begin(&j, "unsupported", '[');
	const char *line = strchr(err->message, '\n');
	while (line) {
		const char *start = line + 1, *end = strchr(start, '\n');
		start += strspn(start, " ");
		json_str(&j, NULL, end ? wq_strndup(c->arena, start, (size_t)(end - start)) : start);
		line = end;
	}
	json_end(&j, ']');
	json_end(&j, '}');
	printf("%s", s.s);
	return err->code;
}

/* What compiling for the target would give, without writing anything. */
static void print_target(const CodeOptions *o, Common *c, wqcc_model *m)
{
	wq_passes(m->module, "opt");
	if (m->onnx)
		onnx_bound_sizes(m->onnx, m->module);
	WqCodeOptions co = { .target = code_target(o, c), .level = o->level < 0 ? 3 : o->level, .size = o->size,
		.threads = c->threads > 1 ? c->threads : 1, .weights_inside = true };
	WqProgram *p = wq_program_new(m->module, &co, c->arena);
	WqObject object = wq_program_object(p, "model.o");
	CodeSize size = code_size(p, wq_object_flash(&object, c->arena));
	WqStr s = { .a = c->arena };
	code_size_text(o, &size, &s);
	printf("on %s, in bytes:\n%s", co.target->name, s.s);
	code_check_budget(o, &size, c->arena);
}

int verb_inspect(int argc, char **argv)
{
	Common c = { .arena = cli_arena() };
	const char *model = NULL;
	bool json = false;
	CodeOptions code;
	code_init(&code);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			json = true;
		else if (code_option(&code, &c, argc, argv, &i) || common_option(&c, argc, argv, &i))
			continue;
		else if (argv[i][0] == '-' || model)
			wq_fail(WQ_EINPUT, "inspect: unexpected '%s'", argv[i]);
		else
			model = argv[i];
	}
	if (!model)
		wq_fail(WQ_EINPUT, "inspect: which model?");
	WqTry t;
	wqcc_error err;
	int rc = WQ_OK;
	if (WQ_TRY(&t)) {
		wqcc_model *m = common_load(&c, model);
		char *text = wqcc_inspect(m, json, &err);
		if (!text)
			wq_fail(err.code, "%s", err.message);
		printf("%s", text);
		wqcc_text_free(text);
		if (code.target)
			print_target(&code, &c, m);
		wq_try_end(&t);
	} else {
		if (t.err.code != WQ_EUNSUPPORTED)
			wq_fail(t.err.code, "%s", t.err.text);
		err.code = t.err.code;
		snprintf(err.message, sizeof err.message, "%s", t.err.text);
		rc = unsupported(&c, &err, json);
	}
	cli_arena_done(c.arena);
	return rc;
}
