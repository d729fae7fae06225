/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the scenarios' GPU clients have in common.
 */
#ifndef GUEST_CLIENT_H
#define GUEST_CLIENT_H

#include "held.h"
#include "scenario.h"

typedef struct Client {
    int gpu;
    Held *held;
    size_t count;           /* buffers there are */
    size_t wanted;
    unsigned long errors;
    ClientState *state;
} Client;

/* Open the GPU for a client that wants @mib of buffers; exits on failure. */
void client_init(Client *client, size_t mib, ClientState *state);

/*
 * Add a buffer, fill it and have it uploaded. Returns false when there are as
 * many as wanted, or when there is no more to be had, which is reported.
 */
bool client_add(Client *client);

/* Count @ret as an error unless it is 0, and report it. Returns @ret. */
int client_expect(Client *client, const char *what, int ret);

/* Wait until the host has done all it was asked for. */
void client_settle(Client *client);

#endif
