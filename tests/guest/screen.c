/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <drm.h>
#include <drm_fourcc.h>
#include <drm_mode.h>

#include "report.h"
#include "screen.h"
#include "test.h"

/* 20 to a second: a bound that only a hang exceeds */
#define SCREEN_TRIES  1200

#define MAX_MODES     64

Screen screen_of(int gpu)
{
    Screen screen;
    struct drm_mode_card_res res = {
        .crtc_id_ptr = (uintptr_t)&screen.crtc, .count_crtcs = 1,
        .connector_id_ptr = (uintptr_t)&screen.connector,
        .count_connectors = 1,
    };

    CHECK_INT(drm_request(gpu, DRM_IOCTL_MODE_GETRESOURCES, &res), ==, 0);
    CHECK_INT(res.count_crtcs, ==, 1);
    return screen;
}

uint32_t screen_framebuffer(int gpu, uint32_t handle)
{
    struct drm_mode_fb_cmd2 fb = {
        .width = SCREEN_WIDTH, .height = SCREEN_HEIGHT,
        .pixel_format = DRM_FORMAT_XRGB8888, .handles = { handle },
        .pitches = { 4 * SCREEN_WIDTH },
    };

    CHECK_INT(drm_request(gpu, DRM_IOCTL_MODE_ADDFB2, &fb), ==, 0);
    return fb.fb_id;
}

void screen_show(int gpu, uint32_t framebuffer)
{
    Screen screen = screen_of(gpu);
    struct drm_mode_modeinfo modes[MAX_MODES];
    struct drm_mode_get_connector get = {
        .connector_id = screen.connector,
        .modes_ptr = (uintptr_t)modes, .count_modes = MAX_MODES,
    };
    struct drm_mode_crtc set = { .mode_valid = 1, .count_connectors = 1 };
    uint32_t i;

    CHECK_INT(drm_request(gpu, DRM_IOCTL_MODE_GETCONNECTOR, &get), ==, 0);
    for (i = 0; i < get.count_modes && i < MAX_MODES; i++) {
        if (modes[i].hdisplay == SCREEN_WIDTH &&
            modes[i].vdisplay == SCREEN_HEIGHT) {
            set.mode = modes[i];
        }
    }
    CHECK(set.mode.hdisplay);
    set.crtc_id = screen.crtc;
    set.fb_id = framebuffer;
    set.set_connectors_ptr = (uintptr_t)&screen.connector;
    CHECK_INT(drm_request(gpu, DRM_IOCTL_MODE_SETCRTC, &set), ==, 0);
}

void screen_flush(int gpu, uint32_t framebuffer)
{
    struct drm_mode_fb_dirty_cmd dirty = { .fb_id = framebuffer };

    CHECK_INT(drm_request(gpu, DRM_IOCTL_MODE_DIRTYFB, &dirty), ==, 0);
}

void screen_wait(char *seen, size_t size, const char *unlike)
{
    char again[128] = "";
    int i;

    for (i = 0; i < SCREEN_TRIES; i++) {
        report_and_read("screen", seen, size);
        if (!strcmp(seen, again) && strcmp(seen, unlike)) {
            return;
        }
        snprintf(again, sizeof(again), "%s", seen);
        usleep(50000);
    }
    test_fail(__FILE__, __LINE__, "the screen is '%s' and was '%s'", seen,
              unlike);
}
