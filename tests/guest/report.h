/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol with the test that booted this guest: a line for each event,
 * 'event name=value ...', on standard output; some events wait for a line on
 * standard input.
 */
#ifndef GUEST_REPORT_H
#define GUEST_REPORT_H

#include <stddef.h>

void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Report an event and wait for the response. */
void report_and_wait(const char *event);

/* Report an event and read the line of the response, truncated to @size. */
void report_and_read(const char *event, char *response, size_t size);

#endif
