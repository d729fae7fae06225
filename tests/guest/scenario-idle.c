/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client that needs all of its buffers, but not all at once: idle ones can
 * be swapped.
 */

#include "client.h"
#include "report.h"

/* Number of new buffers after which an old one is used. */
#define REUSE_EVERY 4

static void use_old(Client *client, size_t which)
{
    TestBo *tbo = &client->tbo[which];

    test_bo_rewrite(tbo, tbo->rewritten + 1);
    client_expect(client, "upload", bo_upload(client->gpu, &tbo->bo));
}

void scenario_idle(size_t mib, ClientState *state,
                   void (*pause_here)(const char *event))
{
    PageCounts pages = { 0 };
    size_t next_old = 0;
    Client client;
    size_t i;

    client_init(&client, mib, state);
    while (client_add(&client)) {
        if (client.count % REUSE_EVERY == 0) {
            use_old(&client, next_old++);
        }
    }
    client_wait_idle(&client);
    pause_here("loaded");

    for (i = 0; i < client.count; i++) {
        test_bo_check(&client.tbo[i], &pages);
        client_expect(&client, "download",
                      test_bo_check_host(&client.tbo[i], client.gpu, &pages));
    }
    report("result retained_bos=%zu purged_bos=0 good_pages=%lu "
           "zero_pages=%lu fault_pages=%lu corrupt_pages=%lu errors=%lu",
           client.count, pages.good, pages.zero, pages.fault,
           pages.corrupt + pages.zero + pages.fault, client.errors);
}
