/*
 * Virtio GPU: map the guest memory of a resource
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A resource that comes back from the guest's swap is scattered over single
 * pages, so there can be as many entries as it has pages; entries that are
 * adjacent in the guest share a mapping. To look each of the others up in the
 * address space would take most of the time of an attach.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "sysemu/dma.h"
#include "sysemu/xen.h"
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

/* With fewer entries a list of all RAM takes more than it saves. */
#define ENTRIES_FOR_LIST 8

/* RAM that has consecutive addresses in the guest and in QEMU. */
typedef struct RamRange {
    hwaddr addr, len;
    MemoryRegion *mr;
    uint8_t *host;
} RamRange;

/* A mapping that is being made. Used within an RCU read section. */
typedef struct Mapper {
    AddressSpace *as;
    VirtIOGPUReclaimMapping *map;
    uint32_t room;              /* in the arrays of @map */
    GArray *ranges;             /* of RamRange, by address; may be NULL */
    const RamRange *last;       /* the one used last */
} Mapper;

uint64_t virtio_gpu_reclaim_max_entries(uint64_t size)
{
    return DIV_ROUND_UP(size, GUEST_PAGE_SIZE) + ATTACH_SLACK;
}

static bool virtio_gpu_reclaim_map_add_range(Int128 start, Int128 len,
                                             const MemoryRegion *region,
                                             hwaddr offset, void *opaque)
{
    GArray *ranges = opaque;
    MemoryRegion *mr = (MemoryRegion *)region;
    RamRange *last = ranges->len ?
        &g_array_index(ranges, RamRange, ranges->len - 1) : NULL;
    RamRange range = {
        .addr = int128_get64(start), .len = int128_get64(len), .mr = mr,
    };

    if (!compat_access_is_direct(mr)) {
        return false;
    }
    range.host = (uint8_t *)memory_region_get_ram_ptr(mr) + offset;
    if (last && last->mr == mr && last->addr + last->len == range.addr &&
        last->host + last->len == range.host) {
        last->len += range.len;
    } else {
        g_array_append_val(ranges, range);
    }
    return false;
}

/* Behind an IOMMU the list is empty; Xen does not have all RAM mapped. */
static GArray *virtio_gpu_reclaim_map_list_ranges(AddressSpace *as)
{
    GArray *ranges;

    if (xen_enabled()) {
        return NULL;
    }
    ranges = g_array_new(false, false, sizeof(RamRange));
    flatview_for_each_range(address_space_to_flatview(as),
                            virtio_gpu_reclaim_map_add_range, ranges);
    return ranges;
}

static int virtio_gpu_reclaim_map_compare(const void *key, const void *element)
{
    const RamRange *range = element;
    hwaddr addr = *(const hwaddr *)key;

    return addr < range->addr ? -1 : addr - range->addr >= range->len;
}

/* The RAM in the list that has @addr, or NULL. */
static const RamRange *virtio_gpu_reclaim_map_find(Mapper *m, hwaddr addr)
{
    if (m->ranges && (!m->last ||
                      virtio_gpu_reclaim_map_compare(&addr, m->last))) {
        m->last = bsearch(&addr, m->ranges->data, m->ranges->len,
                          sizeof(RamRange), virtio_gpu_reclaim_map_compare);
    }
    return m->last;
}

/*
 * Map up to *@len bytes at @addr, to be released by dma_memory_unmap(). NULL if
 * it is not RAM: dma_memory_map() would serve that through a bounce buffer, of
 * which there is one for all devices, by reading from it; not for something
 * that stays mapped.
 */
static void *virtio_gpu_reclaim_map_part(Mapper *m, hwaddr addr, hwaddr *len)
{
    const RamRange *range = virtio_gpu_reclaim_map_find(m, addr);
    MemoryRegion *mr;
    hwaddr xlat;

    if (range) {
        *len = MIN(*len, range->len - (addr - range->addr));
        memory_region_ref(range->mr);
        return range->host + (addr - range->addr);
    }
    mr = address_space_translate(m->as, addr, &xlat, len, true,
                                 MEMTXATTRS_UNSPECIFIED);
    if (!compat_access_is_direct(mr)) {
        return NULL;
    }
    return dma_memory_map(m->as, addr, len, DMA_DIRECTION_TO_DEVICE,
                          MEMTXATTRS_UNSPECIFIED);
}

static void virtio_gpu_reclaim_map_append(Mapper *m, hwaddr addr, void *host,
                                          hwaddr len)
{
    VirtIOGPUReclaimMapping *map = m->map;

    if (map->iov_cnt == m->room) {
        m->room = MAX(m->room * 2, 16);
        map->iov = g_renew(struct iovec, map->iov, m->room);
        map->addrs = g_renew(uint64_t, map->addrs, m->room);
    }
    map->iov[map->iov_cnt].iov_base = host;
    map->iov[map->iov_cnt].iov_len = len;
    map->addrs[map->iov_cnt] = addr;
    map->iov_cnt++;
    map->bytes += len;
}

/* Map @len bytes at @addr: one mapping for each memory region they span. */
static bool virtio_gpu_reclaim_map_run(Mapper *m, hwaddr addr, hwaddr len,
                                       Error **errp)
{
    while (len) {
        hwaddr part = len;
        void *host = virtio_gpu_reclaim_map_part(m, addr, &part);

        if (!host) {
            error_setg(errp, "0x%" PRIx64 " bytes at 0x%" PRIx64
                       " are not all in RAM", len, addr);
            return false;
        }
        virtio_gpu_reclaim_map_append(m, addr, host, part);
        addr += part;
        len -= part;
    }
    return true;
}

/* As virtio_gpu_reclaim_map(); what is mapped if it fails stays so. */
static bool virtio_gpu_reclaim_map_entries(
    Mapper *m, const struct virtio_gpu_mem_entry *entries, uint32_t nr_entries,
    Error **errp)
{
    hwaddr run_addr = 0, run_len = 0;
    uint32_t i;

    for (i = 0; i < nr_entries; i++) {
        uint64_t addr = le64_to_cpu(entries[i].addr);
        uint32_t len = le32_to_cpu(entries[i].length);

        if (len == 0 || addr > UINT64_MAX - len) {
            error_setg(errp, "memory entry %u has %u bytes at 0x%" PRIx64, i,
                       len, addr);
            return false;
        }
        if (run_len && addr == run_addr + run_len && run_len + len <= RUN_MAX) {
            run_len += len;
            continue;
        }
        if (!virtio_gpu_reclaim_map_run(m, run_addr, run_len, errp)) {
            return false;
        }
        run_addr = addr;
        run_len = len;
    }
    return virtio_gpu_reclaim_map_run(m, run_addr, run_len, errp);
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
    g_autoptr(GArray) ranges = NULL;
    Mapper m = { .as = VIRTIO_DEVICE(g)->dma_as, .map = map };

    RCU_READ_LOCK_GUARD();
    memset(map, 0, sizeof(*map));
    if (nr_entries >= ENTRIES_FOR_LIST) {
        m.ranges = ranges = virtio_gpu_reclaim_map_list_ranges(m.as);
    }
    if (!virtio_gpu_reclaim_map_entries(&m, entries, nr_entries, errp)) {
        virtio_gpu_reclaim_unmap(g, map);
        return false;
    }
    /* Host memory is accounted by iov_cnt: keep no room beyond it. */
    map->iov = g_renew(struct iovec, map->iov, map->iov_cnt);
    map->addrs = g_renew(uint64_t, map->addrs, map->iov_cnt);
    return true;
}
