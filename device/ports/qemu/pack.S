    // Model pack and caption pack in flash, each between its two names (the Makefile's PACK, CAPTION_PACK).
    .section .pack, "a"
    .balign 16
    .global pack_start, pack_end
pack_start:
    .incbin PACK
pack_end:
    .balign 16
    .global captions_start, captions_end
captions_start:
    .incbin CAPTIONS
captions_end:
