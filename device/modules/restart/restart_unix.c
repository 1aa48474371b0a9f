// What a restart is to a process: it executes itself anew, with the same id, arguments, standard input
// and output; memory and all other files are gone. What survives is a variable of the environment,
// MOTEYE_RESET=<cause><kept bytes in hexadecimal>. The watchdog is a timer's signal. Linux only.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "restart.h"

#define VARIABLE "MOTEYE_RESET="
#define MAX_COMMAND_LINE_BYTES 8192
#define MAX_WORDS 64
#define MAX_VARIABLES 512
#define MAX_FILES 1024
#define EXIT_NOT_RESTARTED 70

// All that restart_now() needs is here before: a signal handler may not allocate.
static char command_line[MAX_COMMAND_LINE_BYTES];
static char *words[MAX_WORDS + 1];
static char *variables[MAX_VARIABLES + 1];
static char left_behind[sizeof(VARIABLE) + 1 + 2 * RESTART_KEPT_BYTES] = VARIABLE;
static uint8_t kept[RESTART_KEPT_BYTES];
static int cause = RESTART_POWER_ON;
static bool prepared;

extern char **environ;

static int read_command_line(void) {
    int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return errno;
    }
    size_t size = 0;
    ssize_t got;
    while ((got = read(file, command_line + size, sizeof(command_line) - size)) > 0) {
        size += (size_t)got;
    }
    close(file);
    if (got < 0 || size == 0 || size == sizeof(command_line)) {
        return E2BIG;
    }
    size_t count = 0;
    for (size_t at = 0; at < size; at += strlen(command_line + at) + 1) {
        if (count == MAX_WORDS) {
            return E2BIG;
        }
        words[count++] = command_line + at;
    }
    return 0;
}

static int nibble(char digit) {
    return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

static void read_left_behind(const char *text) {
    if (strlen(text) != 1 + 2 * RESTART_KEPT_BYTES ||
        strspn(text, "0123456789abcdef") != strlen(text)) {
        return;
    }
    cause = nibble(text[0]);
    for (int i = 0; i < RESTART_KEPT_BYTES; i++) {
        kept[i] = (uint8_t)(nibble(text[1 + 2 * i]) << 4 | nibble(text[2 + 2 * i]));
    }
}

int restart_prepare(void) {
    if (prepared) {
        return 0;
    }
    int error = read_command_line();
    if (error) {
        return error;
    }
    size_t count = 0;
    variables[count++] = left_behind;
    for (char **at = environ; *at; at++) {
        if (strncmp(*at, VARIABLE, strlen(VARIABLE)) == 0) {
            read_left_behind(*at + strlen(VARIABLE));
        } else if (count == MAX_VARIABLES) {
            return E2BIG;
        } else {
            variables[count++] = *at;
        }
    }
    prepared = true;
    return 0;
}

int restart_cause(void) {
    return cause;
}

uint8_t *restart_kept(void) {
    return kept;
}

void restart_now(int why) {
    static const char digits[] = "0123456789abcdef";
    char *text = left_behind + strlen(VARIABLE);
    *text++ = digits[why & 15];
    for (int i = 0; i < RESTART_KEPT_BYTES; i++) {
        *text++ = digits[kept[i] >> 4];
        *text++ = digits[kept[i] & 15];
    }
    // The signal that led here is blocked in its handler, and would stay so in the next life.
    struct itimerval none = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &none, NULL);
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarm, NULL);
    for (int file = 3; file < MAX_FILES; file++) {
        close(file);
    }
    execve("/proc/self/exe", words, variables);
    _exit(EXIT_NOT_RESTARTED);
}

static void too_late(int signal) {
    (void)signal;
    restart_now(RESTART_WATCHDOG);
}

void restart_unless_called(uint32_t timeout_ms) {
    struct sigaction action = {.sa_handler = too_late};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval once = {{0, 0}, {timeout_ms / 1000, (suseconds_t)(timeout_ms % 1000) * 1000}};
    setitimer(ITIMER_REAL, &once, NULL);
}
