/* SPDX-License-Identifier: MIT */
/* The hash table, compared with GLib's. */

#include "allocator.h"
#include "table.h"

#include <glib.h>

static void check_same(const struct vr_table *t, GHashTable *model)
{
    const struct vr_entry *entry;
    uint32_t pos = 0, n = 0;

    g_assert_cmpuint(t->used, ==, g_hash_table_size(model));
    while ((entry = vr_table_next(t, &pos))) {
        g_assert_true(g_hash_table_lookup(model,
                                          GUINT_TO_POINTER(entry->key)) ==
                      entry->value);
        n++;
    }
    g_assert_cmpuint(n, ==, t->used);
}

/* Few keys, many with the same start index: many collisions. */
static uint32_t pick_key(GRand *rand)
{
    return g_rand_int_range(rand, 0, 300) << g_rand_int_range(rand, 0, 2) * 20;
}

static void test_random(void)
{
    struct vr_table t = { .allocator = &vr_libc };
    g_autoptr(GHashTable) model = g_hash_table_new(NULL, NULL);
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);

    for (int i = 0; i < 100000; i++) {
        uint32_t key = pick_key(rand);
        gpointer id = GUINT_TO_POINTER(key), want;

        want = g_hash_table_lookup(model, id);
        g_assert_true(vr_table_find(&t, key) == want);
        /* Fill and drain it in turns. */
        if (g_rand_int_range(rand, 0, 3) > (i / 5000) % 2) {
            g_assert_true(vr_table_remove(&t, key) == want);
            g_hash_table_remove(model, id);
        } else if (!want) {
            g_assert_true(vr_table_insert(&t, key, &t.used + i));
            g_hash_table_insert(model, id, &t.used + i);
        }
        if (i % 100 == 0) {
            check_same(&t, model);
        }
    }
    vr_table_clear(&t);
    g_assert_null(vr_table_find(&t, 1));
    g_assert_null(vr_table_remove(&t, 1));
}

/* Unchanged if out of memory. */
static void test_no_memory(void)
{
    struct failing f = { 0 };
    struct virgl_reclaim_allocator allocator = failing_allocator(&f);
    struct vr_table t = { .allocator = &allocator };
    unsigned failed = 0;

    for (uint32_t key = 1; key <= 1000; key++) {
        f.fail_at = f.asked + 1;
        if (!vr_table_insert(&t, key, &t)) {
            failed++;
            g_assert_null(vr_table_find(&t, key));
            g_assert_cmpuint(t.used, ==, key - 1);
            f.fail_at = 0;
            g_assert_true(vr_table_insert(&t, key, &t));
        }
        for (uint32_t old = 1; old <= key; old++) {
            g_assert_true(vr_table_find(&t, old) == &t);
        }
    }
    g_assert_cmpuint(failed, >, 0);
    g_assert_cmpuint(f.out, ==, 1);
    vr_table_clear(&t);
    g_assert_cmpuint(f.out, ==, 0);
}

/* Probes of a successful search, on average. */
static double mean_probes(const struct vr_table *t)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;
    uint64_t probes = 0;

    while ((entry = vr_table_next(t, &pos))) {
        probes += ((entry - t->entries - vr_table_home(t, entry->key)) &
                   (t->size - 1)) + 1;
    }
    return (double)probes / t->used;
}

/* Sets of ids that an unkeyed hash, the one that there was, puts in a row. */
static void test_flooding(void)
{
    enum { N = 49000 };
    uint32_t inverse = 1;

    for (int i = 0; i < 5; i++) {
        inverse *= 2 - 2654435769u * inverse;
    }
    g_assert_cmpuint(inverse * 2654435769u, ==, 1);
    for (int set = 0; set < 4; set++) {
        struct vr_table t = { .allocator = &vr_libc };

        for (uint32_t i = 0; i < N; i++) {
            uint32_t product = i >> 7 << 23 | (i & 0x7f);
            uint32_t keys[] = { product * inverse, i + 1, i << 16, i * 65537 };

            g_assert_true(vr_table_insert(&t, keys[set], &t));
        }
        g_test_message("set %d: %.2f probes", set, mean_probes(&t));
        g_assert_cmpfloat(mean_probes(&t), <, 8);
        vr_table_clear(&t);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/table/random", test_random);
    g_test_add_func("/table/no-memory", test_no_memory);
    g_test_add_func("/table/flooding", test_flooding);
    return g_test_run();
}
