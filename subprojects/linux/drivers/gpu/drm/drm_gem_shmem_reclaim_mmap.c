// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of drm_gem_shmem objects: mappings, which do not pin the pages.
 */

#include <linux/mm.h>
#include <linux/sched/signal.h>

#include <drm/drm_vma_manager.h>

#include "drm_gem_shmem_reclaim_internal.h"

/* Number of pages mapped by one fault, as in mm/. */
#define RECLAIM_FAULT_AROUND	16UL
/*
 * How often a page fault tries to populate an object, and the delay before the
 * second try in jiffies, doubled each time. After that it raises SIGBUS:
 * VM_FAULT_OOM would make the caller retry the fault without end.
 */
#define RECLAIM_FAULT_TRIES	5
#define RECLAIM_FAULT_DELAY	max(HZ / 50, 1)
/*
 * For how long after that faults on the object raise SIGBUS at once, so that a
 * task that accesses page after page does not wait for each of them.
 */
#define RECLAIM_FAULT_PAUSE	HZ

static int reclaim_mmap_require(struct drm_gem_shmem_reclaim_object *sobj)
{
	struct dma_resv *resv = to_gem(sobj)->resv;
	int ret;

	/* It is never set again. */
	if (!READ_ONCE(sobj->unbacked))
		return 0;

	ret = dma_resv_lock_interruptible(resv, NULL);
	if (ret)
		return ret;
	ret = drm_gem_shmem_reclaim_require(sobj);
	dma_resv_unlock(resv);
	return ret;
}

/**
 * drm_gem_shmem_reclaim_mmap - set up a mapping that does not pin the pages
 * @sobj: the shmem object, shrinkable or not
 * @shmem: the object
 * @vma: the mapping
 *
 * The driver's &vm_operations_struct must use drm_gem_shmem_reclaim_fault(),
 * drm_gem_vm_open() and drm_gem_vm_close(). An object that is not shrinkable
 * must stay populated for its lifetime.
 *
 * Returns: 0; -ENODATA if the object is DONTNEED, purged or not; -ENOMEM if it
 * was unbacked and memory is unlikely to suffice; another negative error code if
 * it cannot be mapped.
 */
int drm_gem_shmem_reclaim_mmap(struct drm_gem_shmem_reclaim_object *sobj,
			       struct drm_gem_shmem_object *shmem,
			       struct vm_area_struct *vma)
{
	int ret;

	if (is_cow_mapping(vma->vm_flags))
		return -EINVAL;

	if (drm_gem_shmem_reclaim_is_shrinkable(sobj)) {
		/* A snapshot: the lock may be held for long, and mmap_lock is. */
		if (reclaim_is_purgeable(sobj) && !READ_ONCE(sobj->pin_count))
			return -ENODATA;
		ret = reclaim_mmap_require(sobj);
		if (ret)
			return ret;
	}

	compat_vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	if (shmem->map_wc)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_mmap);

static vm_fault_t reclaim_map_around(struct drm_gem_shmem_object *shmem,
				     struct vm_fault *vmf, pgoff_t offset)
{
	struct vm_area_struct *vma = vmf->vma;
	pgoff_t nr_pages = shmem->base.size >> PAGE_SHIFT;
	pgoff_t vma_offset = vma->vm_pgoff -
			     drm_vma_node_start(&shmem->base.vma_node);
	pgoff_t first = max(round_down(offset, RECLAIM_FAULT_AROUND),
			    vma_offset);
	pgoff_t last = min3(round_down(offset, RECLAIM_FAULT_AROUND) +
			    RECLAIM_FAULT_AROUND, nr_pages,
			    vma_offset + vma_pages(vma));
	vm_fault_t ret;
	pgoff_t i;

	ret = vmf_insert_pfn(vma, vmf->address,
			     page_to_pfn(shmem->pages[offset]));
	if (ret & VM_FAULT_ERROR)
		return ret;

	/* Fault-around is best effort. */
	for (i = first; i < last; i++) {
		if (i == offset)
			continue;
		if (vmf_insert_pfn(vma, vma->vm_start +
				   ((i - vma_offset) << PAGE_SHIFT),
				   page_to_pfn(shmem->pages[i])) &
		    VM_FAULT_ERROR)
			break;
	}
	return ret;
}

static int reclaim_fault_pages(struct drm_gem_shmem_reclaim_object *sobj,
			       struct drm_gem_shmem_object *shmem)
{
	int ret;

	if (!drm_gem_shmem_reclaim_is_shrinkable(sobj))
		return WARN_ON_ONCE(!shmem->pages) ? -EFAULT : 0;

	/* Not time_before(): it may be so old that jiffies have wrapped. */
	if (!sobj->resident && sobj->fault_backoff &&
	    time_in_range_open(jiffies,
			       sobj->fault_backoff - RECLAIM_FAULT_PAUSE,
			       sobj->fault_backoff))
		return -EFAULT;

	ret = drm_gem_shmem_reclaim_populate(sobj);
	drm_gem_shmem_reclaim_update(sobj);
	return ret;
}

/*
 * Lock the reservation. Returns -EINTR if a signal ended the wait. After an
 * access by user space that may be any: it is delivered before the access is
 * repeated. An access by the kernel is repeated at once with the signal still
 * pending, so only a fatal one ends the wait there.
 */
static int reclaim_fault_lock(struct dma_resv *resv, struct vm_fault *vmf)
{
	if (!dma_resv_lock_interruptible(resv, NULL))
		return 0;
	if (vmf->flags & FAULT_FLAG_USER)
		return -EINTR;

	/* The lock has no killable variant. */
	while (!fatal_signal_pending(current)) {
		if (dma_resv_trylock(resv))
			return 0;
		schedule_timeout_killable(1);
	}
	return -EINTR;
}

/*
 * Lock and populate the object, waiting for memory. Returns 0 with the lock
 * held, -EINTR if a signal ended the wait, or another negative error code.
 */
static int reclaim_fault_populate(struct drm_gem_shmem_reclaim_object *sobj,
				  struct drm_gem_shmem_object *shmem,
				  struct vm_fault *vmf)
{
	unsigned int tries = 0, delay = RECLAIM_FAULT_DELAY;
	struct dma_resv *resv = shmem->base.resv;
	int err;

	for (;;) {
		if (reclaim_fault_lock(resv, vmf))
			return -EINTR;
		err = reclaim_fault_pages(sobj, shmem);
		if (!err)
			return 0;
		if (err == -ENOMEM && ++tries == RECLAIM_FAULT_TRIES)
			sobj->fault_backoff = (jiffies + RECLAIM_FAULT_PAUSE) ?: 1;
		dma_resv_unlock(resv);
		if (err != -ENOMEM || tries == RECLAIM_FAULT_TRIES)
			return err;

		schedule_timeout_killable(delay);
		if (fatal_signal_pending(current))
			return -EINTR;
		delay *= 2;
	}
}

/*
 * Whether mmap_lock may and should be dropped: once for each fault, if it cannot
 * be handled at once.
 */
static bool reclaim_fault_drop(struct drm_gem_shmem_reclaim_object *sobj,
			       struct drm_gem_shmem_object *shmem,
			       struct vm_fault *vmf)
{
	bool ready;

	if (!fault_flag_allow_retry_first(vmf->flags) ||
	    !drm_gem_shmem_reclaim_is_shrinkable(sobj))
		return false;
	if (!dma_resv_trylock(shmem->base.resv))
		return true;
	ready = sobj->resident || sobj->purged;
	dma_resv_unlock(shmem->base.resv);
	return !ready;
}

/*
 * Populate the object without mmap_lock, which all other threads of the process
 * need: that may take I/O, or waiting for the device or for memory. The fault is
 * repeated then.
 */
static vm_fault_t reclaim_fault_retry(struct drm_gem_shmem_reclaim_object *sobj,
				      struct drm_gem_shmem_object *shmem,
				      struct vm_fault *vmf)
{
	struct drm_gem_object *obj = &shmem->base;

	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;

	/* The mapping may go away. */
	drm_gem_object_get(obj);
	mmap_read_unlock(vmf->vma->vm_mm);
	if (!reclaim_fault_populate(sobj, shmem, vmf))
		dma_resv_unlock(obj->resv);
	drm_gem_object_put(obj);
	return VM_FAULT_RETRY;
}

/**
 * drm_gem_shmem_reclaim_fault - &vm_operations_struct.fault
 * @sobj: the shmem object, shrinkable or not
 * @shmem: the object
 * @vmf: the fault
 *
 * Populates the object. An access to a purged object, or to one for which there
 * is no memory, raises SIGBUS, or fails with EFAULT in a system call. So does
 * one by a task that is being killed. May sleep, without mmap_lock if the caller
 * allows that.
 *
 * Returns: a VM_FAULT code.
 */
vm_fault_t drm_gem_shmem_reclaim_fault(struct drm_gem_shmem_reclaim_object *sobj,
				       struct drm_gem_shmem_object *shmem,
				       struct vm_fault *vmf)
{
	struct drm_gem_object *obj = &shmem->base;
	/* Relative to the fake offset: correct for partial mappings, too. */
	pgoff_t offset = vmf->pgoff - drm_vma_node_start(&obj->vma_node);
	vm_fault_t ret;

	if (offset >= obj->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	if (reclaim_fault_drop(sobj, shmem, vmf))
		return reclaim_fault_retry(sobj, shmem, vmf);

	switch (reclaim_fault_populate(sobj, shmem, vmf)) {
	case 0:
		ret = reclaim_map_around(shmem, vmf, offset);
		dma_resv_unlock(obj->resv);
		return ret;
	case -EINTR:
	case -EAGAIN:
		/* An access by the kernel must not go on. */
		return fatal_signal_pending(current) ? VM_FAULT_SIGBUS :
						       VM_FAULT_NOPAGE;
	default:
		return VM_FAULT_SIGBUS;
	}
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_fault);
