    // The model pack, in flash between pack_start and pack_end (PACK: the Makefile's).
    .section .pack, "a"
    .balign 16
    .global pack_start, pack_end
pack_start:
    .incbin PACK
pack_end:
