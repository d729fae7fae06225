/* SPDX-License-Identifier: MIT */
/* Submits again what record-frames has recorded. */

#ifndef REPLAY_H
#define REPLAY_H

#include "vtest.h"

struct replay {
    struct vtest v;
    uint64_t left;              /* submissions to come */
    uint64_t last_second;       /* of all, those in the last second */
    /* Called before each submission, which is one of those left. */
    void (*submitting)(struct replay *r, const struct vtest_message *m);
    /* Called after the last one. */
    void (*ended)(struct replay *r);
    void *opaque;               /* the caller's */
};

/*
 * Submit what is in the file @path to a renderer that is set up for it, from a
 * client that is another process. Returns 0, or 1 and says why.
 */
int replay_run(struct replay *r, const char *path);

#endif
