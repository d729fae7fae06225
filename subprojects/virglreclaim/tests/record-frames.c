/* SPDX-License-Identifier: MIT */
/*
 * Records what programs send to Mesa's virpipe driver, for bench-replay.
 *
 * record-frames SOCKET PREFIX
 *
 * Serves every client that connects to SOCKET (Mesa's is /tmp/.virgl_test) in a
 * process of its own, and writes what it sends to PREFIX.N, N from 1 on, called
 * PREFIX.N.part until the client has gone. That is the client's side of the
 * vtest protocol, with two kinds of messages more, before those that need them:
 * memory that the client has written to, and the time. Ends when it is killed;
 * clients that are connected are still served.
 */

#include "renderer.h"
#include "vtest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct recorder {
    FILE *file;
    gint64 start;               /* us */
    GHashTable *copies;         /* id -> copy of its memory as recorded */
};

static void write_words(const struct recorder *r, const void *words, size_t n)
{
    if (fwrite(words, sizeof(uint32_t), n, r->file) != n) {
        g_error("cannot write the recording: %s", g_strerror(errno));
    }
}

static void record_time(const struct recorder *r)
{
    uint64_t us = g_get_monotonic_time() - r->start;
    uint32_t words[] = { 2, VTEST_TIME, us, us >> 32 };

    write_words(r, words, G_N_ELEMENTS(words));
}

/* Record what is not as it was, from the first to the last word. */
static void record_memory(struct vtest *v, uint32_t id)
{
    const struct recorder *r = v->opaque;
    const struct iovec *iov = g_hash_table_lookup(v->memory,
                                                  GUINT_TO_POINTER(id));
    uint32_t *copy = g_hash_table_lookup(r->copies, GUINT_TO_POINTER(id));
    const uint32_t *now = iov ? iov->iov_base : NULL;
    size_t first = 0, end = iov ? iov->iov_len / sizeof(*now) : 0;

    if (!end) {
        return;
    }
    if (!copy) {
        copy = g_malloc0(iov->iov_len);
        g_hash_table_insert(r->copies, GUINT_TO_POINTER(id), copy);
    }
    while (first < end && now[first] == copy[first]) {
        first++;
    }
    while (end > first && now[end - 1] == copy[end - 1]) {
        end--;
    }
    if (first < end) {
        uint32_t bytes = (end - first) * sizeof(*now);
        uint32_t words[] = {
            3 + end - first, VTEST_MEMORY, id, first * sizeof(*now), bytes,
        };

        memcpy(copy + first, now + first, bytes);
        write_words(r, words, G_N_ELEMENTS(words));
        write_words(r, copy + first, end - first);
    }
}

static void record(struct vtest *v, const struct vtest_message *m)
{
    const struct recorder *r = v->opaque;
    uint32_t header[] = { m->length, m->command };

    vtest_foreach_read(v, m, record_memory);
    record_time(r);
    write_words(r, header, G_N_ELEMENTS(header));
    if (fwrite(m->body, 1, m->size, r->file) != m->size) {
        g_error("cannot write the recording: %s", g_strerror(errno));
    }
}

static void forget(struct vtest *v, uint32_t id)
{
    const struct recorder *r = v->opaque;

    g_hash_table_remove(r->copies, GUINT_TO_POINTER(id));
}

static void serve(int client, const char *path)
{
    g_autofree char *part = g_strdup_printf("%s.part", path);
    struct recorder r = {
        .file = fopen(part, "w"),
        .start = g_get_monotonic_time(),
        .copies = g_hash_table_new_full(NULL, NULL, NULL, g_free),
    };
    struct vtest v = {
        .fd = client,
        .received = record,
        .destroyed = forget,
        .opaque = &r,
    };
    Fixture f;

    if (!r.file) {
        g_error("cannot write to %s: %s", part, g_strerror(errno));
    }
    fixture_set_up(&f, NULL);
    v.vr = f.vr;
    vtest_serve(&v);
    fixture_tear_down(&f, NULL);
    if (fclose(r.file) || rename(part, path)) {
        g_error("cannot write to %s: %s", path, g_strerror(errno));
    }
    g_hash_table_destroy(r.copies);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
        sizeof(address.sun_path)) {
        g_error("%s is too long for a socket", path);
    }
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
        listen(fd, 8)) {
        g_error("cannot listen at %s: %s", path, g_strerror(errno));
    }
    return fd;
}

int main(int argc, char **argv)
{
    int listener, n = 0;

    if (argc != 3) {
        g_printerr("usage: record-frames SOCKET PREFIX\n");
        return 2;
    }
    signal(SIGCHLD, SIG_IGN);
    listener = listen_at(argv[1]);
    while (true) {
        g_autofree char *path = g_strdup_printf("%s.%d", argv[2], ++n);
        int client = accept(listener, NULL, NULL);

        if (client < 0) {
            g_error("cannot accept: %s", g_strerror(errno));
        }
        if (fork() == 0) {
            close(listener);
            serve(client, path);
            return 0;
        }
        close(client);
    }
}
