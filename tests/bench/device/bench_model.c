/* One inference of the embedded pack, counted whole and record by record, and its output checked. */
#include <string.h>

#include "bare.h"
#include "model_operator.h"
#include "status.h"

#define ARENA_BYTES (1024 * 1024)

extern const uint8_t pack[], pack_end[], input[], expected[];
static int8_t arena[ARENA_BYTES] __attribute__((aligned(16)));

static void put_input(const model_t *model) {
    size_t bytes = (size_t)model_tensor_bytes(&model->header.input);
    memset(arena, 0x55, model->header.arena_bytes);
    memcpy(arena + model->header.input.offset, input, bytes);
}

static void count_records(const model_t *model) {
    put_input(model);
    model_t one = *model;
    one.header.op_count = 1;
    for (uint32_t i = 0; i < model->header.op_count; i++) {
        model_op_t op;
        memcpy(&op, model->pack + one.header.ops_offset, sizeof(op));
        uint32_t start = bare_ticks();
        model_run(&one, arena, sizeof(arena));
        bare_number("record", bare_ticks_since(start));
        one.header.ops_offset += op.bytes;
    }
}

int main(void) {
    model_t model;
    int status = model_open(pack, (size_t)(pack_end - pack), &model);
    if (status != MOTEYE_OK || model.header.arena_bytes > sizeof(arena)) {
        bare_number("refused", (uint32_t)-status);
        return 2;
    }
    put_input(&model);
    bare_stack_paint();
    model_run(&model, arena, sizeof(arena));
    bare_number("stack", bare_stack_used());
    put_input(&model);
    uint32_t start = bare_ticks();
    model_run(&model, arena, sizeof(arena));
    bare_number("ticks", bare_ticks_since(start));
    size_t bytes = (size_t)model_tensor_bytes(&model.header.output);
    int equal = memcmp(arena + model.header.output.offset, expected, bytes) == 0;
    bare_number("equal", (uint32_t)equal);
    count_records(&model);
    return equal ? 0 : 1;
}
