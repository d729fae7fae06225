/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "report.h"

void report(const char *format, ...)
{
    char line[512];
    va_list ap;
    int len;

    va_start(ap, format);
    len = vsnprintf(line, sizeof(line) - 1, format, ap);
    va_end(ap);
    if (len > (int)sizeof(line) - 2) {
        len = sizeof(line) - 2;
    }
    line[len++] = '\n';
    /* Several processes report: a single write() keeps each line whole. */
    if (write(STDOUT_FILENO, line, len) != len) {
        exit(EXIT_FAILURE);
    }
}

void report_and_read(const char *event, char *response, size_t size)
{
    size_t len = 0;
    char c;

    report("%s", event);
    for (;;) {
        if (read(STDIN_FILENO, &c, 1) != 1) {
            exit(EXIT_FAILURE);
        }
        if (c == '\n') {
            break;
        }
        if (len + 1 < size) {
            response[len++] = c;
        }
    }
    response[len] = '\0';
}

void report_and_wait(const char *event)
{
    char c;

    report_and_read(event, &c, sizeof(c));
}
