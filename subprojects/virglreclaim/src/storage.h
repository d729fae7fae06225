/* SPDX-License-Identifier: MIT */
/*
 * The renderer's storage of a resource, as a rule a GL object. It outlives the
 * resource, or its purge, as deferred storage for as long as a context refers
 * to it.
 */

#ifndef VIRGLRECLAIM_STORAGE_H
#define VIRGLRECLAIM_STORAGE_H

#include "internal.h"

struct vr_sub;

/* Sub-contexts that are recorded for each storage; more are not told apart. */
#define VR_USERS 4

struct vr_storage {
    bool buffer;
    uint32_t name;              /* of the GL object; 0: none */
    uint32_t target, binding;   /* GL enums, of a texture */
    uint32_t id;                /* of its resource, in the renderer at first */
    uint64_t bytes;
    uint64_t overhead;          /* besides bytes */
    unsigned references;        /* of objects and bindings in the renderer */
    /*
     * Serial numbers of the sub-contexts whose GL contexts may have it bound or
     * have drawn to it; n_users is VR_USERS + 1 if there are more.
     */
    uint32_t users[VR_USERS];
    uint8_t n_users;
    bool untracked_ref;         /* a context may refer to it unseen */
    bool name_reused;           /* by another GL object: it is 0 here */
    bool free_on_last_ref;      /* detached and gone, but for references */
    bool deferred;              /* detached; then also: */
    bool purged;                /* by a purge, not unref or compress */
    bool unreferenced;          /* in the list of these */
    bool described;             /* counted, by describe.c */
    bool deleted;               /* GL has deleted it, and may have it bound */
    uint64_t pass;              /* of virgl_reclaim_collect() that unbinds it */
    struct vr_resource *owner;  /* purged and not restored or destroyed since */
    struct vr_storage *next, *previous; /* deferred storage, in a ring */
    struct vr_storage *next_unreferenced;
};

/*
 * Sets buffer, name, target and binding; the contents are undefined. Returns 0 or
 * a negative errno.
 */
int vr_storage_create(const vr_args *args, struct vr_storage *storage);
/* Clear new @storage. Returns 0 or, without it, a negative errno. */
int vr_storage_zero(const struct virgl_reclaim_allocator *a,
                    const vr_args *args, struct vr_storage *storage);
/* Drop the renderer's own reference to resource @id. Context 0 is current. */
void vr_storage_unref(uint32_t id);
/* Whether the GL object exists. Only for storage with a name. */
bool vr_storage_alive(const struct vr_storage *storage);
/*
 * Free the memory of a buffer while its GL object may live on, context 0
 * current. Returns false if that is not possible.
 */
bool vr_storage_truncate(const struct vr_storage *storage);

/* Count a reference; NULL is no storage. Returns @storage. */
static inline struct vr_storage *vr_storage_get(struct vr_storage *storage)
{
    if (storage) {
        storage->references++;
    }
    return storage;
}

/* @sub, whose serial number is given, uses the GL object. */
static inline void vr_storage_add_user(struct vr_storage *storage,
                                       uint32_t serial)
{
    unsigned i = 0;

    if (storage->n_users && storage->users[0] == serial) {
        return;
    }
    while (i < storage->n_users && i < VR_USERS &&
           storage->users[i] != serial) {
        i++;
    }
    if (i == storage->n_users) {
        if (i < VR_USERS) {
            storage->users[i] = serial;
        }
        storage->n_users++;
    }
}

#endif
