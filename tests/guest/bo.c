/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm.h>

#include "bo.h"

#define CARDS 4

const BoDriver *bo_driver = &bo_driver_virtio;

/* The number of the driver's card. */
static unsigned card;

int drm_request(int fd, unsigned long request, void *arg)
{
    int ret;

    do {
        ret = ioctl(fd, request, arg);
    } while (ret < 0 && (errno == EINTR || errno == EAGAIN));
    return ret < 0 ? -errno : 0;
}

int gem_close(int fd, uint32_t handle)
{
    struct drm_gem_close close = { .handle = handle };

    return drm_request(fd, DRM_IOCTL_GEM_CLOSE, &close);
}

static bool is_card_of(const BoDriver *driver, unsigned number)
{
    char path[64], name[32];
    FILE *file;
    bool is;

    snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%u/name", number);
    file = fopen(path, "r");
    if (!file) {
        return false;
    }
    is = fscanf(file, "%31s", name) == 1 && !strcmp(name, driver->name);
    fclose(file);
    return is;
}

bool bo_select_driver(const BoDriver *driver)
{
    unsigned i;

    for (i = 0; i < CARDS; i++) {
        if (is_card_of(driver, i)) {
            bo_driver = driver;
            card = i;
            return true;
        }
    }
    return false;
}

void bo_debugfs_path(const char *what, char *path, size_t size)
{
    snprintf(path, size, "/sys/kernel/debug/dri/%u/%s-%s", card,
             bo_driver->debugfs, what);
}

static int open_node(const char *name, unsigned number)
{
    char path[32];
    int gpu;

    snprintf(path, sizeof(path), "/dev/dri/%s%u", name, number);
    gpu = open(path, O_RDWR | O_CLOEXEC);
    return gpu < 0 ? -errno : gpu;
}

int gpu_open(void)
{
    return bo_driver->has_render_ioctls ? open_node("renderD", 128 + card)
                                        : gpu_open_card();
}

int gpu_open_card(void)
{
    return open_node("card", card);
}

int bo_create_unmapped(int gpu, BoKind kind, size_t bytes, Bo *bo)
{
    *bo = (Bo) { .kind = kind, .bytes = bytes };
    return bo_driver->create(gpu, bo);
}

void *bo_map_anew(int gpu, const Bo *bo, size_t bytes, int protection,
                  int flags)
{
    uint64_t offset;
    int ret = bo_driver->get_offset(gpu, bo->handle, &offset);

    if (ret < 0) {
        errno = -ret;
        return MAP_FAILED;
    }
    return mmap(NULL, bytes, protection, flags, gpu, offset);
}

int bo_map(int gpu, Bo *bo)
{
    bo->map = bo_map_anew(gpu, bo, bo->bytes, PROT_READ | PROT_WRITE,
                          MAP_SHARED);
    return bo->map == MAP_FAILED ? -errno : 0;
}

int bo_create(int gpu, BoKind kind, size_t bytes, Bo *bo)
{
    int ret = bo_create_unmapped(gpu, kind, bytes, bo);

    if (ret < 0) {
        return ret;
    }
    ret = bo_map(gpu, bo);
    if (ret < 0) {
        gem_close(gpu, bo->handle);
        bo->handle = 0;
    }
    return ret;
}

int bo_upload(int gpu, const Bo *bo)
{
    return bo_driver->upload ? bo_driver->upload(gpu, bo) : 0;
}

int bo_download(int gpu, const Bo *bo)
{
    return bo_driver->download ? bo_driver->download(gpu, bo) : 0;
}

int bo_wait(int gpu, const Bo *bo)
{
    return bo_driver->wait ? bo_driver->wait(gpu, bo) : 0;
}

int bo_madvise(int gpu, const Bo *bo, uint32_t madv, bool *retained)
{
    BoAdvice advice = { .handle = bo->handle, .madv = madv };
    int ret = drm_request(gpu, bo_driver->madvise, &advice);

    *retained = advice.retained;
    return ret;
}
