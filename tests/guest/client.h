/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Common parts of the GPU clients of the scenarios.
 */
#ifndef GUEST_CLIENT_H
#define GUEST_CLIENT_H

#include "testbo.h"
#include "scenario.h"

typedef struct Client {
    int gpu;
    TestBo *tbo;
    size_t count;           /* buffers created */
    size_t wanted;
    unsigned long errors;
    ClientState *state;
} Client;

/* Open the GPU for a client that creates @mib of buffers; exits on failure. */
void client_init(Client *client, size_t mib, ClientState *state);

/*
 * Create, fill and upload a buffer. Returns false when there are as many as
 * wanted, or on failure, which is reported.
 */
bool client_add(Client *client);

/* Count @ret as an error unless it is 0, and report it. Returns @ret. */
int client_expect(Client *client, const char *what, int ret);

/* Wait until all uploads are complete. */
void client_wait_idle(Client *client);

#endif
