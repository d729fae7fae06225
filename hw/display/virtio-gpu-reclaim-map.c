/*
 * Virtio GPU: map the guest memory of a resource
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A resource that comes back from the guest's swap is scattered over single
 * pages, so there can be as many entries as it has pages, and most of those
 * that are adjacent in the guest are worth one mapping.
 */

#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "qemu/units.h"
#include "exec/address-spaces.h"
#include "sysemu/dma.h"
#include "virtio-gpu-reclaim-backend.h"

/* Entries read from the command at a time: 8 KiB of stack. */
#define CHUNK 512

/* The stream of the 2D device has 32 bits for the length of a mapping. */
#define RUN_MAX (1 * GiB)

/*
 * dma_memory_map() would serve anything that is not RAM through a bounce
 * buffer, of which there is one for all devices, by reading from it: not for
 * something that stays mapped.
 */
static bool is_ram(AddressSpace *as, hwaddr addr, hwaddr *len)
{
    MemoryRegion *mr;
    hwaddr xlat;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(as, addr, &xlat, len, true,
                                 MEMTXATTRS_UNSPECIFIED);
    return memory_access_is_direct(mr, true);
}

static void append(VirtIOGPUReclaimMapping *map, uint32_t *room,
                   hwaddr addr, void *host, hwaddr len)
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
static bool map_run(VirtIOGPU *g, VirtIOGPUReclaimMapping *map, uint32_t *room,
                    hwaddr addr, hwaddr len)
{
    AddressSpace *as = VIRTIO_DEVICE(g)->dma_as;

    while (len) {
        hwaddr part = len;
        void *host;

        if (!is_ram(as, addr, &part)) {
            return false;
        }
        host = dma_memory_map(as, addr, &part, DMA_DIRECTION_TO_DEVICE,
                              MEMTXATTRS_UNSPECIFIED);
        if (!host) {
            return false;
        }
        append(map, room, addr, host, part);
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

bool virtio_gpu_reclaim_map(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                            size_t offset, uint32_t nr_entries,
                            VirtIOGPUReclaimMapping *map)
{
    struct virtio_gpu_mem_entry entries[CHUNK];
    hwaddr run_addr = 0, run_len = 0;
    uint32_t room = 0, i;
    size_t size;

    memset(map, 0, sizeof(*map));
    size = iov_size(cmd->elem.out_sg, cmd->elem.out_num);
    if (size < offset || (size - offset) / sizeof(entries[0]) < nr_entries) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "%zu bytes cannot hold %u memory entries",
                                  size, nr_entries);
        return false;
    }

    for (i = 0; i < nr_entries; i++) {
        uint64_t addr;
        uint32_t len;

        if (i % CHUNK == 0) {
            iov_to_buf(cmd->elem.out_sg, cmd->elem.out_num,
                       offset + (size_t)i * sizeof(entries[0]), entries,
                       MIN(CHUNK, nr_entries - i) * sizeof(entries[0]));
        }
        addr = le64_to_cpu(entries[i % CHUNK].addr);
        len = le32_to_cpu(entries[i % CHUNK].length);
        if (len == 0 || addr > UINT64_MAX - len) {
            virtio_gpu_reclaim_refuse(
                g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                "memory entry %u has %u bytes at 0x%" PRIx64, i, len, addr);
            goto fail;
        }
        if (run_len && addr == run_addr + run_len && run_len + len <= RUN_MAX) {
            run_len += len;
            continue;
        }
        if (!map_run(g, map, &room, run_addr, run_len)) {
            goto not_ram;
        }
        run_addr = addr;
        run_len = len;
    }
    if (!map_run(g, map, &room, run_addr, run_len)) {
        goto not_ram;
    }
    /* No more than that is counted. */
    map->iov = g_renew(struct iovec, map->iov, map->iov_cnt);
    map->addrs = g_renew(uint64_t, map->addrs, map->iov_cnt);
    return true;

not_ram:
    virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                              "0x%" PRIx64 " bytes at 0x%" PRIx64
                              " are not all in RAM", run_len, run_addr);
fail:
    virtio_gpu_reclaim_unmap(g, map);
    return false;
}
