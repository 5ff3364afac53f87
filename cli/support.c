/* support: which ONNX operators are read, by domain and version, and which forms of them are not; the larger part of
 * docs/onnx-support.md. */
#include "cli/cli.h"

#include "frontend/lower.h"

static void print_versions(const OnnxOp *op)
{
	for (int k = 0; k < WQ_COUNTOF(op->versions) && op->versions[k]; k++)
		printf(k ? ", %d" : "%d", op->versions[k]);
}

/* The forms of an operator (NULL: of any) that are refused, each after `before`, with `between` them. */
static void print_limits(const OnnxOp *op, const char *before, const char *between)
{
	int n, printed = 0;
	const OnnxLimit *l = onnx_limit_table(&n);
	for (int i = 0; i < n; i++) {
		bool any = !l[i].name;
		if (any != !op || (op && (strcmp(l[i].domain, op->domain) || strcmp(l[i].name, op->name))))
			continue;
		printf("%s%s", printed++ ? between : before, l[i].form);
	}
}

static void print_row(const OnnxOp *op)
{
	printf("| %s | ", op->name);
	print_versions(op);
	printf(" | %s", op->lower ? "lowered" : "refused: ");
	if (op->lower)
		print_limits(op, ", but not: ", "; ");
	else
		printf("%s", op->why);
	printf(" |\n");
}

int verb_support(int argc, char **argv)
{
	if (argc > 1)
		wq_fail(WQ_EINPUT, "support: unexpected '%s'", argv[1]);
	int n, lowered = 0;
	const OnnxOp *op = onnx_op_table(&n);
	for (int i = 0; i < n; i++)
		lowered += op[i].lower != NULL;
	printf("Opsets 1 to %d of ai.onnx. %d operators are lowered, %d are refused.\n\n", WQ_MAX_OPSET, lowered, n - lowered);
	printf("The versions are the opsets that changed the operator. A node follows the newest of them that is not newer than the\n"
	       "opset its model imports; every version is lowered by its own rules. Functions that a model brings along are expanded.\n"
	       "An operator of another domain, or one that is not listed, is refused.\n\nOf every operator are refused:\n\n");
	print_limits(NULL, "- ", "\n- ");
	printf("\n");
	const char *domain = NULL;
	for (int i = 0; i < n; i++) {
		if (!domain || strcmp(domain, op[i].domain)) {
			domain = op[i].domain;
			printf("\n## %s\n\n| operator | versions | |\n|---|---|---|\n", *domain ? domain : "ai.onnx");
		}
		print_row(&op[i]);
	}
	return WQ_OK;
}
