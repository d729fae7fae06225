/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM drm_gem_shmem_reclaim

#if !defined(_DRM_GEM_SHMEM_RECLAIM_TRACE_H_) || defined(TRACE_HEADER_MULTI_READ)
#define _DRM_GEM_SHMEM_RECLAIM_TRACE_H_

#include <linux/tracepoint.h>

#include <drm/drm_device.h>
#include <drm/drm_gem.h>

/* Calls of the memory manager and their results, in pages. */
TRACE_EVENT(drm_gem_shmem_reclaim_count,
	TP_PROTO(struct drm_device *dev, unsigned long pages),
	TP_ARGS(dev, pages),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(unsigned long, pages)
	),
	TP_fast_assign(
		__entry->minor = dev->primary->index;
		__entry->pages = pages;
	),
	TP_printk("card%d pages=%lu", __entry->minor, __entry->pages)
);

TRACE_EVENT(drm_gem_shmem_reclaim_scan,
	TP_PROTO(struct drm_device *dev, unsigned long wanted,
		 unsigned long purged, unsigned long evicted),
	TP_ARGS(dev, wanted, purged, evicted),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(unsigned long, wanted)
		__field(unsigned long, purged)
		__field(unsigned long, evicted)
	),
	TP_fast_assign(
		__entry->minor = dev->primary->index;
		__entry->wanted = wanted;
		__entry->purged = purged;
		__entry->evicted = evicted;
	),
	TP_printk("card%d wanted=%lu purged=%lu evicted=%lu", __entry->minor,
		  __entry->wanted, __entry->purged, __entry->evicted)
);

/* Operations on an object; @pages are those released or populated. */
DECLARE_EVENT_CLASS(drm_gem_shmem_reclaim_object,
	TP_PROTO(struct drm_gem_object *obj, unsigned long pages),
	TP_ARGS(obj, pages),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(void *, obj)
		__field(unsigned long, pages)
	),
	TP_fast_assign(
		__entry->minor = obj->dev->primary->index;
		__entry->obj = obj;
		__entry->pages = pages;
	),
	TP_printk("card%d obj=%p pages=%lu", __entry->minor, __entry->obj,
		  __entry->pages)
);

DEFINE_EVENT(drm_gem_shmem_reclaim_object, drm_gem_shmem_reclaim_purge,
	TP_PROTO(struct drm_gem_object *obj, unsigned long pages),
	TP_ARGS(obj, pages)
);

DEFINE_EVENT(drm_gem_shmem_reclaim_object, drm_gem_shmem_reclaim_evict,
	TP_PROTO(struct drm_gem_object *obj, unsigned long pages),
	TP_ARGS(obj, pages)
);

DEFINE_EVENT(drm_gem_shmem_reclaim_object, drm_gem_shmem_reclaim_restore,
	TP_PROTO(struct drm_gem_object *obj, unsigned long pages),
	TP_ARGS(obj, pages)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../drivers/gpu/drm
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE drm_gem_shmem_reclaim_trace
#include <trace/define_trace.h>
