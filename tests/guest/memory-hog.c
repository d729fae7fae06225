/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "process.h"

/* Identifies pages of the memory hog: no buffer has this number. */
#define HOG_BO 0x3fffffu

void process_protect(int on)
{
    FILE *file = fopen("/proc/self/oom_score_adj", "w");

    if (!file || fprintf(file, "%d", on ? -1000 : 0) < 0 || fclose(file)) {
        perror("/proc/self/oom_score_adj");
        exit(EXIT_FAILURE);
    }
}

void memory_hog_main(const MemoryHog *hog)
{
    size_t pages = hog->mib * MIB / PAGE_BYTES;
    size_t pause_at = pages - hog->left_mib * MIB / PAGE_BYTES;
    size_t i;
    char *memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    prctl(PR_SET_NAME, "memory-hog");
    if (memory == MAP_FAILED ||
        (hog->locked && mlock2(memory, pages * PAGE_BYTES, MLOCK_ONFAULT) < 0)) {
        exit(EXIT_FAILURE);
    }
    for (i = 0; i < pages; i++) {
        if (hog->pause && i == pause_at) {
            hog->pause(hog->arg);
        }
        pattern_fill(memory + i * PAGE_BYTES, (PageId) { HOG_BO, i, 0 });
    }
    usleep(hog->hold_ms * 1000);
    for (i = 0; i < pages; i++) {
        if (pattern_check(memory + i * PAGE_BYTES,
                          (PageId) { HOG_BO, i, 0 }) != PAGE_GOOD) {
            exit(EXIT_FAILURE);
        }
    }
    exit(EXIT_SUCCESS);
}

static int run_hog(size_t mib, unsigned hold_ms, bool locked)
{
    char size[16], hold[16];
    int status;
    pid_t pid;

    snprintf(size, sizeof(size), "%zu", mib);
    snprintf(hold, sizeof(hold), "%u", hold_ms);
    pid = fork();
    if (pid == 0) {
        process_protect(0);
        execl("/proc/self/exe", "guest", "memory-hog", size, hold,
              locked ? "locked" : NULL, NULL);
        _exit(EXIT_FAILURE);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        return -1;
    }
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

int memory_hog_run(size_t mib, unsigned hold_ms)
{
    return run_hog(mib, hold_ms, false);
}

int memory_hog_run_locked(size_t mib, unsigned hold_ms)
{
    return run_hog(mib, hold_ms, true);
}
