/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __DRM_GEM_SHMEM_RECLAIM_H__
#define __DRM_GEM_SHMEM_RECLAIM_H__

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm_types.h>
#include <linux/shrinker.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct drm_device;
struct drm_gem_shmem_object;
struct drm_gem_shmem_reclaim;
struct drm_gem_shmem_reclaim_batch;
struct drm_gem_shmem_reclaim_object;

/**
 * DRM_GEM_SHMEM_RECLAIM_BATCH - objects handed to the driver at a time
 *
 * Enough that the cost of a round trip to a device is shared by many small
 * objects, few enough that a batch and the commands for it fit in a small
 * reserve.
 */
#define DRM_GEM_SHMEM_RECLAIM_BATCH 64

/**
 * enum drm_gem_shmem_reclaim_state - what can be had from an object
 *
 * Those that have something to give come first, the easiest to take from
 * before the others. Each value but the first has a list of its own.
 */
enum drm_gem_shmem_reclaim_state {
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_UNMANAGED: not known here; its pages are
	 * somebody else's business.
	 */
	DRM_GEM_SHMEM_RECLAIM_UNMANAGED,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_DONTNEED: its owner can do without the
	 * contents: purging takes no I/O and gives back everything.
	 */
	DRM_GEM_SHMEM_RECLAIM_DONTNEED,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_WILLNEED: has pages and they matter: they can
	 * only be made swappable.
	 */
	DRM_GEM_SHMEM_RECLAIM_WILLNEED,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_PINNED: has pages and something relies on
	 * them staying where they are.
	 */
	DRM_GEM_SHMEM_RECLAIM_PINNED,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_EMPTY: has no pages and reads as zero: never
	 * used yet, or asked back after a purge.
	 */
	DRM_GEM_SHMEM_RECLAIM_EMPTY,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_EVICTED: holds no pages; the contents are the
	 * memory manager's, in the page cache or in swap.
	 */
	DRM_GEM_SHMEM_RECLAIM_EVICTED,
	/**
	 * @DRM_GEM_SHMEM_RECLAIM_PURGED: has neither pages nor contents and has
	 * not been asked back.
	 */
	DRM_GEM_SHMEM_RECLAIM_PURGED,
	/** @DRM_GEM_SHMEM_RECLAIM_NR_STATES: how many there are */
	DRM_GEM_SHMEM_RECLAIM_NR_STATES
};

/**
 * enum drm_gem_shmem_reclaim_op - what is being done to an object
 */
enum drm_gem_shmem_reclaim_op {
	/** @DRM_GEM_SHMEM_RECLAIM_NONE: nothing */
	DRM_GEM_SHMEM_RECLAIM_NONE,
	/** @DRM_GEM_SHMEM_RECLAIM_PURGE: drop pages and contents */
	DRM_GEM_SHMEM_RECLAIM_PURGE,
	/** @DRM_GEM_SHMEM_RECLAIM_EVICT: let go of the pages */
	DRM_GEM_SHMEM_RECLAIM_EVICT,
};

/**
 * struct drm_gem_shmem_reclaim_object - an object's part, for the driver to
 * embed in its own
 *
 * Unless said otherwise, fields are guarded by the reservation lock of the
 * object.
 */
struct drm_gem_shmem_reclaim_object {
	/** @shmem: the object; set once */
	struct drm_gem_shmem_object *shmem;
	/** @reclaim: the device's part; set once, NULL when unmanaged */
	struct drm_gem_shmem_reclaim *reclaim;
	/**
	 * @lru_node: place in the list of @state; guarded by
	 * &drm_gem_shmem_reclaim.lru_lock
	 */
	struct list_head lru_node;
	/**
	 * @state: the list it is in; written under the reservation lock and
	 * &drm_gem_shmem_reclaim.lru_lock, so either is enough to read it
	 */
	enum drm_gem_shmem_reclaim_state state;
	/** @pin_count: reasons not to touch the pages */
	unsigned int pin_count;
	/** @dontneed: the last advice */
	bool dontneed;
	/** @resident: the pages are held and mapped for DMA */
	bool resident;
	/** @evicted: the contents were left to the memory manager */
	bool evicted;
	/** @purged: the contents are gone and nobody was told yet */
	bool purged;
	/** @op: begun and not finished; see drm_gem_shmem_reclaim_settle() */
	enum drm_gem_shmem_reclaim_op op;
	/**
	 * @inflight: the device has not answered @op; set under the reservation
	 * lock, cleared without it by drm_gem_shmem_reclaim_done()
	 */
	bool inflight;
	/** @result: the answer to @op, valid once @inflight is clear */
	int result;
	/**
	 * @no_memory: in jiffies, until when page faults do not try again; 0 if
	 * they never failed for want of memory
	 */
	unsigned long no_memory;
	/** @put_node: used when the last reference is dropped during reclaim */
	struct llist_node put_node;
};

/**
 * struct drm_gem_shmem_reclaim_batch - a reserved request to let go of objects
 *
 * The driver embeds it next to whatever it needs to talk to its device and
 * hands it over with drm_gem_shmem_reclaim_add_batch(), because there is no
 * allocating anything when a batch is wanted.
 */
struct drm_gem_shmem_reclaim_batch {
	/** @reclaim: the device's part; set once */
	struct drm_gem_shmem_reclaim *reclaim;
	/**
	 * @node: place in &drm_gem_shmem_reclaim.batches while unused; guarded
	 * by &drm_gem_shmem_reclaim.lru_lock
	 */
	struct list_head node;
	/** @op: what to do to all of @objs */
	enum drm_gem_shmem_reclaim_op op;
	/** @count: how many of @objs are set */
	unsigned int count;
	/** @pending: answers missing, and one for the scan that filled it */
	atomic_t pending;
	/** @objs: the objects, with a reference to each */
	struct drm_gem_shmem_reclaim_object *objs[DRM_GEM_SHMEM_RECLAIM_BATCH];
};

/**
 * struct drm_gem_shmem_reclaim_ops - what only the driver knows
 */
struct drm_gem_shmem_reclaim_ops {
	/**
	 * @submit: have the device let go of the objects in the batch
	 *
	 * Called during reclaim with no lock held: must not allocate nor wait.
	 * drm_gem_shmem_reclaim_done() has to be called once for each object,
	 * before or after this returns.
	 */
	void (*submit)(struct drm_gem_shmem_reclaim_batch *batch);

	/**
	 * @poll: look for answers
	 *
	 * Called during reclaim, also while answers are missing, so that they
	 * arrive and fences signal even if the thread that normally takes care
	 * of that has no memory to run. Must not allocate nor wait. Optional.
	 */
	void (*poll)(struct drm_gem_shmem_reclaim *reclaim);
};

/**
 * struct drm_gem_shmem_reclaim_stats - a device's totals
 */
struct drm_gem_shmem_reclaim_stats {
	/** @objects: by state */
	u64 objects[DRM_GEM_SHMEM_RECLAIM_NR_STATES];
	/** @bytes: by state */
	u64 bytes[DRM_GEM_SHMEM_RECLAIM_NR_STATES];
	/** @resident: bytes of objects that hold their pages, in any state */
	u64 resident;
	/** @purges: objects purged so far */
	u64 purges;
	/** @evictions: objects evicted so far */
	u64 evictions;
	/** @refaults: evicted objects that got their pages back so far */
	u64 refaults;
	/** @retained_answers: times that contents were there when asked back */
	u64 retained_answers;
	/** @purged_answers: times that they were not */
	u64 purged_answers;
	/** @refused: objects that the device would not let go of */
	u64 refused;
	/** @waits: objects that were busy and waited for */
	u64 waits;
	/** @timeouts: times that the device did not answer soon enough */
	u64 timeouts;
};

/**
 * struct drm_gem_shmem_reclaim - a device's part, for the driver to embed
 */
struct drm_gem_shmem_reclaim {
	/** @dev: the device; set once */
	struct drm_device *dev;
	/** @ops: the driver's; set once */
	const struct drm_gem_shmem_reclaim_ops *ops;
	/** @shrinker: how the memory manager finds us */
	struct shrinker shrinker;
	/** @lru_lock: guards the lists and @stats; innermost */
	spinlock_t lru_lock;
	/** @lru: a list for each state, least recently used first */
	struct list_head lru[DRM_GEM_SHMEM_RECLAIM_NR_STATES];
	/** @stats: totals */
	struct drm_gem_shmem_reclaim_stats stats;
	/** @batches: those not in use */
	struct list_head batches;
	/** @wait: woken when the device answered for an object */
	wait_queue_head_t wait;
	/** @stalled: jiffies until which a device that was late is left alone */
	unsigned long stalled;
	/** @is_stalled: whether @stalled means anything */
	bool is_stalled;
	/** @put_list: objects whose last reference is to be dropped */
	struct llist_head put_list;
	/** @put_work: drops them where that may allocate and wait */
	struct work_struct put_work;
};

int drm_gem_shmem_reclaim_init(struct drm_gem_shmem_reclaim *reclaim,
			       struct drm_device *dev,
			       const struct drm_gem_shmem_reclaim_ops *ops);
void drm_gem_shmem_reclaim_fini(struct drm_gem_shmem_reclaim *reclaim);
void drm_gem_shmem_reclaim_flush(struct drm_gem_shmem_reclaim *reclaim);
unsigned long drm_gem_shmem_reclaim_shrink(struct drm_gem_shmem_reclaim *reclaim,
					   unsigned long nr);
void drm_gem_shmem_reclaim_add_batch(struct drm_gem_shmem_reclaim *reclaim,
				     struct drm_gem_shmem_reclaim_batch *batch);
void drm_gem_shmem_reclaim_done(struct drm_gem_shmem_reclaim_batch *batch,
				struct drm_gem_shmem_reclaim_object *robj,
				int result);
void drm_gem_shmem_reclaim_get_stats(struct drm_gem_shmem_reclaim *reclaim,
				     struct drm_gem_shmem_reclaim_stats *stats);

bool drm_gem_shmem_reclaim_may_add(struct drm_gem_shmem_reclaim *reclaim,
				   size_t size);
void drm_gem_shmem_reclaim_add(struct drm_gem_shmem_reclaim *reclaim,
			       struct drm_gem_shmem_reclaim_object *robj,
			       struct drm_gem_shmem_object *shmem);
void drm_gem_shmem_reclaim_remove(struct drm_gem_shmem_reclaim_object *robj);
int drm_gem_shmem_reclaim_use(struct drm_gem_shmem_reclaim_object *robj);
int drm_gem_shmem_reclaim_pin(struct drm_gem_shmem_reclaim_object *robj);
void drm_gem_shmem_reclaim_unpin(struct drm_gem_shmem_reclaim_object *robj);
int drm_gem_shmem_reclaim_madvise(struct drm_gem_shmem_reclaim_object *robj,
				  bool dontneed, bool *retained);
int drm_gem_shmem_reclaim_mmap(struct drm_gem_shmem_reclaim_object *robj,
			       struct drm_gem_shmem_object *shmem,
			       struct vm_area_struct *vma);
vm_fault_t drm_gem_shmem_reclaim_fault(struct drm_gem_shmem_reclaim_object *robj,
				       struct drm_gem_shmem_object *shmem,
				       struct vm_fault *vmf);

/**
 * drm_gem_shmem_reclaim_is_managed - whether an object can be reclaimed at all
 * @robj: the object's part
 */
static inline bool
drm_gem_shmem_reclaim_is_managed(struct drm_gem_shmem_reclaim_object *robj)
{
	return robj->reclaim;
}

#endif /* __DRM_GEM_SHMEM_RECLAIM_H__ */
