/*
 * Guests with a virtio-gpu: a memory cgroup for several of them
 *
 * Of version 2 where that has the memory controller, else of version 1. Needs
 * root; nothing has to be mounted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_CGROUP_H
#define TESTS_VM_VIRTIO_GPU_VM_CGROUP_H

typedef struct VmCgroup VmCgroup;

/*
 * Make a memory cgroup @name without a limit. Returns NULL if this machine does
 * not let us; then @reason is why, to be freed with g_free().
 */
VmCgroup *vm_cgroup_new(const char *name, char **reason);

/*
 * Move this process into @cgroup, or back to where it was: a QEMU that it
 * starts between is in it.
 */
void vm_cgroup_enter(VmCgroup *cgroup);
void vm_cgroup_leave(VmCgroup *cgroup);

/* Bytes of @cgroup that cannot be written back to a file. */
uint64_t vm_cgroup_used(VmCgroup *cgroup);

/* Limit the memory of @cgroup, with swap, to @bytes. */
void vm_cgroup_set_limit(VmCgroup *cgroup, uint64_t bytes);

/* Number of processes of @cgroup that the OOM killer has ended. */
unsigned vm_cgroup_oom_kills(VmCgroup *cgroup);

/* Remove @cgroup, in which there must be no process. */
void vm_cgroup_free(VmCgroup *cgroup);

#endif
