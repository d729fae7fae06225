/* SPDX-License-Identifier: MIT */
/* Submits again what record-frames has recorded. */

#include "replay.h"
#include "renderer.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECOND_US = 1000 * 1000 };

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
        if (r->submitting) {
            r->submitting(r, m);
        }
        r->left--;
    }
}

static void submitted(struct vtest *v)
{
    struct replay *r = v->opaque;

    if (!r->left && r->ended) {
        r->ended(r);
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
static uint64_t count_last_second(const GArray *times)
{
    const uint64_t *time = (const uint64_t *)times->data;
    uint64_t n = 0;

    while (n < times->len &&
           time[times->len - 1] - time[times->len - 1 - n] < SECOND_US) {
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

int replay_run(struct replay *r, const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) times = NULL;
    g_autofree char *recording = NULL;
    gsize size;
    Fixture f;

    if (!g_file_get_contents(path, &recording, &size, &error)) {
        g_printerr("%s\n", error->message);
        return 1;
    }
    times = submit_times(recording, size);
    r->left = times->len;
    r->last_second = count_last_second(times);
    if (!r->last_second) {
        g_printerr("%s is shorter than a second\n", path);
        return 1;
    }
    r->v = (struct vtest) {
        .fd = start_client(recording, size),
        .received = prepare, .submitted = submitted, .opaque = r,
    };
    fixture_set_up(&f, NULL);
    r->v.vr = f.vr;
    vtest_serve(&r->v);
    close(r->v.fd);
    fixture_tear_down(&f, NULL);
    while (wait(NULL) > 0) {
    }
    return 0;
}
