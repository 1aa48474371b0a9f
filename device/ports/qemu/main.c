// The board's C program: a heap, MicroPython, and the frozen start.py.
#include "py/cstack.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "shared/runtime/gchelper.h"

#include "hostfs.h"
#include "semihost.h"

extern uint8_t heap_start, heap_end, stack_start, stack_end; // sections.ld

int main(void) {
    mp_cstack_init_with_top(&stack_end, (size_t)(&stack_end - &stack_start));
    gc_init(&heap_start, &heap_end);
    mp_init();
    hostfs_mount();
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_hal_set_interrupt_char(3);
        mp_import_name(MP_QSTR_start, mp_const_none, MP_OBJ_NEW_SMALL_INT(0));
        nlr_pop();
    } else {
        mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
    }
    return 1;
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

void nlr_jump_fail(void *value) {
    (void)value;
    semihost_print("fault: an exception that nobody catches\n");
    semihost_exit(70);
}
