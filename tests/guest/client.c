/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "report.h"

/* Errors reported in detail; the rest are only counted. */
#define DETAILS 8

int client_expect(Client *client, const char *what, int ret)
{
    if (ret < 0 && client->errors++ < DETAILS) {
        report("error what=%s error=%s", what, strerrorname_np(-ret));
    }
    return ret;
}

void client_init(Client *client, size_t mib, ClientState *state)
{
    char name[64];

    *client = (Client) {
        .gpu = gpu_open(),
        .wanted = mib * MIB / BO_BYTES,
        .state = state,
    };
    client->tbo = calloc(client->wanted, sizeof(*client->tbo));
    if (!client->tbo ||
        client_expect(client, "open", client->gpu) < 0) {
        _exit(EXIT_FAILURE);
    }
    if (client_expect(client, "capabilities",
                      gpu_renderer(client->gpu, name, sizeof(name))) == 0) {
        report("renderer %s", name);
    }
    test_bo_catch_faults();
}

bool client_add(Client *client)
{
    TestBo *tbo = &client->tbo[client->count];
    int ret;

    if (client->count == client->wanted) {
        return false;
    }
    tbo->index = client->count;
    ret = bo_create(client->gpu, client->count % 2 ? BO_TEXTURE : BO_BUFFER,
                    BO_BYTES, &tbo->bo);
    if (ret == 0) {
        test_bo_fill(tbo, 0);
        ret = bo_upload(client->gpu, &tbo->bo);
    }
    /* At most one upload is in flight while the next buffer is filled. */
    if (ret == 0 && client->count > 0) {
        ret = bo_wait(client->gpu, &tbo[-1].bo);
    }
    if (ret < 0) {
        report("stopped mib=%zu error=%s", client->count * BO_BYTES / MIB,
               strerrorname_np(-ret));
        return false;
    }
    client->count++;
    client->state->bo_bytes = client->count * BO_BYTES;
    report("bo mib=%zu", client->count * BO_BYTES / MIB);
    return true;
}

void client_wait_idle(Client *client)
{
    size_t i;

    for (i = 0; i < client->count; i++) {
        client_expect(client, "wait",
                      bo_wait(client->gpu, &client->tbo[i].bo));
    }
}
