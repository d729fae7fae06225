/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __DRM_GEM_SHMEM_RECLAIM_H__
#define __DRM_GEM_SHMEM_RECLAIM_H__

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/list_lru.h>
#include <linux/llist.h>
#include <linux/mm_types.h>
#include <linux/notifier.h>
#include <linux/shrinker.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_gem_shmem_reclaim_compat.h>

struct dentry;
struct drm_device;
struct drm_file;
struct drm_gem_object;
struct drm_gem_shmem_object;
struct drm_gem_shmem_reclaim;
struct drm_gem_shmem_reclaim_request;
struct drm_gem_shmem_reclaim_object;
struct drm_gem_shmem_reclaim_tag;
struct iosys_map;
struct seq_file;

/**
 * DRM_GEM_SHMEM_RECLAIM_MAX_OBJECTS - most objects in one request
 *
 * Large enough to amortize the round trip to a device over many small objects,
 * small enough that a request and its commands can be preallocated.
 */
#define DRM_GEM_SHMEM_RECLAIM_MAX_OBJECTS 64

/**
 * enum drm_gem_shmem_reclaim_state - reclaim state of an object
 *
 * The states with reclaimable memory come first, cheapest to reclaim first.
 * There is one LRU list for each state but the first.
 */
enum drm_gem_shmem_reclaim_state {
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_UNSHRINKABLE: not registered for reclaim; the
	 * driver owns its pages.
	 */
	DRM_GEM_SHMEM_RECLAIM_UNSHRINKABLE,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_DONTNEED: has contents that user space does
	 * not need: purging takes no I/O and frees all pages, in memory or in
	 * swap, and storage of the device.
	 */
	DRM_GEM_SHMEM_RECLAIM_DONTNEED,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_WILLNEED: populated, and the contents are
	 * needed: the pages can only be made swappable.
	 */
	DRM_GEM_SHMEM_RECLAIM_WILLNEED,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_PINNED: populated, and the pages must not
	 * move.
	 */
	DRM_GEM_SHMEM_RECLAIM_PINNED,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_UNPOPULATED: has no pages and reads as zero:
	 * not used yet, or WILLNEED after a purge. There is nothing to purge,
	 * so it stays there when it is marked as DONTNEED.
	 */
	DRM_GEM_SHMEM_RECLAIM_UNPOPULATED,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_EVICTED: its pages are not pinned; the memory
	 * manager keeps the contents in the page cache or in swap.
	 */
	DRM_GEM_SHMEM_RECLAIM_EVICTED,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_PURGED: has neither pages nor contents, and
	 * is still DONTNEED.
	 */
	DRM_GEM_SHMEM_RECLAIM_PURGED,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_UNBACKED: has no pages and needs none: the
	 * contents are in storage of the device. See
	 * drm_gem_shmem_reclaim_require().
	 */
	DRM_GEM_SHMEM_RECLAIM_UNBACKED,
	/** @DRM_GEM_SHMEM_RECLAIM_NR_STATES: number of states */
	DRM_GEM_SHMEM_RECLAIM_NR_STATES
};

/**
 * enum drm_gem_shmem_reclaim_op - reclaim operation
 */
enum drm_gem_shmem_reclaim_op {
	/** @DRM_GEM_SHMEM_RECLAIM_NONE: none */
	DRM_GEM_SHMEM_RECLAIM_NONE,
	/** @DRM_GEM_SHMEM_RECLAIM_PURGE: discard the pages and the contents */
	DRM_GEM_SHMEM_RECLAIM_PURGE,
	/** @DRM_GEM_SHMEM_RECLAIM_EVICT: unpin the pages */
	DRM_GEM_SHMEM_RECLAIM_EVICT,
};

/**
 * struct drm_gem_shmem_reclaim_object - reclaim state of a shmem object
 *
 * Embedded by the driver in its own object. Unless stated otherwise, fields are
 * protected by the reservation lock of the object.
 */
struct drm_gem_shmem_reclaim_object {
	/** @shmem: the shmem object; constant */
	struct drm_gem_shmem_object *shmem;
	/** @reclaim: the device instance; constant, NULL if not shrinkable */
	struct drm_gem_shmem_reclaim *reclaim;
	/**
	 * @lru_node: entry in the LRU list of @state; protected by
	 * &drm_gem_shmem_reclaim.lru_lock
	 */
	struct list_head lru_node;
	/**
	 * @state: the LRU list it is on; written under the reservation lock and
	 * &drm_gem_shmem_reclaim.lru_lock, so either suffices to read it
	 */
	enum drm_gem_shmem_reclaim_state state;
	/**
	 * @counted: included in &drm_gem_shmem_reclaim_stats.purgeable;
	 * protected like @lru_node
	 */
	bool counted;
	/**
	 * @tag: entry in the list of the memory cgroup that is charged for the
	 * pages; NULL if there is none
	 */
	struct drm_gem_shmem_reclaim_tag *tag;
	/** @pin_count: while not 0, neither evicted nor purged */
	unsigned int pin_count;
	/** @retain_count: while not 0, not purged; it may be evicted */
	unsigned int retain_count;
	/** @dontneed: the last advice was DONTNEED */
	bool dontneed;
	/**
	 * @unpurgeable: cannot be purged, so it is evicted even if @dontneed;
	 * set by the driver right after drm_gem_shmem_reclaim_add(), or when
	 * the device completes a purge with -EOPNOTSUPP; never cleared
	 */
	bool unpurgeable;
	/**
	 * @rarely_pinned: may use movable memory, because its pages are only
	 * pinned while reclaim can unpin them, or for a while; set by the
	 * driver before drm_gem_shmem_reclaim_add()
	 */
	bool rarely_pinned;
	/**
	 * @last_used: in jiffies; protected like @lru_node
	 */
	unsigned long last_used;
	/**
	 * @unbacked: no pages were needed so far; may be set by the driver
	 * before drm_gem_shmem_reclaim_add(), never again after it was cleared
	 */
	bool unbacked;
	/**
	 * @bounced: the device uses a copy of the pages, or caches are not
	 * coherent, so they cannot be unmapped without losing what either side
	 * wrote last: it is not evicted; determined when it is populated
	 */
	bool bounced;
	/** @exported: kept for life because it was exported */
	bool exported;
	/** @resident: the pages are pinned and mapped for DMA */
	bool resident;
	/** @evicted: the contents are in the page cache or in swap */
	bool evicted;
	/** @purged: the contents are lost and WILLNEED has not reported it yet */
	bool purged;
	/** @op: pending operation; see drm_gem_shmem_reclaim_finish_pending() */
	enum drm_gem_shmem_reclaim_op op;
	/**
	 * @inflight: the device has not completed @op; set under the
	 * reservation lock, cleared without it by drm_gem_shmem_reclaim_done()
	 */
	bool inflight;
	/** @result: result of @op, valid once @inflight is clear */
	int result;
	/**
	 * @fault_backoff: in jiffies, until when page faults fail at once; 0 if
	 * none ever ran out of memory
	 */
	unsigned long fault_backoff;
	/** @put_node: for dropping the last reference outside of reclaim */
	struct llist_node put_node;
};

/**
 * struct drm_gem_shmem_reclaim_request - a preallocated request to the device
 *
 * Embedded by the driver beside what it needs to talk to its device, and handed
 * over with drm_gem_shmem_reclaim_add_request(): nothing can be allocated when
 * a scan needs a request.
 */
struct drm_gem_shmem_reclaim_request {
	/** @reclaim: the device instance; constant */
	struct drm_gem_shmem_reclaim *reclaim;
	/**
	 * @node: entry in &drm_gem_shmem_reclaim.requests while unused, or in
	 * &drm_gem_shmem_reclaim.late_requests; protected by
	 * &drm_gem_shmem_reclaim.lru_lock
	 */
	struct list_head node;
	/** @op: operation for all of @objs */
	enum drm_gem_shmem_reclaim_op op;
	/** @count: number of @objs */
	unsigned int count;
	/** @pending: outstanding completions, plus one for the scan that owns it */
	atomic_t pending;
	/**
	 * @late: the scan has given up, so that a worker releases the pages when
	 * the device responds; written before the scan drops its @pending
	 */
	bool late;
	/** @objs: the objects, with a reference to each */
	struct drm_gem_shmem_reclaim_object *objs[DRM_GEM_SHMEM_RECLAIM_MAX_OBJECTS];
};

/**
 * struct drm_gem_shmem_reclaim_ops - driver callbacks
 */
struct drm_gem_shmem_reclaim_ops {
	/**
	 * @submit: have the device release the objects of a request
	 *
	 * Called during reclaim with no lock held: must not allocate or sleep.
	 * The driver calls drm_gem_shmem_reclaim_done() once for each object,
	 * before or after this returns.
	 */
	void (*submit)(struct drm_gem_shmem_reclaim_request *req);

	/**
	 * @poll: process completions
	 *
	 * Called during reclaim, also while completions are outstanding, so
	 * that they are processed and fences signal even if the worker that
	 * does this normally cannot run for lack of memory. Must not allocate
	 * or sleep. Optional.
	 */
	void (*poll)(struct drm_gem_shmem_reclaim *reclaim);
};

/**
 * struct drm_gem_shmem_reclaim_stats - statistics of a device
 */
struct drm_gem_shmem_reclaim_stats {
	/** @total_objects: objects in any state */
	u64 total_objects;
	/** @total_bytes: their size */
	u64 total_bytes;
	/** @objects: objects in each state */
	u64 objects[DRM_GEM_SHMEM_RECLAIM_NR_STATES];
	/** @bytes: their size */
	u64 bytes[DRM_GEM_SHMEM_RECLAIM_NR_STATES];
	/** @resident: size of the objects with pinned pages, in any state */
	u64 resident;
	/**
	 * @purgeable: size of the DONTNEED objects with pinned pages: the
	 * memory that purging frees for certain
	 */
	u64 purgeable;
	/** @purges: objects purged */
	u64 purges;
	/** @evictions: objects evicted */
	u64 evictions;
	/** @refaults: evicted objects populated again */
	u64 refaults;
	/** @willneed_retained: WILLNEED calls that found the contents retained */
	u64 willneed_retained;
	/** @willneed_purged: WILLNEED calls that found them purged */
	u64 willneed_purged;
	/** @busy: objects that the device did not release */
	u64 busy;
	/** @waits: busy objects that a scan waited for until they were idle */
	u64 waits;
	/** @timeouts: requests that the device did not complete in time */
	u64 timeouts;
};

/**
 * struct drm_gem_shmem_reclaim - device instance, embedded by the driver
 */
struct drm_gem_shmem_reclaim {
	/** @dev: the device; constant */
	struct drm_device *dev;
	/** @ops: driver callbacks; constant */
	const struct drm_gem_shmem_reclaim_ops *ops;
	/** @shrinker: the shrinker registered with the memory manager */
	struct compat_shrinker shrinker;
	/** @memcg_shrinker: the one for limits of memory cgroups */
	struct compat_shrinker memcg_shrinker;
	/** @memcg_lru: resident DONTNEED objects of each memory cgroup */
	struct list_lru memcg_lru;
	/** @lru_lock: protects the lists and @stats; only list_lru nests inside */
	spinlock_t lru_lock;
	/** @lru: a list for each state, least recently used first */
	struct list_head lru[DRM_GEM_SHMEM_RECLAIM_NR_STATES];
	/** @stats: statistics */
	struct drm_gem_shmem_reclaim_stats stats;
	/**
	 * @no_dma_sync: the device uses the pages themselves, so nothing is
	 * copied when they are unmapped; constant once the first object was
	 * added
	 */
	bool no_dma_sync;
	/**
	 * @max_purge: most objects in a purge request; constant once the first
	 * object was added
	 */
	unsigned int max_purge;
	/** @requests: unused requests */
	struct list_head requests;
	/**
	 * @wait: woken when an operation on an object completes, and by the
	 * driver, see drm_gem_shmem_reclaim_wait_interruptible()
	 */
	wait_queue_head_t wait;
	/** @stalled: in jiffies, until when scans skip a device that timed out */
	unsigned long stalled;
	/** @is_stalled: @stalled is valid */
	bool is_stalled;
	/** @is_away: the OOM killer has waited for the device in vain */
	bool is_away;
	/** @late_requests: those that were completed after the scan gave up */
	struct list_head late_requests;
	/** @late_work: releases the pages of the objects in @late_requests */
	struct work_struct late_work;
	/**
	 * @late: requests that a scan has given up, and @late_work has not seen
	 * yet; protected by @lru_lock
	 */
	unsigned int late;
	/** @oom_notifier: waits for a device that is late */
	struct notifier_block oom_notifier;
	/** @idle_work: evicts objects that were not used for a while */
	struct delayed_work idle_work;
	/** @purge_work: purges objects for the sake of the device */
	struct work_struct purge_work;
	/**
	 * @purge_bytes: how much the device wants back; protected by @lru_lock
	 */
	u64 purge_bytes;
	/**
	 * @idle_stopped: neither @idle_work nor @purge_work must be queued;
	 * protected by @lru_lock
	 */
	bool idle_stopped;
	/** @memory_notifier: evicts objects before memory goes offline */
	struct notifier_block memory_notifier;
	/** @put_list: objects whose last reference @put_work drops */
	struct llist_head put_list;
	/** @put_work: drops references where it may allocate and sleep */
	struct work_struct put_work;
	/** @shrunk: pages reclaimed by the last write to the trigger */
	u64 shrunk;
};

/**
 * struct drm_gem_shmem_reclaim_export_funcs - what an export does to an object
 */
struct drm_gem_shmem_reclaim_export_funcs {
	/** @to_sobj: returns the shmem object of an object */
	struct drm_gem_shmem_reclaim_object *
	(*to_sobj)(struct drm_gem_object *obj);
	/**
	 * @keep: drm_gem_shmem_reclaim_retain(), or what pins the pages as
	 * well; called with the reservation lock of a shrinkable object held
	 */
	int (*keep)(struct drm_gem_shmem_reclaim_object *sobj);
	/** @unkeep: undo @keep, with the lock held as well */
	void (*unkeep)(struct drm_gem_shmem_reclaim_object *sobj);
};

int drm_gem_shmem_reclaim_init(struct drm_gem_shmem_reclaim *reclaim,
			       struct drm_device *dev,
			       const struct drm_gem_shmem_reclaim_ops *ops);
void drm_gem_shmem_reclaim_fini(struct drm_gem_shmem_reclaim *reclaim);
void drm_gem_shmem_reclaim_flush(struct drm_gem_shmem_reclaim *reclaim);
unsigned long drm_gem_shmem_reclaim_shrink(struct drm_gem_shmem_reclaim *reclaim,
					   unsigned long nr);
void drm_gem_shmem_reclaim_purge(struct drm_gem_shmem_reclaim *reclaim, u64 bytes);
void drm_gem_shmem_reclaim_add_request(struct drm_gem_shmem_reclaim *reclaim,
				       struct drm_gem_shmem_reclaim_request *req);
void drm_gem_shmem_reclaim_done(struct drm_gem_shmem_reclaim_request *req,
				struct drm_gem_shmem_reclaim_object *sobj,
				int result);
int drm_gem_shmem_reclaim_wait_interruptible(struct drm_gem_shmem_reclaim *reclaim,
					     bool (*done)(void *arg), void *arg);
void drm_gem_shmem_reclaim_get_stats(struct drm_gem_shmem_reclaim *reclaim,
				     struct drm_gem_shmem_reclaim_stats *stats);

bool drm_gem_shmem_reclaim_may_add(struct drm_gem_shmem_reclaim *reclaim,
				   size_t size);
void drm_gem_shmem_reclaim_add(struct drm_gem_shmem_reclaim *reclaim,
			       struct drm_gem_shmem_reclaim_object *sobj,
			       struct drm_gem_shmem_object *shmem);
void drm_gem_shmem_reclaim_remove(struct drm_gem_shmem_reclaim_object *sobj);
int drm_gem_shmem_reclaim_require(struct drm_gem_shmem_reclaim_object *sobj);
int drm_gem_shmem_reclaim_prepare(struct drm_gem_shmem_reclaim_object *sobj);
int drm_gem_shmem_reclaim_pin(struct drm_gem_shmem_reclaim_object *sobj);
void drm_gem_shmem_reclaim_unpin(struct drm_gem_shmem_reclaim_object *sobj);
int drm_gem_shmem_reclaim_retain(struct drm_gem_shmem_reclaim_object *sobj);
void drm_gem_shmem_reclaim_unretain(struct drm_gem_shmem_reclaim_object *sobj);
int drm_gem_shmem_reclaim_madvise(struct drm_gem_shmem_reclaim_object *sobj,
				  bool dontneed, bool *retained);
int drm_gem_shmem_reclaim_madvise_handle(struct drm_file *file, u32 handle,
					 bool dontneed, u32 *retained,
					 struct drm_gem_shmem_reclaim_object *
					 (*to_sobj)(struct drm_gem_object *obj));
int drm_gem_shmem_reclaim_mmap(struct drm_gem_shmem_reclaim_object *sobj,
			       struct drm_gem_shmem_object *shmem,
			       struct vm_area_struct *vma);
vm_fault_t drm_gem_shmem_reclaim_fault(struct drm_gem_shmem_reclaim_object *sobj,
				       struct drm_gem_shmem_object *shmem,
				       struct vm_fault *vmf);

int drm_gem_shmem_reclaim_gem_pin(struct drm_gem_shmem_reclaim_object *sobj,
				  struct drm_gem_shmem_object *shmem);
void drm_gem_shmem_reclaim_gem_unpin(struct drm_gem_shmem_reclaim_object *sobj,
				     struct drm_gem_shmem_object *shmem);
int drm_gem_shmem_reclaim_gem_vmap(struct drm_gem_shmem_reclaim_object *sobj,
				   struct drm_gem_shmem_object *shmem,
				   struct iosys_map *map);
void drm_gem_shmem_reclaim_gem_vunmap(struct drm_gem_shmem_reclaim_object *sobj,
				      struct drm_gem_shmem_object *shmem,
				      struct iosys_map *map);
int drm_gem_shmem_reclaim_handle_to_fd(struct drm_device *dev,
				       struct drm_file *file, u32 handle,
				       u32 flags, int *fd,
				       const struct drm_gem_shmem_reclaim_export_funcs *funcs);

void drm_gem_shmem_reclaim_show_stats(struct seq_file *m,
				      const struct drm_gem_shmem_reclaim_stats *stats);
void drm_gem_shmem_reclaim_debugfs_init(struct drm_gem_shmem_reclaim *reclaim,
					const char *name, struct dentry *dir);

/**
 * drm_gem_shmem_reclaim_is_shrinkable - whether an object is subject to reclaim
 * @sobj: the shmem object
 *
 * Returns: whether it was added with drm_gem_shmem_reclaim_add().
 */
static inline bool
drm_gem_shmem_reclaim_is_shrinkable(struct drm_gem_shmem_reclaim_object *sobj)
{
	return sobj->reclaim;
}

#endif /* __DRM_GEM_SHMEM_RECLAIM_H__ */
