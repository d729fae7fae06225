/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client whose buffers are all needed, but never all at once: those it does
 * not use at the moment can wait in swap.
 */

#include "client.h"
#include "report.h"

/* After so many new buffers an old one is used. */
#define REUSE_EVERY 4

static void use_old(Client *client, size_t which)
{
    Held *held = &client->held[which];

    held_rewrite(held, held->rewritten + 1);
    client_expect(client, "upload", bo_upload(client->gpu, &held->bo));
}

void scenario_idle(size_t mib, ClientState *state,
                   void (*pause_here)(const char *event))
{
    Tally pages = { 0 };
    size_t next_old = 0;
    Client client;
    size_t i;

    client_init(&client, mib, state);
    while (client_add(&client)) {
        if (client.count % REUSE_EVERY == 0) {
            use_old(&client, next_old++);
        }
    }
    client_settle(&client);
    pause_here("loaded");

    for (i = 0; i < client.count; i++) {
        held_check(&client.held[i], &pages);
        client_expect(&client, "download",
                      held_check_host(&client.held[i], client.gpu, &pages));
    }
    report("result retained_bos=%zu purged_bos=0 good_pages=%lu "
           "zero_pages=%lu fault_pages=%lu corrupt_pages=%lu errors=%lu",
           client.count, pages.good, pages.zero, pages.fault,
           pages.corrupt + pages.zero + pages.fault, client.errors);
}
