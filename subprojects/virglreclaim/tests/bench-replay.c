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
#include "replay.h"

#include <stdio.h>
#include <valgrind/callgrind.h>

enum { FIRST_COMPRESSED = (1 << 20) + 400 };

struct counted {
    unsigned compressed;
    uint64_t streams, words;
};

/* Ids and handles that the client does not take, nor some of the same remainder. */
static void compress_others(struct virgl_reclaim *vr, unsigned compressed)
{
    virgl_reclaim_set_compress_max(vr, UINT64_MAX);
    for (uint32_t i = 0, id = FIRST_COMPRESSED; i < compressed; id++) {
        struct virgl_renderer_resource_create_args args =
            texture_args(id, 16, 16);

        if (virgl_reclaim_resource_state(vr, id) == VIRGL_RECLAIM_NONE) {
            g_assert_cmpint(virgl_reclaim_resource_create(vr, &args), ==, 0);
            g_assert_cmpint(virgl_reclaim_ctx_attach_resource(vr, VTEST_CTX, id),
                            ==, 0);
            g_assert_cmpint(create_sampler_view(vr, VTEST_CTX, id, id,
                                                args.format, args.target), ==,
                            0);
            g_assert_cmpint(virgl_reclaim_resource_compress(vr, id), ==, 0);
            i++;
        }
    }
}

static void count(struct replay *r, const struct vtest_message *m)
{
    struct counted *c = r->opaque;

    if (r->left == r->last_second) {
        compress_others(r->v.vr, c->compressed);
        CALLGRIND_START_INSTRUMENTATION;
    }
    if (r->left <= r->last_second) {
        c->streams++;
        c->words += m->length;
    }
}

int main(int argc, char **argv)
{
    struct counted c = { .compressed = argc > 2 ? atoi(argv[2]) : 0 };
    struct replay r = { .submitting = count, .opaque = &c };

    if (argc < 2) {
        g_printerr("usage: bench-replay RECORDING [COMPRESSED]\n");
        return 2;
    }
    if (replay_run(&r, argv[1])) {
        return 1;
    }
    printf("%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT "\n", c.streams, c.words);
    return 0;
}
