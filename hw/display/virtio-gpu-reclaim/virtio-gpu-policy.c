/*
 * Virtio GPU: which resources leave host memory, and how much of it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qemu/osdep.h is left out on purpose: the unit test compiles this file on its
 * own, with GLib and nothing else.
 */

#include "virtio-gpu-policy.h"

struct VirtIOGPUPolicy {
    guint64 protect_ms;
    /*
     * Bytes that left, and that came back soon, since @raised; halved, as is
     * @protect_ms, after each VIRTIO_GPU_POLICY_SOON_MS from @halved on.
     */
    guint64 left, back;
    guint64 raised, halved;
};

VirtIOGPUPolicy *virtio_gpu_policy_new(void)
{
    VirtIOGPUPolicy *policy = g_new0(VirtIOGPUPolicy, 1);

    policy->protect_ms = VIRTIO_GPU_POLICY_PROTECT_MS;
    return policy;
}

static void virtio_gpu_policy_advance(VirtIOGPUPolicy *policy, guint64 now)
{
    guint64 periods = (now - policy->halved) / VIRTIO_GPU_POLICY_SOON_MS;

    if (periods) {
        periods = MIN(periods, 63);
        policy->left >>= periods;
        policy->back >>= periods;
        policy->protect_ms = MAX(policy->protect_ms >> periods,
                                 VIRTIO_GPU_POLICY_PROTECT_MS);
        policy->halved = now;
    }
}

guint64 virtio_gpu_policy_protect_ms(VirtIOGPUPolicy *policy, guint64 now)
{
    virtio_gpu_policy_advance(policy, now);
    return policy->protect_ms;
}

void virtio_gpu_policy_left(VirtIOGPUPolicy *policy, guint64 now,
                            guint64 bytes)
{
    virtio_gpu_policy_advance(policy, now);
    policy->left += bytes;
}

void virtio_gpu_policy_back(VirtIOGPUPolicy *policy, guint64 now, guint64 left,
                            guint64 bytes)
{
    virtio_gpu_policy_advance(policy, now);
    /* What left before the last raise was the reason for it. */
    if (now - left >= VIRTIO_GPU_POLICY_SOON_MS || left < policy->raised) {
        return;
    }
    policy->back += bytes;
    if (policy->back >= policy->left / VIRTIO_GPU_POLICY_THRASH_RATIO) {
        policy->protect_ms = MIN(policy->protect_ms * 2,
                                 VIRTIO_GPU_POLICY_PROTECT_MAX_MS);
        policy->raised = now;
        policy->halved = now;
        policy->left = 0;
        policy->back = 0;
    }
}

/* Bytes over the target, or over what is to be kept free below the limit. */
static guint64 virtio_gpu_policy_over(const VirtIOGPUPolicyInput *in)
{
    guint64 most = in->target ? in->target : G_MAXUINT64;

    if (in->limit) {
        most = MIN(most, in->limit - in->limit / VIRTIO_GPU_POLICY_HEADROOM);
    }
    return in->used > most ? in->used - most : 0;
}

/* Everything that was not used for so long leaves; G_MAXUINT64: nothing. */
static guint64 virtio_gpu_policy_age_ms(const VirtIOGPUPolicyInput *in)
{
    guint64 age = in->idle_ms ? in->idle_ms : G_MAXUINT64;

    switch (in->pressure) {
    case VIRTIO_GPU_PRESSURE_NONE:
        return age;
    case VIRTIO_GPU_PRESSURE_SOME:
        return MIN(age, VIRTIO_GPU_POLICY_SOME_MS);
    case VIRTIO_GPU_PRESSURE_FULL:
    default:
        return 0;
    }
}

VirtIOGPUPolicyDecision
virtio_gpu_policy_decide(VirtIOGPUPolicy *policy,
                         const VirtIOGPUPolicyInput *in)
{
    guint64 protect = virtio_gpu_policy_protect_ms(policy, in->now);
    guint64 age = virtio_gpu_policy_age_ms(in);
    guint64 over = virtio_gpu_policy_over(in);
    VirtIOGPUPolicyDecision decision = { 0 };

    if (age != G_MAXUINT64) {
        age = MAX(age, protect);
        decision.bytes = G_MAXUINT64;
    }
    if (over && age > protect) {
        /* Then, without @over, what is older. */
        age = protect;
        decision.bytes = over;
    }
    decision.last_use = decision.bytes && in->now > age ? in->now - age : 0;
    return decision;
}

guint64 virtio_gpu_policy_ask(const VirtIOGPUPolicyInput *in)
{
    return in->pressure == VIRTIO_GPU_PRESSURE_NONE ?
           virtio_gpu_policy_over(in) : in->used;
}
