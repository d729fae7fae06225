/* SPDX-License-Identifier: MIT */
/*
 * Hash table from ids to pointers that reports allocation failures. Guests choose
 * the ids, so hashes are keyed: nobody outside can make them collide.
 */

#ifndef VIRGLRECLAIM_TABLE_H
#define VIRGLRECLAIM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct virgl_reclaim_allocator;

struct vr_entry {
    uint32_t key;
    void *value;                /* NULL: free */
};

/* Initialize allocator, zero the rest. */
struct vr_table {
    const struct virgl_reclaim_allocator *allocator;
    struct vr_entry *entries;
    uint32_t size;              /* power of two, or 0 */
    uint32_t used;
};

/* Remove all entries; values are the caller's. */
void vr_table_clear(struct vr_table *t);

/* Of the process: random words for each value of each byte of a key. */
extern uint32_t vr_table_key[4][256];

/*
 * Index where probing for @key starts. Simple tabulation: with linear probing
 * the expected number of probes is constant for any set of keys.
 */
static inline uint32_t vr_table_home(const struct vr_table *t, uint32_t key)
{
    return (vr_table_key[0][key & 0xff] ^ vr_table_key[1][key >> 8 & 0xff] ^
            vr_table_key[2][key >> 16 & 0xff] ^ vr_table_key[3][key >> 24]) &
           (t->size - 1);
}

/* The entry of @key, or the free one where it belongs. */
static inline struct vr_entry *vr_table_probe(const struct vr_table *t,
                                              uint32_t key)
{
    uint32_t i = vr_table_home(t, key);

    while (t->entries[i].value && t->entries[i].key != key) {
        i = (i + 1) & (t->size - 1);
    }
    return &t->entries[i];
}

static inline void *vr_table_find(const struct vr_table *t, uint32_t key)
{
    return t->used ? vr_table_probe(t, key)->value : NULL;
}

/* Reserve an entry: the next insertion cannot fail then. */
bool vr_table_reserve(struct vr_table *t);

/* @key must be new and @value not NULL. Returns false if there is no memory. */
bool vr_table_insert(struct vr_table *t, uint32_t key, void *value);

/* Returns the value that was removed, or NULL. */
void *vr_table_remove(struct vr_table *t, uint32_t key);

/*
 * Iterate: returns the next entry from *@pos on, which starts at 0, or NULL at
 * the end. The table must not change meanwhile. In the order of hashes.
 */
const struct vr_entry *vr_table_next(const struct vr_table *t, uint32_t *pos);

#endif
