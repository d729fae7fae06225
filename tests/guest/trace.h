/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel traces of what the calling process does.
 */
#ifndef GUEST_TRACE_H
#define GUEST_TRACE_H

/* Events of the driver: purge, evict, restore, count, scan. */
#define TRACE_RECLAIM "drm_gem_shmem_reclaim"

/*
 * Commands that are put on a virtqueue, and kicks that tell the device: events
 * of our own, "command" and "kick", by way of kprobes.
 */
#define TRACE_QUEUE "queue"

/* Trace the events of @group until trace_stop(); from then on count them. */
void trace_start(const char *group);
void trace_stop(const char *group);
unsigned traced(const char *group, const char *name);

#endif
