/*
 * Unit tests of the policy: what leaves, and when
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <glib.h>

#include "virtio-gpu-policy.h"

#define MS_PER_S G_GUINT64_CONSTANT(1000)
/* Late enough for all ages. */
#define NOW (1000 * MS_PER_S)

typedef struct Fixture {
    VirtIOGPUPolicy *policy;
    VirtIOGPUPolicyInput in;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->policy = virtio_gpu_policy_new();
    f->in = (VirtIOGPUPolicyInput) { .now = NOW, .used = 1000 };
}

static void teardown(Fixture *f, gconstpointer data)
{
    g_free(f->policy);
}

/* @age: of the youngest that may leave, in ms. */
static void check(Fixture *f, guint64 bytes, guint64 age)
{
    VirtIOGPUPolicyDecision d = virtio_gpu_policy_decide(f->policy, &f->in);

    g_assert_cmpuint(d.bytes, ==, bytes);
    g_assert_cmpuint(d.last_use, ==, bytes ? f->in.now - age : 0);
}

static void test_nothing(Fixture *f, gconstpointer data)
{
    check(f, 0, 0);
    f->in.used = G_MAXUINT64;
    check(f, 0, 0);
    g_assert_cmpuint(virtio_gpu_policy_ask(&f->in), ==, 0);
}

static void test_target(Fixture *f, gconstpointer data)
{
    f->in.target = 1000;
    check(f, 0, 0);
    f->in.target = 999;
    check(f, 1, 1000);
    f->in.target = 1;
    check(f, 999, 1000);
    g_assert_cmpuint(virtio_gpu_policy_ask(&f->in), ==, 999);
}

/* Nothing that was used within a second leaves, not even at the start. */
static void test_young(Fixture *f, gconstpointer data)
{
    VirtIOGPUPolicyDecision d;

    f->in.target = 1;
    for (f->in.now = 1; f->in.now <= 1000; f->in.now++) {
        d = virtio_gpu_policy_decide(f->policy, &f->in);
        g_assert_cmpuint(d.bytes, ==, 999);
        g_assert_cmpuint(d.last_use, ==, 0);
    }
    check(f, 999, 1000);
}

/* Below the limit a sixteenth is kept free. */
static void test_limit(Fixture *f, gconstpointer data)
{
    f->in.limit = 1600;
    f->in.used = 1500;
    check(f, 0, 0);
    f->in.used = 1501;
    check(f, 1, 1000);
    f->in.used = 3000;
    check(f, 1500, 1000);
    g_assert_cmpuint(virtio_gpu_policy_ask(&f->in), ==, 1500);
    /* The lower one of limit and target counts. */
    f->in.target = 2000;
    check(f, 1500, 1000);
    f->in.target = 1000;
    check(f, 2000, 1000);
}

static void test_idle(Fixture *f, gconstpointer data)
{
    f->in.idle_ms = 30 * MS_PER_S;
    check(f, G_MAXUINT64, 30 * MS_PER_S);
    g_assert_cmpuint(virtio_gpu_policy_ask(&f->in), ==, 0);
    f->in.idle_ms = 1;
    check(f, G_MAXUINT64, 1000);
}

static void test_pressure(Fixture *f, gconstpointer data)
{
    f->in.pressure = VIRTIO_GPU_PRESSURE_SOME;
    check(f, G_MAXUINT64, 10 * MS_PER_S);
    g_assert_cmpuint(virtio_gpu_policy_ask(&f->in), ==, 1000);
    f->in.pressure = VIRTIO_GPU_PRESSURE_FULL;
    check(f, G_MAXUINT64, 1000);
    g_assert_cmpuint(virtio_gpu_policy_ask(&f->in), ==, 1000);
}

/* The target takes what is younger, and stops when it is met. */
static void test_both(Fixture *f, gconstpointer data)
{
    f->in.idle_ms = 30 * MS_PER_S;
    f->in.target = 900;
    check(f, 100, 1000);
    f->in.used = 900;
    check(f, G_MAXUINT64, 30 * MS_PER_S);
    f->in.used = 1000;
    f->in.pressure = VIRTIO_GPU_PRESSURE_FULL;
    check(f, G_MAXUINT64, 1000);
    f->in.pressure = VIRTIO_GPU_PRESSURE_SOME;
    check(f, 100, 1000);
    f->in.used = 900;
    check(f, G_MAXUINT64, 10 * MS_PER_S);
}

static guint64 protect(Fixture *f)
{
    return virtio_gpu_policy_protect_ms(f->policy, f->in.now);
}

/* @bytes leave, and come back @after ms later. */
static void thrash(Fixture *f, guint64 bytes, guint64 after)
{
    guint64 left = f->in.now;

    virtio_gpu_policy_left(f->policy, left, bytes);
    f->in.now += after;
    virtio_gpu_policy_back(f->policy, f->in.now, left, bytes);
}

/* What comes back soon is protected longer and longer. */
static void test_thrash(Fixture *f, gconstpointer data)
{
    guint64 want = 1000;
    int i;

    f->in.target = 1;
    check(f, 999, want);
    for (i = 0; i < 6; i++) {
        want *= 2;
        thrash(f, 100, 1);
        g_assert_cmpuint(protect(f), ==, want);
        check(f, 999, want);
    }
    thrash(f, 100, 1);
    g_assert_cmpuint(protect(f), ==, 64 * MS_PER_S);

    /* It falls back when that has ended. */
    for (; want > 1000; want /= 2) {
        g_assert_cmpuint(protect(f), ==, want);
        f->in.now += 10 * MS_PER_S;
    }
    g_assert_cmpuint(protect(f), ==, 1000);
    f->in.now += 1000 * MS_PER_S;
    g_assert_cmpuint(protect(f), ==, 1000);
}

static void test_late_is_no_thrash(Fixture *f, gconstpointer data)
{
    int i;

    for (i = 0; i < 10; i++) {
        thrash(f, 100, 10 * MS_PER_S);
        g_assert_cmpuint(protect(f), ==, 1000);
    }
    thrash(f, 100, 10 * MS_PER_S - 1);
    g_assert_cmpuint(protect(f), ==, 2000);
}

static void test_few_are_no_thrash(Fixture *f, gconstpointer data)
{
    guint64 left = f->in.now;

    virtio_gpu_policy_left(f->policy, left, 1000);
    f->in.now++;
    virtio_gpu_policy_back(f->policy, f->in.now, left, 249);
    g_assert_cmpuint(protect(f), ==, 1000);
    virtio_gpu_policy_back(f->policy, f->in.now, left, 1);
    g_assert_cmpuint(protect(f), ==, 2000);
    /* The rest of what left then says nothing new. */
    virtio_gpu_policy_back(f->policy, f->in.now, left, 750);
    g_assert_cmpuint(protect(f), ==, 2000);
}

/* Numbers at their ends do not overflow. */
static void test_extremes(Fixture *f, gconstpointer data)
{
    VirtIOGPUPolicyDecision d;

    f->in = (VirtIOGPUPolicyInput) {
        .now = G_MAXUINT64, .used = G_MAXUINT64, .target = 1,
        .limit = G_MAXUINT64, .idle_ms = G_MAXUINT64 - 1,
    };
    d = virtio_gpu_policy_decide(f->policy, &f->in);
    g_assert_cmpuint(d.bytes, ==, G_MAXUINT64 - 1);
    g_assert_cmpuint(d.last_use, ==, G_MAXUINT64 - 1000);
    f->in.target = 0;
    f->in.used = 0;
    f->in.now = 5000;
    d = virtio_gpu_policy_decide(f->policy, &f->in);
    g_assert_cmpuint(d.last_use, ==, 0);
}

#define ADD(name) \
    g_test_add("/virtio-gpu/policy/" #name, Fixture, NULL, setup, \
               test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(nothing);
    ADD(target);
    ADD(young);
    ADD(limit);
    ADD(idle);
    ADD(pressure);
    ADD(both);
    ADD(thrash);
    ADD(late_is_no_thrash);
    ADD(few_are_no_thrash);
    ADD(extremes);
    return g_test_run();
}
