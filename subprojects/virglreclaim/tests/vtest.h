/* SPDX-License-Identifier: MIT */
/*
 * A vtest server on the library: Mesa's "virpipe" driver sends its commands
 * over a socket, in version 2 of the protocol of virglrenderer's
 * vtest/vtest_protocol.h.
 */

#ifndef VTEST_H
#define VTEST_H

#include <glib.h>

#include "internal.h"

enum { VTEST_CTX = 1 };

struct vtest {
    struct virgl_reclaim *vr;
    GHashTable *memory;         /* id -> iovec, shared with the client */
    int fd;
    uint64_t submissions;
    /* Called after a resource has been created, and before it is destroyed. */
    void (*created)(struct vtest *v, uint32_t id);
    void (*destroyed)(struct vtest *v, uint32_t id);
    /* Called after each submission. */
    void (*submitted)(struct vtest *v);
    /* Called when the client has gone, before what it has left is destroyed. */
    void (*disconnected)(struct vtest *v);
    void *opaque;               /* the caller's */
};

/*
 * Serve the client at the other end of @v->fd until it closes it. Then its
 * resources and context are destroyed.
 */
void vtest_serve(struct vtest *v);

/* Backing is attached when a resource is created. */
void vtest_attach(struct vtest *v, uint32_t id);
/* Returns false if the resource has no backing attached. */
bool vtest_detach(struct vtest *v, uint32_t id);

#endif
