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

/* Messages that no client sends, but a recording has. */
enum {
    /* Words: id, offset in bytes, number of bytes; then these: of backing. */
    VTEST_MEMORY = 1000,
    /* Words: microseconds since the start, the low half first. */
    VTEST_TIME,
};

struct vtest_message {
    uint32_t length, command;   /* header */
    void *body;
    size_t size;                /* bytes in body */
};

/* Bytes that follow the header of @m. */
size_t vtest_body_size(const struct vtest_message *m);
bool vtest_is_submit(const struct vtest_message *m);

#define VTEST_HEADER_SIZE (2 * sizeof(uint32_t))

struct vtest {
    struct virgl_reclaim *vr;
    GHashTable *memory;         /* id -> iovec, shared with the client */
    int fd;
    uint64_t submissions;
    /* Called before a message is carried out. */
    void (*received)(struct vtest *v, const struct vtest_message *m);
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

/* Call @func for each resource whose backing the renderer may read for @m. */
void vtest_foreach_read(struct vtest *v, const struct vtest_message *m,
                        void (*func)(struct vtest *v, uint32_t id));

/* Backing is attached when a resource is created. */
void vtest_attach(struct vtest *v, uint32_t id);
/* Returns false if the resource has no backing attached. */
bool vtest_detach(struct vtest *v, uint32_t id);

#endif
