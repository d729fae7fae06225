/*
 * Virtio GPU: suspended commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A command whose work would hold up the main loop does a slice of it and is
 * suspended: it stays the first in the queue, unanswered, and its handler is
 * called again for the next slice. So the order of commands and fences is what
 * it is without that. Handlers keep what is done in the device's state or in
 * the request, and begin with the same validation each time.
 */

#include "qemu/osdep.h"
#include "sysemu/runstate.h"
#include "virtio-gpu-reclaim-suspend.h"

struct VirtIOGPUSuspend {
    VMChangeStateEntry *vm_state;
    bool pending;
    VirtIOGPUSuspendStats stats;
};

bool virtio_gpu_suspend_may(VirtIOGPU *g)
{
    return runstate_is_running();
}

void virtio_gpu_suspend_begin(VirtIOGPU *g,
                              struct virtio_gpu_ctrl_command *cmd)
{
    VirtIOGPUSuspend *s = g->reclaim->suspend;

    /* What has a fence is taken for carried out. It comes again with it. */
    cmd->cmd_hdr.flags &= ~VIRTIO_GPU_FLAG_FENCE;
    if (!s->pending) {
        s->pending = true;
        s->stats.commands++;
    }
}

void virtio_gpu_suspend_end(VirtIOGPU *g)
{
    g->reclaim->suspend->pending = false;
}

bool virtio_gpu_suspend_is_pending(VirtIOGPU *g)
{
    return g->reclaim->suspend->pending;
}

void virtio_gpu_suspend_resume(VirtIOGPU *g)
{
    if (virtio_gpu_suspend_is_pending(g)) {
        qemu_bh_schedule(g->ctrl_bh);
    }
}

void virtio_gpu_suspend_count_slice(VirtIOGPU *g, uint32_t steps)
{
    VirtIOGPUSuspendStats *stats = &g->reclaim->suspend->stats;

    stats->slices++;
    stats->max_steps = MAX(stats->max_steps, steps);
}

const VirtIOGPUSuspendStats *virtio_gpu_suspend_stats(const VirtIOGPU *g)
{
    return &g->reclaim->suspend->stats;
}

/* The state that is saved of a stopped VM has no suspended command. */
static void virtio_gpu_suspend_vm_state(void *opaque, bool running,
                                        RunState state)
{
    VirtIOGPU *g = opaque;

    if (!running && virtio_gpu_suspend_is_pending(g)) {
        virtio_gpu_process_cmdq(g);
    }
}

void virtio_gpu_suspend_init(VirtIOGPU *g)
{
    VirtIOGPUSuspend *s = g_new0(VirtIOGPUSuspend, 1);

    s->vm_state = qdev_add_vm_change_state_handler(
        DEVICE(g), virtio_gpu_suspend_vm_state, g);
    g->reclaim->suspend = s;
}

void virtio_gpu_suspend_free(VirtIOGPU *g)
{
    qemu_del_vm_change_state_handler(g->reclaim->suspend->vm_state);
    g_free(g->reclaim->suspend);
}
