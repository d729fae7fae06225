/*
 * Virtio GPU: map the guest memory of a resource
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A resource that comes back from the guest's swap is scattered over single
 * pages, so there can be as many entries as it has pages; entries that are
 * adjacent in the guest share a mapping.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "sysemu/dma.h"
#include "virtio-gpu-reclaim-map.h"

#define GUEST_PAGE_SIZE 4096

/*
 * Entries that an attach may have on top of one for each page of the
 * resource: stock drivers may give a resource more memory than it needs, and
 * stock devices have always taken this many.
 */
#define ATTACH_SLACK 16384

/* The 2D device's migration stream has 32 bits for the length of a mapping. */
#define RUN_MAX (1 * GiB)

uint64_t virtio_gpu_reclaim_max_entries(uint64_t size)
{
    return DIV_ROUND_UP(size, GUEST_PAGE_SIZE) + ATTACH_SLACK;
}

/*
 * dma_memory_map() would serve anything that is not RAM through a bounce
 * buffer, of which there is one for all devices, by reading from it: not for
 * something that stays mapped.
 */
static bool virtio_gpu_reclaim_map_is_ram(AddressSpace *as, hwaddr addr,
                                          hwaddr *len)
{
    MemoryRegion *mr;
    hwaddr xlat;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(as, addr, &xlat, len, true,
                                 MEMTXATTRS_UNSPECIFIED);
    return compat_access_is_direct(mr);
}

static void virtio_gpu_reclaim_map_append(VirtIOGPUReclaimMapping *map,
                                          uint32_t *room, hwaddr addr,
                                          void *host, hwaddr len)
{
    if (map->iov_cnt == *room) {
        *room = MAX(*room * 2, 16);
        map->iov = g_renew(struct iovec, map->iov, *room);
        map->addrs = g_renew(uint64_t, map->addrs, *room);
    }
    map->iov[map->iov_cnt].iov_base = host;
    map->iov[map->iov_cnt].iov_len = len;
    map->addrs[map->iov_cnt] = addr;
    map->iov_cnt++;
    map->bytes += len;
}

/* Map @len bytes at @addr: one mapping for each memory region they span. */
static bool virtio_gpu_reclaim_map_run(VirtIOGPU *g,
                                       VirtIOGPUReclaimMapping *map,
                                       uint32_t *room, hwaddr addr, hwaddr len,
                                       Error **errp)
{
    AddressSpace *as = VIRTIO_DEVICE(g)->dma_as;

    while (len) {
        hwaddr part = len;
        void *host = NULL;

        if (virtio_gpu_reclaim_map_is_ram(as, addr, &part)) {
            host = dma_memory_map(as, addr, &part, DMA_DIRECTION_TO_DEVICE,
                                  MEMTXATTRS_UNSPECIFIED);
        }
        if (!host) {
            error_setg(errp, "0x%" PRIx64 " bytes at 0x%" PRIx64
                       " are not all in RAM", len, addr);
            return false;
        }
        virtio_gpu_reclaim_map_append(map, room, addr, host, part);
        addr += part;
        len -= part;
    }
    return true;
}

void virtio_gpu_reclaim_unmap(VirtIOGPU *g, VirtIOGPUReclaimMapping *map)
{
    virtio_gpu_cleanup_mapping_iov(g, map->iov, map->iov_cnt);
    g_free(map->addrs);
    memset(map, 0, sizeof(*map));
}

bool virtio_gpu_reclaim_map(VirtIOGPU *g,
                            const struct virtio_gpu_mem_entry *entries,
                            uint32_t nr_entries, VirtIOGPUReclaimMapping *map,
                            Error **errp)
{
    hwaddr run_addr = 0, run_len = 0;
    uint32_t room = 0, i;

    memset(map, 0, sizeof(*map));
    for (i = 0; i < nr_entries; i++) {
        uint64_t addr = le64_to_cpu(entries[i].addr);
        uint32_t len = le32_to_cpu(entries[i].length);

        if (len == 0 || addr > UINT64_MAX - len) {
            error_setg(errp, "memory entry %u has %u bytes at 0x%" PRIx64, i,
                       len, addr);
            goto fail;
        }
        if (run_len && addr == run_addr + run_len && run_len + len <= RUN_MAX) {
            run_len += len;
            continue;
        }
        if (!virtio_gpu_reclaim_map_run(g, map, &room, run_addr, run_len,
                                        errp)) {
            goto fail;
        }
        run_addr = addr;
        run_len = len;
    }
    if (!virtio_gpu_reclaim_map_run(g, map, &room, run_addr, run_len, errp)) {
        goto fail;
    }
    /* Host memory is accounted by iov_cnt: keep no room beyond it. */
    map->iov = g_renew(struct iovec, map->iov, map->iov_cnt);
    map->addrs = g_renew(uint64_t, map->addrs, map->iov_cnt);
    return true;

fail:
    virtio_gpu_reclaim_unmap(g, map);
    return false;
}
