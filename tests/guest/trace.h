/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace events of the calling process.
 */
#ifndef GUEST_TRACE_H
#define GUEST_TRACE_H

/* Where trace_open() mounts tracefs. */
#define TRACEFS "/sys/kernel/tracing/"

/* Events of the driver: purge, evict, restore, count, scan. */
#define TRACE_RECLAIM "drm_gem_shmem_reclaim"

/*
 * Commands added to the control queue, and kicks of it: events "command" and
 * "kick", made with kprobes.
 */
#define TRACE_QUEUE "queue"

/* Pages that are mapped for the device: event "map", made with a kprobe. */
#define TRACE_DMA "dma"

/*
 * Mount tracefs. Neither options/record-cmd nor set_event_pid is used: they
 * trace the scheduler, whose code is patched then while each CPU runs it, and
 * TCG of QEMU 7.2 sometimes executes the breakpoint of such a patch for ever.
 */
void trace_open(void);

/* Trace the events of @group until trace_stop(); then count them. */
void trace_start(const char *group);
void trace_stop(const char *group);
unsigned traced(const char *group, const char *name);

#endif
