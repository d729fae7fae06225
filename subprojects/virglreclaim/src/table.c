/* SPDX-License-Identifier: MIT */
/* Open addressing, linear probing, at most three quarters full. */

#include "table.h"

#include "internal.h"

#define MIN_SIZE 8

void vr_table_clear(struct vr_table *t)
{
    vr_free(t->allocator, t->entries);
    *t = (struct vr_table) { .allocator = t->allocator };
}

bool vr_table_reserve(struct vr_table *t)
{
    struct vr_table old = *t;

    if (t->used < t->size / 4 * 3) {
        return true;
    }
    if (t->size > UINT32_MAX / 2) {
        return false;
    }
    t->size = t->size ? t->size * 2 : MIN_SIZE;
    t->entries = vr_alloc0(t->allocator, t->size * sizeof(*t->entries));
    if (!t->entries) {
        *t = old;
        return false;
    }
    for (uint32_t i = 0; i < old.size; i++) {
        if (old.entries[i].value) {
            *vr_table_probe(t, old.entries[i].key) = old.entries[i];
        }
    }
    vr_free(t->allocator, old.entries);
    return true;
}

bool vr_table_insert(struct vr_table *t, uint32_t key, void *value)
{
    if (!vr_table_reserve(t)) {
        return false;
    }
    *vr_table_probe(t, key) = (struct vr_entry) { key, value };
    t->used++;
    return true;
}

void *vr_table_remove(struct vr_table *t, uint32_t key)
{
    uint32_t mask = t->size - 1, hole, i;
    void *value;

    if (!t->used) {
        return NULL;
    }
    hole = vr_table_probe(t, key) - t->entries;
    value = t->entries[hole].value;
    if (!value) {
        return NULL;
    }

    /* What was pushed past the hole moves up, or would not be found. */
    for (i = (hole + 1) & mask; t->entries[i].value; i = (i + 1) & mask) {
        uint32_t want = vr_table_home(t, t->entries[i].key);

        if (((i - want) & mask) >= ((i - hole) & mask)) {
            t->entries[hole] = t->entries[i];
            hole = i;
        }
    }
    t->entries[hole].value = NULL;
    t->used--;
    return value;
}

const struct vr_entry *vr_table_next(const struct vr_table *t, uint32_t *pos)
{
    while (*pos < t->size) {
        const struct vr_entry *entry = &t->entries[(*pos)++];

        if (entry->value) {
            return entry;
        }
    }
    return NULL;
}
