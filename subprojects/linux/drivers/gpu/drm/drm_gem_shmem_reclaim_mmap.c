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
		ret = dma_resv_lock_interruptible(shmem->base.resv, NULL);
		if (ret)
			return ret;
		if (reclaim_is_purgeable(sobj) && !sobj->pin_count)
			ret = -ENODATA;
		else
			ret = drm_gem_shmem_reclaim_require(sobj);
		dma_resv_unlock(shmem->base.resv);
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

static int reclaim_fault_pages(struct drm_gem_shmem_reclaim_object *sobj)
{
	int ret;

	if (!sobj->resident && sobj->fault_backoff &&
	    time_before(jiffies, sobj->fault_backoff))
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

/* End a fault because of a signal. An access by the kernel must not go on. */
static vm_fault_t reclaim_fault_interrupted(void)
{
	return fatal_signal_pending(current) ? VM_FAULT_SIGBUS :
					       VM_FAULT_NOPAGE;
}

/**
 * drm_gem_shmem_reclaim_fault - &vm_operations_struct.fault
 * @sobj: the shmem object, shrinkable or not
 * @shmem: the object
 * @vmf: the fault
 *
 * Populates the object. An access to a purged object, or to one for which there
 * is no memory, raises SIGBUS, or fails with EFAULT in a system call. So does
 * one by a task that is being killed. May sleep.
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
	unsigned int tries = 0, delay = RECLAIM_FAULT_DELAY;
	vm_fault_t ret;
	int err = 0;

	if (offset >= obj->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;

	for (;;) {
		if (reclaim_fault_lock(obj->resv, vmf))
			return reclaim_fault_interrupted();

		if (drm_gem_shmem_reclaim_is_shrinkable(sobj))
			err = reclaim_fault_pages(sobj);
		else if (WARN_ON_ONCE(!shmem->pages))
			err = -EFAULT;
		if (err != -ENOMEM)
			break;
		if (++tries == RECLAIM_FAULT_TRIES) {
			sobj->fault_backoff = (jiffies + RECLAIM_FAULT_PAUSE) ?: 1;
			break;
		}

		dma_resv_unlock(obj->resv);
		schedule_timeout_killable(delay);
		if (fatal_signal_pending(current))
			return reclaim_fault_interrupted();
		delay *= 2;
	}

	switch (err) {
	case 0:
		ret = reclaim_map_around(shmem, vmf, offset);
		break;
	case -EINTR:
	case -EAGAIN:
		ret = reclaim_fault_interrupted();
		break;
	default:
		ret = VM_FAULT_SIGBUS;
		break;
	}

	dma_resv_unlock(obj->resv);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_fault);
