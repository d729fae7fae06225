/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The conversation with the test that booted this guest: one line for each
 * event, 'event name=value ...', on standard output; and for some of them the
 * answer 'go' on standard input before the guest goes on.
 */
#ifndef GUEST_REPORT_H
#define GUEST_REPORT_H

#include <stddef.h>

void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Report an event and wait for the answer. */
void report_and_wait(const char *event);

/* Report an event and have the line that answers it, cut to @size. */
void report_and_read(const char *event, char *answer, size_t size);

#endif
