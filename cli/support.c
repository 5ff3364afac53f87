/* support: which ONNX operators are read, by domain and version, as docs/onnx-support.md has it. */
#include "cli/cli.h"

#include "frontend/lower.h"

int verb_support(int argc, char **argv)
{
	if (argc > 1)
		wq_fail(WQ_EINPUT, "support: unexpected '%s'", argv[1]);
	int n, lowered = 0;
	const OnnxOp *op = onnx_op_table(&n);
	for (int i = 0; i < n; i++)
		lowered += op[i].lower != NULL;
	printf("Opsets 1 to %d of ai.onnx. %d operators are lowered, %d are refused.\n", WQ_MAX_OPSET, lowered, n - lowered);
	const char *domain = NULL;
	for (int i = 0; i < n; i++) {
		if (!domain || strcmp(domain, op[i].domain)) {
			domain = op[i].domain;
			printf("\n## %s\n\n| operator | versions | |\n|---|---|---|\n", *domain ? domain : "ai.onnx");
		}
		printf("| %s | ", op[i].name);
		for (int k = 0; k < WQ_COUNTOF(op[i].versions) && op[i].versions[k]; k++)
			printf(k ? ", %d" : "%d", op[i].versions[k]);
		printf(" | %s%s |\n", op[i].lower ? "lowered" : "refused: ", op[i].lower ? "" : op[i].why);
	}
	return WQ_OK;
}
