/* SPDX-License-Identifier: MIT */
/* A vtest server on the library, for a program with Mesa's virgl driver. */

#define _GNU_SOURCE
#include "vtest.h"

#include "renderer.h"
#include "stream.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum command {
    GET_CAPS = 1,
    RESOURCE_UNREF = 3,
    SUBMIT = 6,
    RESOURCE_BUSY_WAIT = 7,
    CREATE_RENDERER = 8,
    GET_CAPS2 = 9,
    PING_PROTOCOL_VERSION = 10,
    PROTOCOL_VERSION = 11,
    RESOURCE_CREATE2 = 12,
    TRANSFER_GET2 = 13,
    TRANSFER_PUT2 = 14,
};

/* Commands that access the backing of a resource that one of their words names. */
#define TRANSFERS (1ull << VR_TRANSFER3D | 1ull << VR_COPY_TRANSFER3D)

static bool receive(int fd, void *data, size_t size)
{
    char *to = data;

    while (size) {
        ssize_t got = read(fd, to, size);

        if (got <= 0) {
            return false;
        }
        to += got;
        size -= got;
    }
    return true;
}

static void answer(struct vtest *v, uint32_t length, uint32_t command,
                   const void *data, size_t size)
{
    uint32_t header[2] = { length, command };

    g_assert_cmpint(write(v->fd, header, sizeof(header)), ==, sizeof(header));
    g_assert_cmpint(write(v->fd, data, size), ==, size);
}

static void answer_word(struct vtest *v, uint32_t command, uint32_t word)
{
    answer(v, 1, command, &word, sizeof(word));
}

/* The length is in bytes, with one more for the capability set id. */
static void answer_caps(struct vtest *v, uint32_t set)
{
    g_autofree void *caps = NULL;
    uint32_t version, size;

    virgl_renderer_get_cap_set(set, &version, &size);
    caps = g_malloc0(size);
    virgl_renderer_fill_caps(set, version, caps);
    answer(v, size + 1, set, caps, size);
}

/* Memory of a resource */

static void free_memory(gpointer data)
{
    struct iovec *iov = data;

    if (iov->iov_len) {
        munmap(iov->iov_base, iov->iov_len);
    }
    g_free(iov);
}

static void send_file(struct vtest *v, int file)
{
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec byte = { "", 1 };
    struct msghdr message = {
        .msg_iov = &byte,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &file, sizeof(file));
    g_assert_cmpint(sendmsg(v->fd, &message, 0), ==, 1);
}

/* Shared with the client, as guest memory. */
static void share_memory(struct vtest *v, struct iovec *iov)
{
    int file = memfd_create("vtest", MFD_CLOEXEC);

    g_assert_cmpint(ftruncate(file, iov->iov_len), ==, 0);
    iov->iov_base = mmap(NULL, iov->iov_len, PROT_READ | PROT_WRITE,
                         MAP_SHARED, file, 0);
    g_assert_true(iov->iov_base != MAP_FAILED);
    send_file(v, file);
    close(file);
}

void vtest_attach(struct vtest *v, uint32_t id)
{
    struct iovec *iov = g_hash_table_lookup(v->memory, GUINT_TO_POINTER(id));

    if (iov && iov->iov_len && !virgl_reclaim_resource_attached(v->vr, id)) {
        g_assert_cmpint(
            virgl_reclaim_resource_attach_iov(v->vr, id, iov, 1), ==, 0);
    }
}

bool vtest_detach(struct vtest *v, uint32_t id)
{
    return virgl_reclaim_resource_detach_iov(v->vr, id, NULL, NULL) == 0;
}

/* Commands */

static void create_resource(struct vtest *v, const uint32_t *args)
{
    struct virgl_renderer_resource_create_args create = {
        .handle = args[0],
        .target = args[1],
        .format = args[2],
        .bind = args[3],
        .width = args[4],
        .height = args[5],
        .depth = args[6],
        .array_size = args[7],
        .last_level = args[8],
        .nr_samples = args[9],
    };

    struct iovec *iov = g_new0(struct iovec, 1);

    g_assert_cmpint(virgl_reclaim_resource_create(v->vr, &create), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(v->vr, VTEST_CTX,
                                                      args[0]), ==, 0);
    g_hash_table_insert(v->memory, GUINT_TO_POINTER(args[0]), iov);
    /* None for multisampled textures. */
    iov->iov_len = args[10];
    if (iov->iov_len) {
        share_memory(v, iov);
        vtest_attach(v, args[0]);
    }
    if (v->created) {
        v->created(v, args[0]);
    }
}

static void destroy_resource(struct vtest *v, uint32_t id)
{
    if (v->destroyed) {
        v->destroyed(v, id);
    }
    vtest_detach(v, id);
    g_assert_cmpint(virgl_reclaim_resource_unref(v->vr, id), ==, 0);
    g_hash_table_remove(v->memory, GUINT_TO_POINTER(id));
}

static void transfer(struct vtest *v, bool to_host, const uint32_t *args)
{
    struct virgl_reclaim_transfer t = {
        .to_host = to_host,
        .ctx = VTEST_CTX,
        .level = args[1],
        .x = args[2],
        .y = args[3],
        .z = args[4],
        .w = args[5],
        .h = args[6],
        .d = args[7],
        .offset = args[9],
    };

    vtest_attach(v, args[0]);
    g_assert_cmpint(virgl_reclaim_resource_transfer(v->vr, args[0], &t), ==,
                    0);
}

/* In a guest the kernel does this, with the list of a stream's resources. */
static void attach_what_is_transferred(struct vtest *v, const uint32_t *words,
                                       uint32_t n)
{
    struct vr_stream stream = { words, n };
    struct vr_command cmd;

    while (vr_stream_next(&stream, TRANSFERS, &cmd)) {
        for (uint32_t i = 0; i < cmd.length; i++) {
            vtest_attach(v, cmd.args[i]);
        }
    }
}

static void submit(struct vtest *v, uint32_t *words, uint32_t n)
{
    attach_what_is_transferred(v, words, n);
    g_assert_cmpint(virgl_reclaim_submit(v->vr, VTEST_CTX, words, n), ==, 0);
    v->submissions++;
    if (v->submitted) {
        v->submitted(v);
    }
}

/* Messages */

bool vtest_is_submit(const struct vtest_message *m)
{
    return m->command == SUBMIT;
}

/* The length of most is not what is sent after the header. */
size_t vtest_body_size(const struct vtest_message *m)
{
    switch (m->command) {
    case RESOURCE_UNREF:
    case PROTOCOL_VERSION:
        return sizeof(uint32_t);
    case RESOURCE_BUSY_WAIT:
        return 2 * sizeof(uint32_t);
    case RESOURCE_CREATE2:
        return 11 * sizeof(uint32_t);
    case TRANSFER_GET2:
    case TRANSFER_PUT2:
        return 10 * sizeof(uint32_t);
    case CREATE_RENDERER:
        return m->length;
    case SUBMIT:
    case VTEST_MEMORY:
    case VTEST_TIME:
        return m->length * sizeof(uint32_t);
    default:
        return 0;
    }
}

static void carry_out(struct vtest *v, const struct vtest_message *m)
{
    uint32_t *args = m->body;

    switch (m->command) {
    case GET_CAPS:
        answer_caps(v, 1);
        break;
    case GET_CAPS2:
        answer_caps(v, 2);
        break;
    case CREATE_RENDERER:
        g_assert_cmpint(virgl_reclaim_ctx_create(v->vr, VTEST_CTX, m->length,
                                                 m->body), ==, 0);
        break;
    case PING_PROTOCOL_VERSION:
        answer(v, 0, m->command, NULL, 0);
        break;
    case PROTOCOL_VERSION:
        answer_word(v, m->command, 2);
        break;
    case RESOURCE_BUSY_WAIT:
        wait_for_renderer(VTEST_CTX);
        answer_word(v, m->command, 0);
        break;
    case RESOURCE_CREATE2:
        create_resource(v, args);
        break;
    case RESOURCE_UNREF:
        destroy_resource(v, args[0]);
        break;
    case TRANSFER_GET2:
    case TRANSFER_PUT2:
        transfer(v, m->command == TRANSFER_PUT2, args);
        break;
    case SUBMIT:
        submit(v, args, m->length);
        break;
    case VTEST_MEMORY:
    case VTEST_TIME:
        break;
    default:
        g_error("the client sends a command %u", m->command);
    }
}

static bool receive_message(struct vtest *v)
{
    struct vtest_message m = { 0 };
    g_autofree void *body = NULL;

    if (!receive(v->fd, &m, VTEST_HEADER_SIZE)) {
        return false;
    }
    m.size = vtest_body_size(&m);
    body = g_malloc(m.size);
    m.body = body;
    g_assert_true(receive(v->fd, body, m.size));
    if (v->received) {
        v->received(v, &m);
    }
    carry_out(v, &m);
    return true;
}

void vtest_foreach_read(struct vtest *v, const struct vtest_message *m,
                        void (*func)(struct vtest *v, uint32_t id))
{
    struct vr_stream stream = { m->body, m->length };
    struct vr_command cmd;

    if (m->command == TRANSFER_PUT2) {
        func(v, *(uint32_t *)m->body);
    }
    while (m->command == SUBMIT &&
           vr_stream_next(&stream, TRANSFERS, &cmd)) {
        /* The resource itself, and what it is copied by way of. */
        if (cmd.length) {
            func(v, cmd.args[0]);
        }
        if (cmd.length > 11) {
            func(v, cmd.args[11]);
        }
    }
}

void vtest_serve(struct vtest *v)
{
    g_autoptr(GList) left = NULL;

    v->memory = g_hash_table_new_full(NULL, NULL, NULL, free_memory);
    while (receive_message(v)) {
    }
    if (v->disconnected) {
        v->disconnected(v);
    }
    virgl_reclaim_ctx_destroy(v->vr, VTEST_CTX);
    left = g_hash_table_get_keys(v->memory);
    for (GList *l = left; l; l = l->next) {
        destroy_resource(v, GPOINTER_TO_UINT(l->data));
    }
    g_hash_table_destroy(v->memory);
}
