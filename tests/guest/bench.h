/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Measurements of the driver, beside ordinary memory in the same guest.
 */
#ifndef GUEST_BENCH_H
#define GUEST_BENCH_H

#include <stdbool.h>

/*
 * Measure what is asked by @question, and report a line 'bench name=value ...'
 * for each measurement: "capacity", "evict", "latency", "purge", or "close",
 * which is what "purge" is compared to and needs no driver of ours. Returns
 * false if there is no such question.
 */
bool bench_run(const char *question);

#endif
