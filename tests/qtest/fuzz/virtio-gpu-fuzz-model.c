/*
 * virtio-gpu fuzzer: model of the protocol and the accounting
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qapi/qmp/qdict.h"
#include "virtio-gpu-fuzz-model.h"

#define PAGE 4096
/* An attach may have this many more entries than the resource has pages. */
#define SLACK 16384
/* Guest memory below may be RAM, ROM or unmapped. */
#define RAM_START 0x100000
/* Upper bound of host memory per entry: it may be split into mappings. */
#define ENTRY_MAX 64
/* 2D device: host memory of a resource besides its image. */
#define OVERHEAD 640

/* Expected responses besides those of the protocol: any response. */
#define ANY 0
/* Any error. */
#define ERROR 1

#define OK VIRTIO_GPU_RESP_OK_NODATA
#define UNSPEC VIRTIO_GPU_RESP_ERR_UNSPEC
#define NO_MEMORY VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define BAD_RESOURCE VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define BAD_CONTEXT VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID
#define BAD_PARAMETER VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER

#define FIELD(c, type, field) \
    ((c)->out_len < offsetof(type, field) + sizeof(uint32_t) ? 0 : \
     (uint32_t)ldl_le_p((c)->out + offsetof(type, field)))

FuzzModel *fuzz_model_new(bool gl, uint64_t limit)
{
    FuzzModel *m = g_new0(FuzzModel, 1);

    m->gl = gl;
    m->limit = limit;
    m->resources = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    m->contexts = g_hash_table_new(NULL, NULL);
    return m;
}

void fuzz_model_free(FuzzModel *m)
{
    g_hash_table_destroy(m->resources);
    g_hash_table_destroy(m->contexts);
    g_free(m);
}

void fuzz_model_reset(FuzzModel *m, bool negotiated)
{
    g_hash_table_remove_all(m->resources);
    g_hash_table_remove_all(m->contexts);
    memset(m->scanout, 0, sizeof(m->scanout));
    memset(m->cursor, 0, sizeof(m->cursor));
    m->negotiated = negotiated;
    m->streams = false;
    m->uncertain = false;
}

FuzzResource *fuzz_model_find(const FuzzModel *m, uint32_t id)
{
    return g_hash_table_lookup(m->resources, GUINT_TO_POINTER(id));
}

static bool has_context(FuzzModel *m, uint32_t id)
{
    return g_hash_table_contains(m->contexts, GUINT_TO_POINTER(id));
}

static bool known_2d_format(uint32_t format)
{
    switch (format) {
    case VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM:
    case VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM:
    case VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM:
    case VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM:
    case VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM:
    case VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM:
    case VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM:
    case VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM:
        return true;
    default:
        return false;
    }
}

/*
 * 2D device: whether @size more bytes are below the limit: OK, NO_MEMORY or, if
 * that depends on how many entries were merged, ANY.
 */
static uint32_t want_fit(const FuzzModel *m, uint64_t size)
{
    uint64_t least = size, most = size;
    GHashTableIter iter;
    void *value;

    g_hash_table_iter_init(&iter, m->resources);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        FuzzResource *res = value;

        least += OVERHEAD + (res->state == FUZZ_PURGED ? 0 : res->size);
        most += res->entries * ENTRY_MAX;
    }
    most += least - size;
    return most < m->limit ? OK : least < m->limit ? ANY : NO_MEMORY;
}

/*
 * Each command has a function for the expected response, see wanted(), and one
 * that updates the model after a success, see follow().
 */

static uint32_t want_create(const FuzzModel *m, const FuzzCommand *c,
                            bool is_3d)
{
    uint32_t id = FIELD(c, struct virtio_gpu_resource_create_2d, resource_id);
    uint32_t format = FIELD(c, struct virtio_gpu_resource_create_2d, format);
    uint64_t w = FIELD(c, struct virtio_gpu_resource_create_2d, width);
    uint64_t h = FIELD(c, struct virtio_gpu_resource_create_2d, height);
    bool bad_id = !id || fuzz_model_find(m, id);

    if (c->out_len < (is_3d ? sizeof(struct virtio_gpu_resource_create_3d) :
                      sizeof(struct virtio_gpu_resource_create_2d))) {
        return BAD_PARAMETER;
    }
    if (m->gl) {
        return bad_id ? ERROR : ANY;
    }
    if (!known_2d_format(format)) {
        return bad_id ? ERROR : BAD_PARAMETER;
    }
    if (bad_id) {
        return !w || !h || want_fit(m, w * h * 4 + OVERHEAD) != OK ?
               ERROR : BAD_RESOURCE;
    }
    if (!w || !h) {
        return ANY;
    }
    if (w > INT16_MAX || h > INT16_MAX) {
        return want_fit(m, w * h * 4 + OVERHEAD) == NO_MEMORY ? ERROR : ANY;
    }
    return want_fit(m, w * h * 4 + OVERHEAD);
}

static void follow_create(FuzzModel *m, const FuzzCommand *c, bool is_3d)
{
    uint32_t id = FIELD(c, struct virtio_gpu_resource_create_2d, resource_id);
    FuzzResource *res = g_new0(FuzzResource, 1);

    if (is_3d) {
        res->width = FIELD(c, struct virtio_gpu_resource_create_3d, width);
        res->height = FIELD(c, struct virtio_gpu_resource_create_3d, height);
    } else {
        res->width = FIELD(c, struct virtio_gpu_resource_create_2d, width);
        res->height = FIELD(c, struct virtio_gpu_resource_create_2d, height);
    }
    if (!m->gl) {
        res->stride = res->width * 4;
        res->size = (uint64_t)res->stride * res->height;
    }
    g_hash_table_insert(m->resources, GUINT_TO_POINTER(id), res);
}

static uint32_t want_unref(const FuzzModel *m, const FuzzCommand *c)
{
    uint32_t id = FIELD(c, struct virtio_gpu_resource_unref, resource_id);

    if (c->out_len < sizeof(struct virtio_gpu_resource_unref)) {
        return BAD_PARAMETER;
    }
    return fuzz_model_find(m, id) ? OK : BAD_RESOURCE;
}

static void follow_unref(FuzzModel *m, const FuzzCommand *c)
{
    uint32_t id = FIELD(c, struct virtio_gpu_resource_unref, resource_id);
    int i;

    for (i = 0; i < FUZZ_SCANOUTS; i++) {
        if (m->scanout[i] == id) {
            m->scanout[i] = 0;
        }
        if (m->cursor[i] == id) {
            m->cursor[i] = 0;
        }
    }
    g_hash_table_remove(m->resources, GUINT_TO_POINTER(id));
}

/*
 * Return the sum of the lengths of an attach's entries; 0 if one is invalid.
 * Set @unsure if one is at addresses that may be invalid.
 */
static uint64_t entries_bytes(const FuzzCommand *c, uint32_t n, bool *unsure)
{
    const uint8_t *entry = c->out +
        sizeof(struct virtio_gpu_resource_attach_backing);
    uint64_t sum = 0;
    uint32_t i;

    *unsure = false;
    for (i = 0; i < n; i++, entry += sizeof(struct virtio_gpu_mem_entry)) {
        uint64_t addr = ldq_le_p(entry);
        uint32_t len = ldl_le_p(entry + 8);

        if (!len || addr > QVIRTIO_GPU_RAM || len > QVIRTIO_GPU_RAM - addr) {
            return 0;
        }
        *unsure = *unsure || addr < RAM_START;
        sum += len;
    }
    return sum;
}

static uint32_t want_attach(const FuzzModel *m, const FuzzCommand *c)
{
    size_t head = sizeof(struct virtio_gpu_resource_attach_backing);
    uint32_t id = FIELD(c, struct virtio_gpu_resource_attach_backing,
                        resource_id);
    uint32_t n = FIELD(c, struct virtio_gpu_resource_attach_backing,
                       nr_entries);
    FuzzResource *res = fuzz_model_find(m, id);
    uint64_t max = SLACK + (res ? DIV_ROUND_UP(res->size, PAGE) : 0);
    bool bad_count = !n || (!m->gl && n > max);
    bool bad_entries, unsure = false;

    if (c->out_len < head) {
        return BAD_PARAMETER;
    }
    bad_entries = (c->out_len - head) / sizeof(struct virtio_gpu_mem_entry) < n;
    bad_entries = bad_entries || !entries_bytes(c, n, &unsure);
    if (bad_count || bad_entries) {
        return res && !res->backing ? BAD_PARAMETER : ERROR;
    }
    if (!res) {
        return unsure ? ERROR : BAD_RESOURCE;
    }
    if (res->backing) {
        return unsure ? ERROR : UNSPEC;
    }
    if (unsure) {
        return ANY;
    }
    if (m->gl) {
        return n > max || res->state == FUZZ_PURGED ? ANY : OK;
    }
    return want_fit(m, (res->state == FUZZ_PURGED ? res->size : 0) +
                    n * ENTRY_MAX) == OK ? OK : ANY;
}

static void follow_attach(FuzzModel *m, const FuzzCommand *c)
{
    FuzzResource *res = fuzz_model_find(
        m, FIELD(c, struct virtio_gpu_resource_attach_backing, resource_id));
    bool unsure;

    if (res->state == FUZZ_PURGED) {
        m->counters.restores++;
    }
    res->state = FUZZ_RESIDENT;
    res->entries = FIELD(c, struct virtio_gpu_resource_attach_backing,
                         nr_entries);
    res->backing = entries_bytes(c, res->entries, &unsure);
    m->counters.attaches++;
}

static uint32_t want_detach(const FuzzModel *m, const FuzzCommand *c)
{
    FuzzResource *res = fuzz_model_find(
        m, FIELD(c, struct virtio_gpu_resource_detach_backing, resource_id));

    if (c->out_len < sizeof(struct virtio_gpu_resource_detach_backing)) {
        return BAD_PARAMETER;
    }
    if (!res) {
        return BAD_RESOURCE;
    }
    return res->backing ? OK : UNSPEC;
}

static void follow_detach(FuzzModel *m, const FuzzCommand *c)
{
    FuzzResource *res = fuzz_model_find(
        m, FIELD(c, struct virtio_gpu_resource_detach_backing, resource_id));

    res->state = FUZZ_EVICTED;
    res->backing = 0;
    res->entries = 0;
    m->counters.detaches++;
}

static uint32_t want_purge(const FuzzModel *m, const FuzzCommand *c)
{
    uint64_t n = FIELD(c, struct virtio_gpu_resource_purge, count);
    size_t head = sizeof(struct virtio_gpu_resource_purge);

    if (!m->negotiated) {
        return UNSPEC;
    }
    if (FIELD(c, struct virtio_gpu_ctrl_hdr, flags) & VIRTIO_GPU_FLAG_FENCE) {
        return BAD_PARAMETER;
    }
    if (c->out_len < head || n == 0 || n > QVIRTIO_GPU_MAX_PURGE ||
        c->out_len - head < n * 4 ||
        c->in_len < sizeof(struct virtio_gpu_resp_purge) + n * 4) {
        return BAD_PARAMETER;
    }
    return VIRTIO_GPU_RESP_OK_PURGE;
}

static uint32_t want_get_target(const FuzzModel *m, const FuzzCommand *c)
{
    if (!m->negotiated) {
        return UNSPEC;
    }
    if (FIELD(c, struct virtio_gpu_ctrl_hdr, flags) & VIRTIO_GPU_FLAG_FENCE ||
        c->in_len < sizeof(struct virtio_gpu_resp_reclaim_target)) {
        return BAD_PARAMETER;
    }
    return VIRTIO_GPU_RESP_OK_RECLAIM_TARGET;
}

static char *follow_purge(FuzzModel *m, const FuzzCommand *c)
{
    uint32_t n = FIELD(c, struct virtio_gpu_resource_purge, count), i;

    if (c->used_len != sizeof(struct virtio_gpu_resp_purge) + n * 4 ||
        ldl_le_p(c->in + offsetof(struct virtio_gpu_resp_purge, count)) != n) {
        return g_strdup_printf("purge of %u resources: response of %u bytes",
                               n, c->used_len);
    }
    for (i = 0; i < n; i++) {
        uint32_t id = ldl_le_p(c->out + sizeof(struct virtio_gpu_resource_purge)
                               + i * 4);
        uint32_t result = ldl_le_p(c->in + sizeof(struct virtio_gpu_resp_purge)
                                   + i * 4);
        FuzzResource *res = fuzz_model_find(m, id);
        bool scanout = false, cursor = false;
        uint32_t want;
        int s;

        for (s = 0; s < FUZZ_SCANOUTS; s++) {
            scanout = scanout || m->scanout[s] == id;
            cursor = cursor || m->cursor[s] == id;
        }
        want = !res ? VIRTIO_GPU_PURGE_UNKNOWN_ID :
               res->state == FUZZ_PURGED ? VIRTIO_GPU_PURGE_PURGED :
               scanout || cursor ? VIRTIO_GPU_PURGE_BUSY :
               VIRTIO_GPU_PURGE_PURGED;
        /* A resource created after the cursor was set to its id is not busy. */
        if (result != want && !(res && cursor && !scanout)) {
            return g_strdup_printf("purge of resource %u: result %u, "
                                   "expected %u", id, result, want);
        }
        m->counters.errors += result != VIRTIO_GPU_PURGE_PURGED;
        if (result == VIRTIO_GPU_PURGE_PURGED && res->state != FUZZ_PURGED) {
            res->state = FUZZ_PURGED;
            res->backing = 0;
            res->entries = 0;
            m->counters.purges++;
            m->purged++;
        }
    }
    return NULL;
}

static bool inside(uint64_t start, uint64_t len, uint64_t limit)
{
    return len && start + len <= limit;
}

static uint32_t want_to_host_2d(const FuzzModel *m, const FuzzCommand *c)
{
    typedef struct virtio_gpu_transfer_to_host_2d Transfer;
    FuzzResource *res = fuzz_model_find(m, FIELD(c, Transfer, resource_id));
    uint32_t h = FIELD(c, Transfer, r.height);
    uint64_t offset;

    if (c->out_len < sizeof(Transfer)) {
        return BAD_PARAMETER;
    }
    if (!res) {
        return BAD_RESOURCE;
    }
    if (!res->backing) {
        return ERROR;
    }
    offset = ldq_le_p(c->out + offsetof(Transfer, offset));
    if (m->gl || offset > QVIRTIO_GPU_RAM ||
        !inside(FIELD(c, Transfer, r.x), FIELD(c, Transfer, r.width),
                res->width) ||
        !inside(FIELD(c, Transfer, r.y), h, res->height) ||
        offset + (uint64_t)res->stride * h > res->backing) {
        return ANY;
    }
    return OK;
}

static uint32_t want_transfer_3d(const FuzzModel *m, const FuzzCommand *c)
{
    typedef struct virtio_gpu_transfer_host_3d Transfer;
    FuzzResource *res = fuzz_model_find(m, FIELD(c, Transfer, resource_id));

    if (!m->gl) {
        return ERROR;
    }
    if (c->out_len < sizeof(Transfer)) {
        return BAD_PARAMETER;
    }
    if (!res) {
        return ERROR;
    }
    return res->backing ? ANY : ERROR;
}

static uint32_t want_flush(const FuzzModel *m, const FuzzCommand *c)
{
    typedef struct virtio_gpu_resource_flush Flush;
    FuzzResource *res = fuzz_model_find(m, FIELD(c, Flush, resource_id));

    if (c->out_len < sizeof(Flush)) {
        return BAD_PARAMETER;
    }
    if (!res) {
        return BAD_RESOURCE;
    }
    if (!inside(FIELD(c, Flush, r.x), FIELD(c, Flush, r.width), res->width) ||
        !inside(FIELD(c, Flush, r.y), FIELD(c, Flush, r.height),
                res->height)) {
        return ANY;
    }
    return OK;
}

static uint32_t want_set_scanout(const FuzzModel *m, const FuzzCommand *c)
{
    typedef struct virtio_gpu_set_scanout SetScanout;
    uint32_t id = FIELD(c, SetScanout, resource_id);
    bool good_scanout = FIELD(c, SetScanout, scanout_id) < FUZZ_SCANOUTS;
    FuzzResource *res = fuzz_model_find(m, id);

    if (c->out_len < sizeof(SetScanout)) {
        return BAD_PARAMETER;
    }
    if (!good_scanout) {
        return ERROR;
    }
    if (!id) {
        return OK;
    }
    if (!res) {
        return BAD_RESOURCE;
    }
    return m->gl || res->backing ? ANY : ERROR;
}

static void follow_set_scanout(FuzzModel *m, const FuzzCommand *c)
{
    typedef struct virtio_gpu_set_scanout SetScanout;
    uint32_t id = FIELD(c, SetScanout, resource_id);
    FuzzResource *res = fuzz_model_find(m, id);

    if (res && res->state == FUZZ_PURGED) {
        res->state = FUZZ_RESIDENT;
        m->counters.restores++;
    }
    m->scanout[FIELD(c, SetScanout, scanout_id)] = id;
}

static uint32_t want_context(const FuzzModel *m, const FuzzCommand *c,
                             uint32_t type)
{
    uint32_t ctx = FIELD(c, struct virtio_gpu_ctrl_hdr, ctx_id);
    bool known = has_context((FuzzModel *)m, ctx);

    if (!m->gl) {
        return ERROR;
    }
    switch (type) {
    case VIRTIO_GPU_CMD_CTX_CREATE:
        if (c->out_len < sizeof(struct virtio_gpu_ctx_create)) {
            return BAD_PARAMETER;
        }
        return !ctx || known ? BAD_CONTEXT : ANY;
    case VIRTIO_GPU_CMD_CTX_DESTROY:
        return known ? OK : BAD_CONTEXT;
    default:
        if (c->out_len < sizeof(struct virtio_gpu_ctx_resource)) {
            return BAD_PARAMETER;
        }
        if (!fuzz_model_find(m, FIELD(c, struct virtio_gpu_ctx_resource,
                                      resource_id))) {
            return known ? BAD_RESOURCE : ERROR;
        }
        return !known ? BAD_CONTEXT :
               type == VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE ? OK : ANY;
    }
}

static uint32_t wanted(const FuzzModel *m, const FuzzCommand *c, uint32_t type)
{
    switch (type) {
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
        return want_create(m, c, false);
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_3D:
        return m->gl ? want_create(m, c, true) : ERROR;
    case VIRTIO_GPU_CMD_RESOURCE_UNREF:
        return want_unref(m, c);
    case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
        return want_attach(m, c);
    case VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING:
        return want_detach(m, c);
    case VIRTIO_GPU_CMD_RESOURCE_PURGE:
        return want_purge(m, c);
    case VIRTIO_GPU_CMD_GET_RECLAIM_TARGET:
        return want_get_target(m, c);
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
        return want_to_host_2d(m, c);
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D:
    case VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D:
        return want_transfer_3d(m, c);
    case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
        return want_flush(m, c);
    case VIRTIO_GPU_CMD_SET_SCANOUT:
        return want_set_scanout(m, c);
    case VIRTIO_GPU_CMD_CTX_CREATE:
    case VIRTIO_GPU_CMD_CTX_DESTROY:
    case VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE:
    case VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE:
        return want_context(m, c, type);
    case VIRTIO_GPU_CMD_GET_DISPLAY_INFO:
        return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
    case VIRTIO_GPU_CMD_GET_EDID:
    case VIRTIO_GPU_CMD_GET_CAPSET_INFO:
    case VIRTIO_GPU_CMD_GET_CAPSET:
    case VIRTIO_GPU_CMD_SUBMIT_3D:
        return ANY;
    default:
        return ERROR;
    }
}

static char *follow(FuzzModel *m, const FuzzCommand *c, uint32_t type)
{
    uint32_t ctx = FIELD(c, struct virtio_gpu_ctrl_hdr, ctx_id);

    switch (type) {
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
        follow_create(m, c, false);
        break;
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_3D:
        follow_create(m, c, true);
        break;
    case VIRTIO_GPU_CMD_RESOURCE_UNREF:
        follow_unref(m, c);
        break;
    case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
        follow_attach(m, c);
        break;
    case VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING:
        follow_detach(m, c);
        break;
    case VIRTIO_GPU_CMD_RESOURCE_PURGE:
        return follow_purge(m, c);
    case VIRTIO_GPU_CMD_SET_SCANOUT:
        follow_set_scanout(m, c);
        break;
    case VIRTIO_GPU_CMD_CTX_CREATE:
        g_hash_table_add(m->contexts, GUINT_TO_POINTER(ctx));
        break;
    case VIRTIO_GPU_CMD_CTX_DESTROY:
        g_hash_table_remove(m->contexts, GUINT_TO_POINTER(ctx));
        break;
    }
    return NULL;
}

char *fuzz_model_control(FuzzModel *m, const FuzzCommand *c)
{
    uint32_t type = FIELD(c, struct virtio_gpu_ctrl_hdr, type);
    uint32_t want, got;
    bool good;

    if (c->used_len < sizeof(uint32_t)) {
        /* Without a response only the expected one is known. */
        got = c->out_len < sizeof(struct virtio_gpu_ctrl_hdr) ? UNSPEC :
              wanted(m, c, type);
        m->uncertain = m->uncertain || got == ANY;
        got = got == ANY || got == ERROR ? UNSPEC : got;
    } else {
        got = ldl_le_p(c->in);
    }
    m->streams = m->streams || type == VIRTIO_GPU_CMD_SUBMIT_3D;
    want = c->out_len < sizeof(struct virtio_gpu_ctrl_hdr) ? BAD_PARAMETER :
           wanted(m, c, type);
    good = got >= OK && got < UNSPEC;
    if (!good && (got < UNSPEC || got > BAD_PARAMETER)) {
        return g_strdup_printf("response 0x%x is unknown", got);
    }
    if (c->used_len < sizeof(uint32_t) || m->uncertain) {
        want = ANY;
    }
    if (want == ERROR ? good : want != ANY && want != got) {
        return g_strdup_printf("response 0x%x, expected %s0x%x", got,
                               want == ERROR ? "an error, " : "", want);
    }

    if (!good) {
        /* An error changes no resource. */
        m->errors++;
        m->counters.errors++;
        return NULL;
    }
    m->ok++;
    return m->uncertain ? NULL : follow(m, c, type);
}

void fuzz_model_cursor(FuzzModel *m, const FuzzCommand *c)
{
    typedef struct virtio_gpu_update_cursor Cursor;
    uint32_t scanout = FIELD(c, Cursor, pos.scanout_id);
    uint32_t id = FIELD(c, Cursor, resource_id);
    FuzzResource *res = fuzz_model_find(m, id);

    if (c->out_len < sizeof(Cursor) || scanout >= FUZZ_SCANOUTS ||
        FIELD(c, Cursor, hdr.type) == VIRTIO_GPU_CMD_MOVE_CURSOR) {
        return;
    }
    m->cursor[scanout] = id;
    if (res && res->state == FUZZ_PURGED) {
        m->maybe_restored = res;
    }
}

void fuzz_model_resolve(FuzzModel *m, QDict *stats)
{
    if (qdict_get_int(stats, "restores") > m->counters.restores) {
        if (m->streams) {
            m->uncertain = true;
        } else if (m->maybe_restored) {
            m->maybe_restored->state = FUZZ_RESIDENT;
            m->counters.restores++;
        }
    }
    m->maybe_restored = NULL;
    m->streams = false;
}

/* Comparison */

static bool differs(char **why, QDict *dict, const char *group,
                    const char *name, uint64_t want)
{
    uint64_t got = qdict_get_int(dict, name);

    if (got == want) {
        return false;
    }
    *why = g_strdup_printf("reclaim-stats: %s%s%s is %" PRIu64 ", expected %"
                           PRIu64, group, *group ? "." : "", name, got, want);
    return true;
}

char *fuzz_model_compare(const FuzzModel *m, QDict *stats)
{
    static const char * const names[FUZZ_STATES] = {
        "resident", "evicted", "purged",
    };
    uint64_t n[FUZZ_STATES] = { 0 }, size[FUZZ_STATES] = { 0 }, backing = 0;
    uint64_t host = qdict_get_int(stats, "host-bytes"), got_size;
    uint64_t entries = 0, iov_bytes;
    GHashTableIter iter;
    char *why = NULL;
    void *value;
    int s;

    g_hash_table_iter_init(&iter, m->resources);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        FuzzResource *res = value;

        n[res->state]++;
        size[res->state] += res->size;
        backing += res->backing;
        entries += res->entries;
    }

    iov_bytes = qdict_get_int(qdict_get_qdict(stats, "resident"), "iov-bytes");
    if (iov_bytes > entries * ENTRY_MAX || !iov_bytes != !entries) {
        return g_strdup_printf("reclaim-stats: iov-bytes is %" PRIu64
                               " for %" PRIu64 " entries", iov_bytes, entries);
    }
    got_size = iov_bytes;
    for (s = 0; s < FUZZ_STATES; s++) {
        QDict *in = qdict_get_qdict(stats, names[s]);
        const char *bytes = s == FUZZ_PURGED ? "released-bytes" : "host-bytes";

        if (differs(&why, in, names[s], "resources", n[s]) ||
            (!m->gl && differs(&why, in, names[s], bytes, size[s])) ||
            (s == FUZZ_RESIDENT &&
             differs(&why, in, names[s], "backing-bytes", backing))) {
            return why;
        }
        got_size += s == FUZZ_PURGED ? 0 : qdict_get_int(in, bytes);
    }
    if ((!m->gl && differs(&why, stats, "", "overhead-bytes", OVERHEAD *
                           g_hash_table_size(m->resources))) ||
        differs(&why, stats, "", "attaches", m->counters.attaches) ||
        differs(&why, stats, "", "detaches", m->counters.detaches) ||
        differs(&why, stats, "", "purges", m->counters.purges) ||
        differs(&why, stats, "", "restores", m->counters.restores) ||
        differs(&why, stats, "", "errors", m->counters.errors)) {
        return why;
    }
    got_size += qdict_get_int(qdict_get_qdict(stats, "deferred"),
                              "host-bytes");
    got_size += qdict_get_int(qdict_get_qdict(stats, "compressed"),
                              "compressed-bytes");
    if (host != got_size) {
        return g_strdup_printf("reclaim-stats: host-bytes is %" PRIu64
                               ", sum of its parts %" PRIu64, host, got_size);
    }
    if (qdict_get_int(stats, "host-bytes-peak") < host) {
        return g_strdup("reclaim-stats: host-bytes is above its peak");
    }
    return NULL;
}
