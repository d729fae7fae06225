/* SPDX-License-Identifier: MIT */
/*
 * Submits again what record-frames has recorded, to count the instructions of
 * reading streams: tests/bench/streams.py runs this under callgrind.
 *
 * bench-replay RECORDING [COMPRESSED]
 *
 * What is counted are the submissions of the last second, if callgrind does not
 * from the start. Then there are also COMPRESSED compressed textures, each with a
 * view, that the streams do not use. Prints the number of these streams, and their
 * words.
 */

#include "commands.h"
#include "renderer.h"
#include "vtest.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

enum { COUNTED_US = 1000 * 1000, FIRST_COMPRESSED = (1 << 20) + 400 };

struct replay {
    uint64_t left;              /* submissions */
    uint64_t counted;           /* of these, the last ones */
    unsigned compressed;
    uint64_t streams, words;    /* that are counted */
};

/* Ids and handles that the client does not take, nor some of the same remainder. */
static void compress_others(struct vtest *v)
{
    const struct replay *r = v->opaque;

    virgl_reclaim_set_compress_max(v->vr, UINT64_MAX);
    for (uint32_t i = 0, id = FIRST_COMPRESSED; i < r->compressed; id++) {
        struct virgl_renderer_resource_create_args args =
            texture_args(id, 16, 16);

        if (virgl_reclaim_resource_state(v->vr, id) == VIRGL_RECLAIM_NONE) {
            g_assert_cmpint(virgl_reclaim_resource_create(v->vr, &args), ==, 0);
            g_assert_cmpint(virgl_reclaim_ctx_attach_resource(
                v->vr, VTEST_CTX, id), ==, 0);
            g_assert_cmpint(create_sampler_view(v->vr, VTEST_CTX, id, id,
                                                args.format, args.target), ==,
                            0);
            g_assert_cmpint(virgl_reclaim_resource_compress(v->vr, id), ==, 0);
            i++;
        }
    }
}

static void set_memory(const struct vtest *v, const uint32_t *words)
{
    const struct iovec *iov =
        g_hash_table_lookup(v->memory, GUINT_TO_POINTER(words[0]));

    g_assert_nonnull(iov);
    g_assert_cmpuint(words[1], <=, iov->iov_len);
    g_assert_cmpuint(words[2], <=, iov->iov_len - words[1]);
    memcpy((char *)iov->iov_base + words[1], words + 3, words[2]);
}

/* In tenths of a second, as the device does with each command. */
static void set_time(const struct vtest *v, const uint32_t *words)
{
    virgl_reclaim_set_time(v->vr, (words[0] | (uint64_t)words[1] << 32) / 100000);
}

static void prepare(struct vtest *v, const struct vtest_message *m)
{
    struct replay *r = v->opaque;

    if (m->command == VTEST_MEMORY) {
        set_memory(v, m->body);
    } else if (m->command == VTEST_TIME) {
        set_time(v, m->body);
    } else if (vtest_is_submit(m)) {
        if (r->left-- == r->counted) {
            compress_others(v);
            CALLGRIND_START_INSTRUMENTATION;
        }
        if (r->left < r->counted) {
            r->streams++;
            r->words += m->length;
        }
    }
}

/* The times of all submissions, in microseconds. */
static GArray *submit_times(const char *recording, gsize size)
{
    GArray *times = g_array_new(false, false, sizeof(uint64_t));
    struct vtest_message m = { 0 };
    uint64_t now = 0;

    for (gsize at = 0; at + VTEST_HEADER_SIZE <= size;
         at += VTEST_HEADER_SIZE + m.size) {
        memcpy(&m, recording + at, VTEST_HEADER_SIZE);
        m.size = vtest_body_size(&m);
        if (m.command == VTEST_TIME) {
            memcpy(&now, recording + at + VTEST_HEADER_SIZE, sizeof(now));
        } else if (vtest_is_submit(&m)) {
            g_array_append_val(times, now);
        }
    }
    return times;
}

/* How many of @times are in the last second; 0 if it lasts no longer than that. */
static uint64_t last_second(const GArray *times)
{
    const uint64_t *time = (const uint64_t *)times->data;
    uint64_t n = 0;

    while (n < times->len &&
           time[times->len - 1] - time[times->len - 1 - n] < COUNTED_US) {
        n++;
    }
    return n < times->len ? n : 0;
}

/* Another process sends it, and yet another takes the answers. */
static int start_client(const char *recording, gsize size)
{
    char answers[4096];
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
                    ==, 0);
    if (fork() == 0) {
        close(pair[0]);
        for (gsize at = 0; at < size;) {
            ssize_t sent = write(pair[1], recording + at, size - at);

            if (sent <= 0) {
                _exit(1);
            }
            at += sent;
        }
        shutdown(pair[1], SHUT_WR);
        _exit(0);
    }
    if (fork() == 0) {
        close(pair[0]);
        while (read(pair[1], answers, sizeof(answers)) > 0) {
        }
        _exit(0);
    }
    close(pair[1]);
    return pair[0];
}

int main(int argc, char **argv)
{
    struct replay r = { 0 };
    struct vtest v = { .received = prepare, .opaque = &r };
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) times = NULL;
    g_autofree char *recording = NULL;
    gsize size;
    Fixture f;

    if (argc < 2) {
        g_printerr("usage: bench-replay RECORDING [COMPRESSED]\n");
        return 2;
    }
    if (!g_file_get_contents(argv[1], &recording, &size, &error)) {
        g_printerr("bench-replay: %s\n", error->message);
        return 1;
    }
    r.compressed = argc > 2 ? atoi(argv[2]) : 0;
    times = submit_times(recording, size);
    r.left = times->len;
    r.counted = last_second(times);
    if (!r.counted) {
        g_printerr("bench-replay: %s is shorter than a second\n", argv[1]);
        return 1;
    }
    v.fd = start_client(recording, size);
    fixture_set_up(&f, NULL);
    v.vr = f.vr;
    vtest_serve(&v);
    close(v.fd);
    fixture_tear_down(&f, NULL);
    while (wait(NULL) > 0) {
    }
    printf("%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT "\n", r.streams,
           r.words);
    return 0;
}
