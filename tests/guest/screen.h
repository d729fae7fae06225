/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first display of a driver, and what the host sees of the guest's first one.
 */
#ifndef GUEST_SCREEN_H
#define GUEST_SCREEN_H

#include <stddef.h>
#include <stdint.h>

#define SCREEN_WIDTH  1024
#define SCREEN_HEIGHT 768
#define SCREEN_BYTES  (SCREEN_WIDTH * SCREEN_HEIGHT * 4)

/* The first CRTC of a driver and its connector. */
typedef struct Screen {
    uint32_t crtc, connector;
} Screen;

Screen screen_of(int gpu);

/* Make a framebuffer of that size from a buffer; returns its id. */
uint32_t screen_framebuffer(int gpu, uint32_t handle);

/* Show a framebuffer, and what has changed in it. */
void screen_show(int gpu, uint32_t framebuffer);
void screen_flush(int gpu, uint32_t framebuffer);

/*
 * Read a checksum of the screen as the host sees it, once it is stable and not
 * @unlike.
 */
void screen_wait(char *seen, size_t size, const char *unlike);

#endif
