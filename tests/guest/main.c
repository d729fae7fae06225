/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Usage: guest cache BO_MIB APP_MIB | idle BO_MIB | tests [PREFIX] |
 *              soak SECONDS SEED | bench QUESTION |
 *              matrix WORKLOAD OBJECTS DISTURBANCE |
 *              memory-hog MIB HOLD_MS [locked] | kexec KERNEL INITRD CMDLINE
 *
 * The workload of the test guest; see README.md.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "bench.h"
#include "matrix.h"
#include "process.h"
#include "report.h"
#include "scenario.h"
#include "test.h"

#define HOG_HOLD_MS     1500

typedef void Scenario(size_t mib, ClientState *state,
                      void (*pause_here)(const char *event));

/* The client's end of the socket to its supervisor. */
static int control_fd;

static void client_pause(const char *event)
{
    char c;

    if (write(control_fd, event, strlen(event) + 1) < 0 ||
        read(control_fd, &c, 1) != 1) {
        _exit(EXIT_FAILURE);
    }
}

/* Wait for the client to pause; false if it exited instead. */
static bool client_paused(int line, char *event, size_t size)
{
    ssize_t len = read(line, event, size - 1);

    event[len > 0 ? len : 0] = '\0';
    return len > 0;
}

static void run_memory_hog(size_t mib)
{
    int signal;

    report("app_start mib=%zu", mib);
    signal = memory_hog_run(mib, HOG_HOLD_MS);
    report("app_end survived=%d signal=%d", signal == 0, signal);
}

/*
 * Run the client of @scenario until it exits or is killed; run the memory hog
 * of @app_mib when the client has marked its buffers.
 */
static int supervise(Scenario *scenario, size_t bo_mib, size_t app_mib)
{
    int line[2], status;
    pid_t client, sampler;
    ClientState *state;
    char event[16];

    state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED) {
        perror("guest");
        return EXIT_FAILURE;
    }
    process_protect(1);
    /*
     * Run it once before measuring, while there is enough memory: the emulator
     * allocates its translations of it now.
     */
    memory_hog_run(app_mib, 0);
    report("start bo_mib=%zu app_mib=%zu", bo_mib, app_mib);
    sampler = sampler_start(state);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, line) < 0) {
        perror("guest");
        return EXIT_FAILURE;
    }
    client = fork();
    if (client == 0) {
        close(line[0]);
        control_fd = line[1];
        prctl(PR_SET_NAME, "gpu-client");
        process_protect(0);
        scenario(bo_mib, state, client_pause);
        _exit(EXIT_SUCCESS);
    }
    close(line[1]);

    while (client_paused(line[0], event, sizeof(event))) {
        if (app_mib && !strcmp(event, "marked")) {
            run_memory_hog(app_mib);
        }
        report_and_wait(event);
        if (write(line[0], "", 1) != 1) {
            break;
        }
    }
    if (waitpid(client, &status, 0) != client) {
        return EXIT_FAILURE;
    }
    if (WIFSIGNALED(status)) {
        state->bo_bytes = 0;
        report("client_died signal=%d", WTERMSIG(status));
    }
    kill(sampler, SIGKILL);
    waitpid(sampler, &status, 0);
    return EXIT_SUCCESS;
}

/* The line is read by a program: no echo, no carriage returns. */
static void use_plain_line(void)
{
    struct termios mode;

    if (tcgetattr(STDIN_FILENO, &mode) == 0) {
        cfmakeraw(&mode);
        tcsetattr(STDIN_FILENO, TCSANOW, &mode);
    }
}

static unsigned number(const char *text)
{
    unsigned value;
    char rest;

    if (sscanf(text, "%u%c", &value, &rest) != 1) {
        fprintf(stderr, "guest: '%s' is not a number\n", text);
        exit(EXIT_FAILURE);
    }
    return value;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "--help";

    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(command, "memory-hog") && argc >= 4) {
        memory_hog_main(&(MemoryHog) {
            .mib = number(argv[2]), .hold_ms = number(argv[3]),
            .locked = argc == 5 && !strcmp(argv[4], "locked"),
        });
    } else if (!strcmp(command, "cache") && argc == 4) {
        use_plain_line();
        return supervise(scenario_cache, number(argv[2]), number(argv[3]));
    } else if (!strcmp(command, "idle") && argc == 3) {
        use_plain_line();
        return supervise(scenario_idle, number(argv[2]), 0);
    }
    if (!strcmp(command, "tests") && argc <= 3) {
        use_plain_line();
        return tests_run(argc == 3 ? argv[2] : "") ? EXIT_SUCCESS
                                                   : EXIT_FAILURE;
    }
    if (!strcmp(command, "soak") && argc == 4) {
        use_plain_line();
        return tests_soak(number(argv[2]), number(argv[3])) ? EXIT_SUCCESS
                                                            : EXIT_FAILURE;
    }
    if (!strcmp(command, "matrix") && argc == 5) {
        use_plain_line();
        return matrix_run(argv[2], argv[3], argv[4]) ? EXIT_SUCCESS
                                                     : EXIT_FAILURE;
    }
    if (!strcmp(command, "bench") && argc == 3) {
        use_plain_line();
        return bench_run(argv[2]) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (!strcmp(command, "kexec") && argc == 5) {
        return kexec_run(argv[2], argv[3], argv[4]) < 0 ? EXIT_FAILURE
                                                        : EXIT_SUCCESS;
    }
    puts("Usage: guest cache BO_MIB APP_MIB | idle BO_MIB | tests [PREFIX] |\n"
         "             soak SECONDS SEED | bench QUESTION |\n"
         "             matrix WORKLOAD OBJECTS DISTURBANCE |\n"
         "             kexec KERNEL INITRD CMDLINE\n"
         "\n"
         "  cache  mark BO_MIB of buffers as DONTNEED, run a memory hog of\n"
         "         APP_MIB, mark them as WILLNEED and verify them\n"
         "  idle   create BO_MIB of buffers, use them in turns, verify them\n"
         "  tests  run the tests of the driver whose names begin with PREFIX\n"
         "  soak   run all operations concurrently for SECONDS, then compare\n"
         "         the totals of processes, driver and device\n"
         "  bench  measure the driver beside ordinary memory: capacity, evict,\n"
         "         latency, purge, close\n"
         "  matrix run a cell of the matrix: matrix.h\n"
         "  kexec  start KERNEL by kexec while the GPU is in use\n"
         "\n"
         "Events are lines on standard output, a terminal or a serial line; at\n"
         "some of them the program waits for an empty line.");
    return strcmp(command, "--help") ? EXIT_FAILURE : EXIT_SUCCESS;
}
