/* SPDX-License-Identifier: MIT */
/*
 * A program that uses Mesa's virgl driver, served through the library: Mesa's
 * "virpipe" sends what it has for a renderer over a socket, in the protocol of
 * virglrenderer's vtest/vtest_protocol.h, of which this is version 2.
 */

#ifndef VTEST_H
#define VTEST_H

#include <glib.h>

#include "internal.h"

enum { VTEST_CTX = 1 };

struct vtest {
    struct virgl_reclaim *vr;
    GHashTable *memory;         /* id -> iovec that the client maps, too */
    int fd;
    uint64_t submissions;
    /* Called after each submission. */
    void (*submitted)(struct vtest *v);
    void *opaque;               /* for that */
};

/*
 * Serve the client at the other end of @v->fd until it closes that. What it
 * leaves behind is destroyed.
 */
void vtest_serve(struct vtest *v);

/* Backing is attached as each resource is made. */
void vtest_attach(struct vtest *v, uint32_t id);
/* False if the resource has none, or none any more. */
bool vtest_detach(struct vtest *v, uint32_t id);

#endif
