/*
 * Virtio GPU: which resources leave host memory, and how much of it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Decides from numbers alone: memory in use, what it should be, the host's
 * pressure, and times. It needs only GLib and has no clock: the caller passes
 * milliseconds of a clock of its own, which must not decrease and are never 0.
 * No locking. Sizes are in bytes.
 *
 * The least recently used resources leave first. What was used within the last
 * second never leaves: it is the working set. When resources that left are
 * used again soon, that second becomes two, four, ... up to a minute, and falls
 * back when it no longer happens.
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_POLICY_H
#define HW_DISPLAY_VIRTIO_GPU_POLICY_H

#include <stdbool.h>
#include <glib.h>

/* What was used within this time is in use; at the least, and at most. */
#define VIRTIO_GPU_POLICY_PROTECT_MS 1000
#define VIRTIO_GPU_POLICY_PROTECT_MAX_MS 64000

/* What is used again sooner than this after it left should have stayed ... */
#define VIRTIO_GPU_POLICY_SOON_MS 10000
/* ... and if it is more than one byte in so many, there is thrashing. */
#define VIRTIO_GPU_POLICY_THRASH_RATIO 4

/* Under some pressure what was not used for so long leaves. */
#define VIRTIO_GPU_POLICY_SOME_MS 10000

/* One part in so many of the limit is kept free, so that creates find room. */
#define VIRTIO_GPU_POLICY_HEADROOM 16

/* How short of memory the host is. */
typedef enum VirtIOGPUPressure {
    VIRTIO_GPU_PRESSURE_NONE,
    VIRTIO_GPU_PRESSURE_SOME,   /* some of its tasks wait for memory */
    VIRTIO_GPU_PRESSURE_FULL,   /* all of them do */
} VirtIOGPUPressure;

typedef struct VirtIOGPUPolicy VirtIOGPUPolicy;

/* The present, and what is wanted. */
typedef struct VirtIOGPUPolicyInput {
    guint64 now;                /* milliseconds */
    guint64 used;
    guint64 target;             /* 0: none */
    guint64 limit;              /* 0: none */
    VirtIOGPUPressure pressure;
    guint64 idle_ms;            /* what was not used so long leaves; 0: off */
} VirtIOGPUPolicyInput;

typedef struct VirtIOGPUPolicyDecision {
    /* That are to leave; 0: nothing, G_MAXUINT64: all that may. */
    guint64 bytes;
    /* What was used last at this time or before may leave. */
    guint64 last_use;
} VirtIOGPUPolicyDecision;

/**
 * virtio_gpu_policy_new: Make a policy that has seen nothing yet.
 *
 * Returns: the policy, to be freed by g_free().
 */
VirtIOGPUPolicy *virtio_gpu_policy_new(void);

/**
 * virtio_gpu_policy_decide: What is to leave now.
 * @policy: the policy
 * @in: the present
 *
 * To be asked again after each resource that left: the target and the limit
 * want a number of bytes, pressure and idle time whatever is old enough.
 */
VirtIOGPUPolicyDecision
virtio_gpu_policy_decide(VirtIOGPUPolicy *policy,
                         const VirtIOGPUPolicyInput *in);

/**
 * virtio_gpu_policy_ask: Bytes that a guest should give back by itself.
 * @in: the present
 *
 * What it no longer wants costs nothing to lose: under pressure that is
 * anything.
 */
guint64 virtio_gpu_policy_ask(const VirtIOGPUPolicyInput *in);

/**
 * virtio_gpu_policy_left: A resource has left.
 * @policy: the policy
 * @now: the time
 * @bytes: of its storage
 */
void virtio_gpu_policy_left(VirtIOGPUPolicy *policy, guint64 now,
                            guint64 bytes);

/**
 * virtio_gpu_policy_back: A resource that had left is used again.
 * @policy: the policy
 * @now: the time
 * @left: when it left
 * @bytes: of its storage
 */
void virtio_gpu_policy_back(VirtIOGPUPolicy *policy, guint64 now, guint64 left,
                            guint64 bytes);

/**
 * virtio_gpu_policy_protect_ms: How long what was used is protected at present.
 * @policy: the policy
 * @now: the time
 */
guint64 virtio_gpu_policy_protect_ms(VirtIOGPUPolicy *policy, guint64 now);

#endif /* HW_DISPLAY_VIRTIO_GPU_POLICY_H */
