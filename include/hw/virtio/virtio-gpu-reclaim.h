/*
 * Virtio GPU: reclaim of resource memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the device model calls. Everything here does nothing, and leaves all
 * to the caller, unless the device was made with x-reclaim=on. All functions
 * are called in the main loop with the BQL held.
 */

#ifndef HW_VIRTIO_GPU_RECLAIM_H
#define HW_VIRTIO_GPU_RECLAIM_H

#include "qemu/virtio-gpu-reclaim-compat.h"
#include "standard-headers/linux/virtio_gpu_reclaim.h"

typedef struct VirtIOGPU VirtIOGPU;
typedef struct VirtIOGPUBase VirtIOGPUBase;
typedef struct VirtIOGPUReclaim VirtIOGPUReclaim;
struct virtio_gpu_ctrl_command;
struct virtio_gpu_simple_resource;

/* Most resources in one purge, as announced in the configuration space. */
#define VIRTIO_GPU_RECLAIM_MAX_PURGE 256

/* Room for the fixed part of any request, in bytes. */
#define VIRTIO_GPU_RECLAIM_REQUEST_MAX 128

/* Properties; sizes in bytes. */
typedef struct VirtIOGPUReclaimConf {
    bool compress_evicted;      /* what the guest evicts, soon after */
    int pressure;               /* VirtIOGPUReclaimPressure */
    char *pressure_file;        /* to read in place of the host's; for tests */
    uint32_t idle_s;            /* compress what was not used; 0: off */
    uint32_t max_contexts;      /* GL contexts; 0: no limit */
    uint64_t compressed_max;    /* of compressed contents; 0: no limit */
    char *compressed_file;      /* directory of a file for what is over it */
    bool has_compressed_fd;     /* the file has been made, ... */
    int compressed_fd;          /* ... and this is it */
    uint64_t target;            /* of host memory; 0: none */
} VirtIOGPUReclaimConf;

/* What is watched for the host's memory pressure. */
typedef enum VirtIOGPUReclaimPressure {
    VIRTIO_GPU_RECLAIM_PRESSURE_OFF,
    VIRTIO_GPU_RECLAIM_PRESSURE_PSI,
} VirtIOGPUReclaimPressure;

/*
 * Of a command: while @out_sg is not NULL, the element's out_sg is @iov, a
 * private copy of the request, and @out_sg and @out_num are what it was.
 */
typedef struct VirtIOGPUReclaimRequest {
    struct iovec *out_sg;
    unsigned int out_num;
    struct iovec iov[2];        /* @fixed, and what follows if it was fetched */
    uint8_t fixed[VIRTIO_GPU_RECLAIM_REQUEST_MAX];
    /* The response, in place of OK, when the fence is signalled; or 0. */
    uint32_t error;
    /* A slice is done: the command is to be processed again for the next. */
    bool suspended;
    uint32_t done;              /* by former slices, of what it lists */
    void *partial;              /* the response to that */
} VirtIOGPUReclaimRequest;

/* virtio-gpu-reclaim-request.c */

/**
 * virtio_gpu_reclaim_fetch_request: Copy the fixed part of a request.
 * @g: the device
 * @cmd: the command, with cmd->reclaim cleared
 *
 * Handlers read the copy from here on. A request that is too short for its type
 * is left with cmd->error set.
 *
 * Returns: false if there is not even a header: then it was answered.
 */
bool virtio_gpu_reclaim_fetch_request(VirtIOGPU *g,
                                      struct virtio_gpu_ctrl_command *cmd);

/**
 * virtio_gpu_reclaim_release_request: Free the copy of a request.
 * @cmd: the command
 */
void virtio_gpu_reclaim_release_request(struct virtio_gpu_ctrl_command *cmd);

/**
 * virtio_gpu_reclaim_prepare_response: To be called before a response is sent.
 * @cmd: the command; its copy is freed, so that the element can be pushed
 * @resp: the response, in host byte order; made an error if one is due
 */
void virtio_gpu_reclaim_prepare_response(struct virtio_gpu_ctrl_command *cmd,
                                         struct virtio_gpu_ctrl_hdr *resp);

/* virtio-gpu-reclaim.c */

/**
 * virtio_gpu_reclaim_process_cmd: Carry out a command that concerns residency.
 * @g: the device
 * @cmd: the command, whose request has been fetched
 *
 * Returns: false if the stock handler is to carry it out; true if it has been
 * carried out, with cmd->finished set if it was answered and cmd->error if it
 * failed and is to be answered at once; or if it is suspended, with
 * cmd->reclaim.suspended set: then it stays the first in the queue, not to be
 * answered before it was processed again.
 */
bool virtio_gpu_reclaim_process_cmd(VirtIOGPU *g,
                                    struct virtio_gpu_ctrl_command *cmd);

/**
 * virtio_gpu_reclaim_finish_cmd: Account a command that was carried out.
 * @g: the device
 * @cmd: the command, answered or waiting for its fence
 */
void virtio_gpu_reclaim_finish_cmd(VirtIOGPU *g,
                                   struct virtio_gpu_ctrl_command *cmd);

/**
 * virtio_gpu_reclaim_has_2d: Whether 2D resources can be looked up by hash.
 * @g: the device
 */
bool virtio_gpu_reclaim_has_2d(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_find_resource: Look up a 2D resource by hash.
 * @g: the device, with x-reclaim=on
 * @resource_id: resource id
 */
struct virtio_gpu_simple_resource *
virtio_gpu_reclaim_find_resource(VirtIOGPU *g, uint32_t resource_id);

/**
 * virtio_gpu_reclaim_prepare_cursor: Whether a cursor image can be read.
 * @g: the device
 * @resource_id: resource id; restored if it has no storage; 0 for no cursor
 */
bool virtio_gpu_reclaim_prepare_cursor(VirtIOGPU *g, uint32_t resource_id);

/**
 * virtio_gpu_reclaim_features: Feature bits that are offered for reclaim.
 * @b: the device
 */
uint64_t virtio_gpu_reclaim_features(const VirtIOGPUBase *b);

/**
 * virtio_gpu_reclaim_config_size: Size of the configuration space in bytes.
 * @b: the device
 */
size_t virtio_gpu_reclaim_config_size(const VirtIOGPUBase *b);

/**
 * virtio_gpu_reclaim_get_config: Fill in what the feature adds to it.
 * @b: the device
 * @config: configuration space, of virtio_gpu_reclaim_config_size() bytes
 */
void virtio_gpu_reclaim_get_config(VirtIOGPUBase *b, uint8_t *config);

/**
 * virtio_gpu_reclaim_check_conf: Whether the properties go together.
 * @g: the device, not realized
 * @errp: why not
 *
 * The file for compressed contents is made here, so that a failure is told; it
 * is closed when the device is finalized.
 */
bool virtio_gpu_reclaim_check_conf(VirtIOGPU *g, Error **errp);

/* To be called when virtio_gpu_reclaim_check_conf() has said yes. */
void virtio_gpu_reclaim_realize(VirtIOGPU *g);
void virtio_gpu_reclaim_finalize(Object *obj);
/* To be called before the device model destroys its own resources. */
void virtio_gpu_reclaim_reset(VirtIOGPU *g);

/* virtio-gpu-reclaim-stats.c: the property "reclaim-stats". */
extern const PropertyInfo virtio_gpu_reclaim_prop_stats;

/* virtio-gpu-reclaim-control.c: "hostmem-target" and "x-reclaim-pressure". */
extern const PropertyInfo virtio_gpu_reclaim_prop_target;
extern const PropertyInfo virtio_gpu_reclaim_prop_pressure;

/* virtio-gpu-reclaim-vmstate.c: migration of the 2D device. */

/* What the stock stream cannot describe. */
extern const VMStateDescription vmstate_virtio_gpu_reclaim;

/**
 * virtio_gpu_reclaim_pre_save: Whether all resources can be migrated.
 * @g: the device
 *
 * Returns: 0 or a negative errno value, with the reason reported.
 */
int virtio_gpu_reclaim_pre_save(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_is_purged: Whether only the subsection has a resource.
 * @g: the device
 * @res: the resource
 */
bool virtio_gpu_reclaim_is_purged(VirtIOGPU *g,
                                  const struct virtio_gpu_simple_resource *res);

/**
 * virtio_gpu_reclaim_may_load: Whether a migrated resource fits the limit.
 * @g: the device
 * @res: the resource, which has neither image nor mappings yet
 *
 * Returns: false if not, with the reason reported.
 */
bool virtio_gpu_reclaim_may_load(VirtIOGPU *g,
                                 const struct virtio_gpu_simple_resource *res);

/**
 * virtio_gpu_reclaim_loaded: Account a migrated resource.
 * @g: the device
 * @res: the resource
 */
void virtio_gpu_reclaim_loaded(VirtIOGPU *g,
                               struct virtio_gpu_simple_resource *res);

/* virtio-gpu-reclaim-virgl.c */
void virtio_gpu_reclaim_virgl_instance_init(Object *obj);
/* The renderer has started. */
void virtio_gpu_reclaim_virgl_init(VirtIOGPU *g);
/* Whether commands have to wait until the renderer can be reset. */
bool virtio_gpu_reclaim_virgl_is_blocked(VirtIOGPU *g);
/* The renderer is going to be reset, and has been. */
void virtio_gpu_reclaim_virgl_reset_begin(VirtIOGPU *g);
void virtio_gpu_reclaim_virgl_reset_done(VirtIOGPU *g);

#endif /* HW_VIRTIO_GPU_RECLAIM_H */
