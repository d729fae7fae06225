// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings of user space that do not pin the pages.
 */

#include <linux/mm.h>
#include <linux/sched.h>

#include <drm/drm_vma_manager.h>

#include "drm_gem_shmem_reclaim_internal.h"

/* As in mm/: map this many pages around the one that was touched. */
#define RECLAIM_FAULT_AROUND	16UL
/*
 * How often a page fault tries to get an object's pages, and how long it waits
 * the first time; twice as long each time after that. When even then there is
 * no memory, who wants it gets a SIGBUS. To let the page fault handler sort it
 * out would be an OOM kill, and the victim could be anyone: pages of objects
 * are not counted as anybody's.
 */
#define RECLAIM_FAULT_TRIES	5
#define RECLAIM_FAULT_DELAY	max(HZ / 50, 1)
/*
 * For so long after that, faults on the same object are a SIGBUS at once: who
 * goes on to its next page would wait as long for each of them.
 */
#define RECLAIM_FAULT_PAUSE	HZ

/**
 * drm_gem_shmem_reclaim_mmap - prepare a mapping that does not pin the pages
 * @robj: the object's part, managed or not
 * @shmem: the object
 * @vma: the mapping
 *
 * The driver's &vm_operations_struct must use drm_gem_shmem_reclaim_fault(),
 * drm_gem_vm_open() and drm_gem_vm_close(). An object that is not managed must
 * have its pages for all its life.
 *
 * Returns: 0; -ENODATA if the contents may go, whether or not they are gone
 * already: whoever maps an object wants something of it; another
 * negative error code if it cannot be mapped like this.
 */
int drm_gem_shmem_reclaim_mmap(struct drm_gem_shmem_reclaim_object *robj,
			       struct drm_gem_shmem_object *shmem,
			       struct vm_area_struct *vma)
{
	int ret;

	if (is_cow_mapping(vma->vm_flags))
		return -EINVAL;

	if (drm_gem_shmem_reclaim_is_managed(robj)) {
		ret = dma_resv_lock_interruptible(shmem->base.resv, NULL);
		if (ret)
			return ret;
		if (robj->dontneed && !robj->pin_count)
			ret = -ENODATA;
		dma_resv_unlock(shmem->base.resv);
		if (ret)
			return ret;
	}

	vma->vm_flags |= VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP;
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

	/* The others are a favour: nobody minds if they are not there. */
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

static int reclaim_fault_pages(struct drm_gem_shmem_reclaim_object *robj)
{
	int ret;

	if (!robj->resident && robj->no_memory &&
	    time_before(jiffies, robj->no_memory))
		return -EFAULT;

	ret = drm_gem_shmem_reclaim_get_pages(robj);
	drm_gem_shmem_reclaim_update(robj);
	return ret;
}

/**
 * drm_gem_shmem_reclaim_fault - have the page there that was touched
 * @robj: the object's part, managed or not
 * @shmem: the object
 * @vmf: the fault
 *
 * Gets the pages of an object back from wherever they are. Touching one that
 * was purged and not asked back is a SIGBUS, and so is touching one for which
 * there is no memory.
 *
 * Returns: what &vm_operations_struct.fault returns.
 */
vm_fault_t drm_gem_shmem_reclaim_fault(struct drm_gem_shmem_reclaim_object *robj,
				       struct drm_gem_shmem_object *shmem,
				       struct vm_fault *vmf)
{
	struct drm_gem_object *obj = &shmem->base;
	/* What is left after the fake offset is right in a partial mapping. */
	pgoff_t offset = vmf->pgoff - drm_vma_node_start(&obj->vma_node);
	unsigned int tries = 0, delay = RECLAIM_FAULT_DELAY;
	vm_fault_t ret;
	int err = 0;

	if (offset >= obj->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;

	for (;;) {
		/* A signal: the fault is tried again if it does not kill us. */
		if (dma_resv_lock_interruptible(obj->resv, NULL))
			return VM_FAULT_NOPAGE;

		if (drm_gem_shmem_reclaim_is_managed(robj)) {
			err = reclaim_fault_pages(robj);
		} else if (WARN_ON_ONCE(!shmem->pages)) {
			err = -EFAULT;
		}
		if (err != -ENOMEM)
			break;
		if (++tries == RECLAIM_FAULT_TRIES) {
			robj->no_memory = (jiffies + RECLAIM_FAULT_PAUSE) ?: 1;
			break;
		}

		dma_resv_unlock(obj->resv);
		if (schedule_timeout_killable(delay))
			return VM_FAULT_NOPAGE;
		delay *= 2;
	}

	switch (err) {
	case 0:
		ret = reclaim_map_around(shmem, vmf, offset);
		break;
	case -EINTR:
	case -EAGAIN:
		ret = VM_FAULT_NOPAGE;
		break;
	default:
		ret = VM_FAULT_SIGBUS;
		break;
	}

	dma_resv_unlock(obj->resv);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_fault);
