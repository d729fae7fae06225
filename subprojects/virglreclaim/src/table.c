/* SPDX-License-Identifier: MIT */
/* Open addressing, linear probing, at most three quarters full. */

#include "table.h"

#include "internal.h"

#include <pthread.h>
#include <sys/random.h>
#include <time.h>

#define MIN_SIZE 8

uint32_t vr_table_key[4][256];

/* Without random numbers of the kernel: what a guest does not know either. */
static void make_weak_key(void)
{
    uint64_t state = (uintptr_t)&state ^ (uint64_t)clock() << 32;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    state ^= (uint64_t)now.tv_sec << 30 ^ now.tv_nsec;
    for (unsigned i = 0; i < 4 * 256; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        vr_table_key[i / 256][i % 256] = state >> 32;
    }
}

static void make_key(void)
{
    uint8_t *next = (uint8_t *)vr_table_key;

    /* At most 256 bytes: these are all that was asked for. */
    for (size_t left = sizeof(vr_table_key); left; left -= 256, next += 256) {
        if (getrandom(next, 256, 0) != 256) {
            make_weak_key();
            return;
        }
    }
}

void vr_table_clear(struct vr_table *t)
{
    vr_free(t->allocator, t->entries);
    *t = (struct vr_table) { .allocator = t->allocator };
}

bool vr_table_reserve(struct vr_table *t)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct vr_table old = *t;

    if (t->used < t->size / 4 * 3) {
        return true;
    }
    /* No entry has been hashed before. */
    pthread_once(&once, make_key);
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
