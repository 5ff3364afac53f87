/* main.c: which digit is on the picture? */
#include "board.h"
#include "digit.h"
#include "model.h"

/* What wqcc's header says the model needs. Nothing else is allocated, here or there. */
static _Alignas(MODEL_ARENA_ALIGN) unsigned char arena[MODEL_ARENA_BYTES];
static float image[MODEL_IN_IMAGE_ELEMENTS], logits[MODEL_OUT_LOGITS_ELEMENTS];

int main(void)
{
	for (int i = 0; i < MODEL_IN_IMAGE_ELEMENTS; i++)
		image[i] = digit[i];
	if (model_run(arena, image, logits) != WQRT_OK)
		return 1;
	int best = 0;
	for (int i = 1; i < MODEL_OUT_LOGITS_ELEMENTS; i++)
		if (logits[i] > logits[best])
			best = i;
	char line[] = "this is a 0\n";
	line[10] = (char)('0' + best);
	board_print(line);
	return 0;
}
