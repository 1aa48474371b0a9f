// damage pack|set < cases: every case is u32 size and that many bytes. Tries each and prints a
// status a line. Built with sanitizers: reading one byte too far ends the process.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trials.h"

// A damaged header may ask for more than a test should spend.
#define MAX_ARENA (64u << 20)
#define MAX_MACS 50000000u

int main(int argc, char **argv) {
    uint32_t size;
    if (argc != 2) {
        return 2;
    }
    while (fread(&size, sizeof(size), 1, stdin) == 1) {
        uint8_t *data = malloc(size ? size : 1);
        if (fread(data, 1, size, stdin) != size) {
            return 3;
        }
        int status = strcmp(argv[1], "pack") == 0 ? try_pack(data, size, MAX_ARENA, MAX_MACS)
                                                  : try_set(data, size);
        printf("%d\n", status);
        free(data);
    }
    return 0;
}
