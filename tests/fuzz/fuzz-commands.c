/*
 * Fuzzer of the 2D device's commands in a single process
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Linked with the source files of the device model, compiled with sanitizers,
 * and with stubs of the QEMU functions that they call: guest memory of 1 MiB
 * with a read-only range, a virtqueue that accepts responses, displays that
 * read the surfaces they get. Functions that are never called remain undefined
 * (tools/build-fuzzers).
 *
 * The input is a list of commands. Each is a byte for the type, one for the
 * size of the response buffer, one for the size of the body, and the body. If
 * the high bit of the second byte is set, each byte of the body is extended to
 * 32 bits, because small numbers are valid more often. Further types stand for
 * an attach with compactly encoded entries, the cursor, an arbitrary request,
 * and a reset.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "qemu/iov.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "exec/address-spaces.h"
#include "hw/virtio/virtio-gpu.h"
#include "hw/virtio/virtio-gpu-pixman.h"
#include "hw/display/edid.h"
#include "hw/qdev-core.h"
#include "sysemu/runstate.h"
#include "ui/console.h"
#include "virtio-gpu-ledger.h"
#include "virtio-gpu-reclaim-backend.h"

#define RAM_SIZE (1 * MiB)
/* Read-only. */
#define ROM_START 0xc0000
#define ROM_END 0xe0000
#define SCANOUTS 2

#undef assert
#define assert(x) do { if (!(x)) { abort(); } } while (0)

/* Guest memory */

static uint8_t *ram;
static int mapped;
static MemoryRegion ram_region = { .ram = true };
static MemoryRegion rom_region = { .ram = true, .readonly = true };
static MemoryRegion no_region;

MemoryRegion *flatview_translate(FlatView *fv, hwaddr addr, hwaddr *xlat,
                                 hwaddr *len, bool is_write, MemTxAttrs attrs)
{
    bool rom = addr >= ROM_START && addr < ROM_END;

    *xlat = addr;
    if (addr >= RAM_SIZE) {
        return &no_region;
    }
    *len = MIN(*len, (addr < ROM_START ? ROM_START : rom ? ROM_END : RAM_SIZE) -
                     addr);
    return rom ? &rom_region : &ram_region;
}

void *address_space_map(AddressSpace *as, hwaddr addr, hwaddr *plen,
                        bool is_write, MemTxAttrs attrs)
{
    hwaddr xlat;

    assert(*plen);
    if (flatview_translate(NULL, addr, &xlat, plen, is_write, attrs) !=
        &ram_region) {
        return NULL;
    }
    mapped++;
    return ram + addr;
}

void address_space_unmap(AddressSpace *as, void *buffer, hwaddr len,
                         bool is_write, hwaddr access_len)
{
    uint8_t *p = buffer;

    assert(p >= ram && p + len <= ram + RAM_SIZE);
    mapped--;
}

void flatview_for_each_range(FlatView *fv, flatview_cb cb, void *opaque)
{
    cb(int128_zero(), int128_make64(ROM_START), &ram_region, 0, opaque);
    cb(int128_make64(ROM_START), int128_make64(ROM_END - ROM_START),
       &rom_region, ROM_START, opaque);
    cb(int128_make64(ROM_END), int128_make64(RAM_SIZE - ROM_END), &ram_region,
       ROM_END, opaque);
}

void *memory_region_get_ram_ptr(MemoryRegion *mr)
{
    return ram;
}

/* For each part of a mapping. */
void memory_region_ref(MemoryRegion *mr)
{
    assert(mr == &ram_region);
    mapped++;
}

bool xen_allowed;

bool memory_region_is_ram_device(MemoryRegion *mr)
{
    return false;
}

AddressSpace address_space_memory;

/* QOM: a single object, which any cast accepts. */

static VirtIOGPUClass gpu_class;

Object *object_dynamic_cast_assert(Object *obj, const char *typename,
                                   const char *file, int line, const char *func)
{
    return obj;
}

ObjectClass *object_class_dynamic_cast_assert(ObjectClass *klass,
                                              const char *typename,
                                              const char *file, int line,
                                              const char *func)
{
    return klass;
}

ObjectClass *object_get_class(Object *obj)
{
    return (ObjectClass *)&gpu_class;
}

/* Virtqueue */

static unsigned responses;

void virtqueue_push(VirtQueue *vq, const VirtQueueElement *elem,
                    unsigned int len)
{
    assert(len <= iov_size(elem->in_sg, elem->in_num));
    responses++;
}

void virtio_notify(VirtIODevice *vdev, VirtQueue *vq)
{
}

/* Displays, which read their surfaces so that ASan detects stale ones. */

static DisplaySurface *surfaces[SCANOUTS];

static unsigned scanout_of(QemuConsole *con)
{
    return (uintptr_t)con - 1;
}

static void read_surface(DisplaySurface *surface)
{
    volatile uint8_t sum = 0;
    uint8_t *row;
    int y;

    if (surface) {
        row = (uint8_t *)pixman_image_get_data(surface->image);
        for (y = 0; y < pixman_image_get_height(surface->image); y++) {
            sum += row[0] + row[pixman_image_get_width(surface->image) * 4 - 1];
            row += pixman_image_get_stride(surface->image);
        }
    }
}

DisplaySurface *qemu_create_displaysurface_pixman(pixman_image_t *image)
{
    DisplaySurface *surface = g_new0(DisplaySurface, 1);

    surface->image = pixman_image_ref(image);
    return surface;
}

void dpy_gfx_replace_surface(QemuConsole *con, DisplaySurface *surface)
{
    unsigned i = scanout_of(con);

    read_surface(surfaces[i]);
    if (surfaces[i]) {
        pixman_image_unref(surfaces[i]->image);
        g_free(surfaces[i]);
    }
    surfaces[i] = surface;
    read_surface(surface);
}

void dpy_gfx_update(QemuConsole *con, int x, int y, int w, int h)
{
    read_surface(surfaces[scanout_of(con)]);
}

bool console_has_gl(QemuConsole *con)
{
    return false;
}

void qemu_pixman_image_unref(pixman_image_t *image)
{
    if (image) {
        pixman_image_unref(image);
    }
}

void dpy_gl_scanout_disable(QemuConsole *con)
{
}

#if COMPAT_SHAREABLE_IMAGES
/* An image on the heap, where ASan sees what is beyond it. */
bool qemu_pixman_image_new_shareable(pixman_image_t **image,
                                     qemu_pixman_shareable *handle,
                                     const char *name,
                                     pixman_format_code_t format,
                                     int width, int height,
                                     int rowstride_bytes, Error **errp)
{
    *handle = SHAREABLE_NONE;
    *image = pixman_image_create_bits(format, width, height, NULL,
                                      rowstride_bytes);
    if (!*image) {
        error_setg(errp, "no image");
    }
    return *image;
}

void qemu_displaysurface_set_share_handle(DisplaySurface *surface,
                                          qemu_pixman_shareable handle,
                                          uint32_t offset)
{
}
#endif

void qemu_edid_generate(uint8_t *edid, size_t size, qemu_edid_info *info)
{
}

/* Suspended commands: slices run while there is a command in the queue. */

static bool scheduled;

bool runstate_is_running(void)
{
    return true;
}

VMChangeStateEntry *
qdev_add_vm_change_state_handler(DeviceState *dev, VMChangeStateHandler *cb,
                                 void *opaque)
{
    return NULL;
}

void qemu_bh_schedule(QEMUBH *bh)
{
    scheduled = true;
}

/* Bottom halves: QEMU 10.0 resets in one, at once as no vCPU asks for it. */

struct QEMUBH {
    QEMUBHFunc *cb;
    void *opaque;
};

bool qemu_in_vcpu_thread(void)
{
    return false;
}

QEMUBH *virtio_bh_new_guarded_full(DeviceState *dev, QEMUBHFunc *cb,
                                   void *opaque, const char *name)
{
    QEMUBH *bh = g_new(QEMUBH, 1);

    *bh = (QEMUBH) { .cb = cb, .opaque = opaque };
    return bh;
}

/* What QEMU 10.0 has in its place. */
QEMUBH *virtio_bh_io_new_guarded_full(DeviceState *dev, QEMUBHFunc *cb,
                                      void *opaque, const char *name)
{
    return virtio_bh_new_guarded_full(dev, cb, opaque, name);
}

void aio_bh_call(QEMUBH *bh)
{
    bh->cb(bh->opaque);
}

/* Device */

static VirtIOGPU *gpu;

void virtio_init(VirtIODevice *vdev, uint16_t device_id, size_t config_size)
{
}

VirtQueue *virtio_add_queue(VirtIODevice *vdev, int queue_size,
                            VirtIOHandleOutput handle_output)
{
    return NULL;
}

VirtQueue *virtio_get_queue(VirtIODevice *vdev, int n)
{
    return NULL;
}

QemuConsole *graphic_console_init(DeviceState *dev, uint32_t head,
                                  const GraphicHwOps *ops, void *opaque)
{
    return (QemuConsole *)(uintptr_t)(head + 1);
}

static void make_gpu(void)
{
    init_clocks(NULL);
    ram = g_malloc0(RAM_SIZE);
    gpu_class.process_cmd = virtio_gpu_simple_process_cmd;
#if COMPAT_SHAREABLE_IMAGES
    gpu_class.resource_destroy = virtio_gpu_resource_destroy;
#endif
    gpu = g_new0(VirtIOGPU, 1);
    gpu->parent_obj.parent_obj.dma_as = &address_space_memory;
    gpu->parent_obj.conf.max_outputs = SCANOUTS;
    gpu->parent_obj.conf.flags = 1 << VIRTIO_GPU_FLAG_RECLAIM_ENABLED;
    gpu->conf_max_hostmem = 16 * MiB;
    virtio_gpu_device_realize(DEVICE(gpu), &error_abort);
}

static void send_command(const void *bytes, size_t size, size_t in_len)
{
    struct virtio_gpu_ctrl_command *cmd = g_new(struct virtio_gpu_ctrl_command,
                                                1);
    /* Allocated with the exact size, so that ASan detects overruns. */
    g_autofree void *out = g_memdup2(bytes, size);
    g_autofree void *in = g_malloc(in_len);
    struct iovec out_sg = { .iov_base = out, .iov_len = size };
    struct iovec in_sg = { .iov_base = in, .iov_len = in_len };
    unsigned before = responses;

    memset(cmd, 0xa5, sizeof(*cmd));
    cmd->elem.out_sg = &out_sg;
    cmd->elem.out_num = 1;
    cmd->elem.in_sg = &in_sg;
    cmd->elem.in_num = in_len ? 1 : 0;
    cmd->error = 0;
    cmd->finished = false;
    memset(&cmd->reclaim, 0, sizeof(cmd->reclaim));
    QTAILQ_INSERT_TAIL(&gpu->cmdq, cmd, next);
    do {
        scheduled = false;
        virtio_gpu_process_cmdq(gpu);
    } while (scheduled);
    assert(QTAILQ_EMPTY(&gpu->cmdq));
    assert(responses == before + 1);
    assert(QTAILQ_EMPTY(&gpu->fenceq));
}

/* @data: bytes for the id and the count; for each entry, address and length. */
static void attach(const uint8_t *data, size_t size, size_t in_len)
{
    struct {
        struct virtio_gpu_resource_attach_backing head;
        struct virtio_gpu_mem_entry entries[128];
    } cmd = { .head.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING };
    unsigned n = 0;

    if (size < 2) {
        return;
    }
    cmd.head.resource_id = data[0] % 16;
    for (; n < ARRAY_SIZE(cmd.entries) && 2 * n + 3 < size; n++) {
        cmd.entries[n].addr = (uint64_t)data[2 * n + 2] << 12;
        cmd.entries[n].length = data[2 * n + 3] << 9;
    }
    cmd.head.nr_entries = data[1] & 0x80 ? data[1] & 0x7f : n;
    send_command(&cmd, sizeof(cmd.head) + n * sizeof(cmd.entries[0]), in_len);
}

static void reset(void)
{
    virtio_gpu_reset(VIRTIO_DEVICE(gpu));
    assert(mapped == 0);
    assert(QTAILQ_EMPTY(&gpu->reslist));
    assert(gpu->hostmem == 0);
    assert(virtio_gpu_ledger_stats(gpu->reclaim->ledger)->host_bytes == 0);
}

/* Compare the accounting with the existing resources. */
static void check(void)
{
    const VirtIOGPULedgerStats *s =
        virtio_gpu_ledger_stats(gpu->reclaim->ledger);
    struct virtio_gpu_simple_resource *res;
    uint64_t n = 0, host = 0, backing = 0;
    int maps = 0;

    QTAILQ_FOREACH(res, &gpu->reslist, next) {
        n++;
        host += res->hostmem;
        backing += iov_size(res->iov, res->iov_cnt);
        maps += res->iov_cnt;
    }
    assert(n == s->in[VIRTIO_GPU_LEDGER_RESIDENT].resources +
                s->in[VIRTIO_GPU_LEDGER_EVICTED].resources +
                s->in[VIRTIO_GPU_LEDGER_PURGED].resources);
    assert(backing == s->in[VIRTIO_GPU_LEDGER_RESIDENT].backing_bytes);
    assert(maps == mapped);
    assert(host == gpu->hostmem);
    assert(host == s->in[VIRTIO_GPU_LEDGER_RESIDENT].size +
                   s->in[VIRTIO_GPU_LEDGER_EVICTED].size);
    assert(s->host_bytes < gpu->conf_max_hostmem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t types[] = {
        VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, VIRTIO_GPU_CMD_RESOURCE_UNREF,
        VIRTIO_GPU_CMD_SET_SCANOUT, VIRTIO_GPU_CMD_RESOURCE_FLUSH,
        VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
        VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
        VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, VIRTIO_GPU_CMD_RESOURCE_PURGE,
        VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, VIRTIO_GPU_CMD_SUBMIT_3D,
        VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
        VIRTIO_GPU_RESP_OK_NODATA,
    };
    uint8_t buf[sizeof(struct virtio_gpu_ctrl_hdr) + 255 * sizeof(uint32_t)];
    struct virtio_gpu_ctrl_hdr *hdr = (void *)buf;

    if (!gpu) {
        make_gpu();
    }
    if (size) {
        gpu->parent_obj.parent_obj.guest_features =
            *data & 7 ? 1ull << VIRTIO_GPU_F_RECLAIM : 0;
        data++;
        size--;
    }
    while (size >= 3) {
        unsigned type = data[0] % (ARRAY_SIZE(types) + 4);
        size_t in_len = (data[1] & 0x7f) * 16, n = MIN(data[2], size - 3), len;
        bool small = data[1] & 0x80;

        data += 3;
        size -= 3;
        memset(hdr, 0, sizeof(*hdr));
        for (len = 0; small && len < n; len++) {
            stl_le_p((uint32_t *)(hdr + 1) + len, data[len]);
        }
        len *= sizeof(uint32_t);
        if (!small) {
            memcpy(hdr + 1, data, n);
            len = n;
        }
        if (type < ARRAY_SIZE(types)) {
            hdr->type = types[type];
            send_command(buf, sizeof(*hdr) + len, in_len);
        } else if (type == ARRAY_SIZE(types)) {
            reset();
        } else if (type == ARRAY_SIZE(types) + 1) {
            virtio_gpu_reclaim_prepare_cursor(gpu, n ? data[0] : 0);
        } else if (type == ARRAY_SIZE(types) + 2) {
            /* An arbitrary request, which may be shorter than a header. */
            send_command(data, n, in_len);
        } else {
            attach(data, n, in_len);
        }
        check();
        data += n;
        size -= n;
    }
    reset();
    return 0;
}
