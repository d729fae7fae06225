/*
 * Virtio GPU: reclaim of resource memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the device model calls. Everything here does nothing, and leaves all
 * to the caller, unless the device was made with x-reclaim=on.
 */

#ifndef HW_VIRTIO_GPU_RECLAIM_H
#define HW_VIRTIO_GPU_RECLAIM_H

#include "standard-headers/linux/virtio_gpu_reclaim.h"

typedef struct VirtIOGPU VirtIOGPU;
typedef struct VirtIOGPUReclaim VirtIOGPUReclaim;
struct virtio_gpu_ctrl_command;
struct virtio_gpu_simple_resource;

/* Most resources that a purge of this device may have. */
#define VIRTIO_GPU_RECLAIM_MAX_PURGE 256

/* In place of a command's type: it has been dealt with. */
#define VIRTIO_GPU_RECLAIM_DONE VIRTIO_GPU_RESP_OK_NODATA

#define virtio_gpu_reclaim_enabled(_cfg) \
    (_cfg.flags & (1 << VIRTIO_GPU_FLAG_RECLAIM_ENABLED))

/* Whether @cmd has no header: then it has been answered with an error. */
bool virtio_gpu_reclaim_no_header(VirtIOGPU *g,
                                  struct virtio_gpu_ctrl_command *cmd);

/*
 * Carry out @cmd if it changes the residency of a resource, and check it if
 * it uses one. Returns the type of command that is left for the caller to
 * carry out: that of @cmd, or VIRTIO_GPU_RECLAIM_DONE with cmd->error set if
 * it failed and cmd->finished if it was answered.
 */
uint32_t virtio_gpu_reclaim_cmd(VirtIOGPU *g,
                                struct virtio_gpu_ctrl_command *cmd);

void virtio_gpu_reclaim_realize(VirtIOGPU *g);
void virtio_gpu_reclaim_finalize(Object *obj);
/* To be called before the device model drops its own resources. */
void virtio_gpu_reclaim_reset(VirtIOGPU *g);

/* virtio-gpu-reclaim-check.c */

/* Count @cmd if it was answered, or is going to be, with an error. */
void virtio_gpu_reclaim_done(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd);

/* Whether there is a cursor image to be had from @resource_id. */
bool virtio_gpu_reclaim_cursor(VirtIOGPU *g, uint32_t resource_id);

/* virtio-gpu-reclaim-stats.c */

/* Where contents of evicted resources are kept: as they are, or compressed. */
typedef enum VirtIOGPUEvictedStore {
    VIRTIO_GPU_EVICTED_STORE_OFF,
    VIRTIO_GPU_EVICTED_STORE_MEMORY,
} VirtIOGPUEvictedStore;

typedef struct VirtIOGPUReclaimConf {
    VirtIOGPUEvictedStore evicted_store;
    uint64_t evicted_store_max; /* bytes of it; 0: no limit */
} VirtIOGPUReclaimConf;

/* The property "reclaim-stats". */
extern const PropertyInfo virtio_gpu_reclaim_prop_stats;
extern const PropertyInfo virtio_gpu_reclaim_prop_evicted_store;

#define DEFINE_PROP_EVICTED_STORE(_name, _state, _field)                    \
    DEFINE_PROP_SIGNED(_name, _state, _field, VIRTIO_GPU_EVICTED_STORE_OFF, \
                       virtio_gpu_reclaim_prop_evicted_store,               \
                       VirtIOGPUEvictedStore)

/* virtio-gpu-reclaim-store.c */

/* Whether the properties go together. */
bool virtio_gpu_reclaim_check_conf(VirtIOGPU *g, Error **errp);

/* virtio-gpu-reclaim-vmstate.c */

/* Whether the resources of the 2D device can go to a stream: 0 or -errno. */
int virtio_gpu_reclaim_pre_save(VirtIOGPU *g);
/* What a stream cannot say otherwise. */
extern const VMStateDescription vmstate_virtio_gpu_reclaim;

/* virtio-gpu-reclaim-2d.c */

/* Look a resource up without walking a list. Needs x-reclaim=on. */
struct virtio_gpu_simple_resource *
virtio_gpu_reclaim_2d_find(VirtIOGPU *g, uint32_t resource_id);
/* Whether the stream has nothing but the subsection of it. */
bool virtio_gpu_reclaim_2d_is_purged(VirtIOGPU *g,
                                     struct virtio_gpu_simple_resource *res);
/*
 * Whether there is room for a resource of a stream, which has neither image
 * nor mappings yet; if not it is said why.
 */
bool
virtio_gpu_reclaim_2d_may_load(VirtIOGPU *g,
                               const struct virtio_gpu_simple_resource *res);
/* Enter a resource of a stream into the ledger. */
void virtio_gpu_reclaim_2d_loaded(VirtIOGPU *g,
                                  struct virtio_gpu_simple_resource *res);

/* virtio-gpu-reclaim-virgl.c */
void virtio_gpu_reclaim_virgl_instance_init(Object *obj);
void virtio_gpu_reclaim_virgl_init(VirtIOGPU *g);
/* To be called after the renderer has been reset. */
void virtio_gpu_reclaim_virgl_reset(VirtIOGPU *g);
/* Have a context carry out @words 32-bit words of commands. */
void virtio_gpu_reclaim_virgl_submit(VirtIOGPU *g,
                                     struct virtio_gpu_ctrl_command *cmd,
                                     void *buf, uint32_t words);

/* virtio-gpu.c */
void virtio_gpu_resource_create_2d(VirtIOGPU *g,
                                   struct virtio_gpu_ctrl_command *cmd);
void virtio_gpu_resource_create_blob(VirtIOGPU *g,
                                     struct virtio_gpu_ctrl_command *cmd);
void virtio_gpu_resource_destroy(VirtIOGPU *g,
                                 struct virtio_gpu_simple_resource *res);
void virtio_gpu_disable_scanout(VirtIOGPU *g, int scanout_id);

#endif /* HW_VIRTIO_GPU_RECLAIM_H */
