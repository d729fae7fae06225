/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command buffers of the virgl protocol.
 */
#ifndef GUEST_SUBMIT_H
#define GUEST_SUBMIT_H

#include "testbo.h"

/* These return 0, or -errno; submissions are queued. */

/* Submit a NOP that refers to @count buffers. */
int submit_nothing(int gpu, const TestBo *const *tbo, unsigned count);

/* The same for one buffer; returns the file of its fence, or -errno. */
int submit_with_fence(int gpu, const TestBo *tbo);

/* The same as submit_nothing() with @count NOPs, for one buffer. */
int submit_many_nothing(int gpu, const TestBo *tbo, unsigned count);

/* Copy @from to @to on the host, both of the same type and size. */
int submit_copy(int gpu, const TestBo *from, const TestBo *to);

/* Upload a texture by a command in the stream. */
int submit_upload(int gpu, const TestBo *tbo);

/*
 * Upload a texture from the pages of another resource, and download it to them:
 * what Mesa does with staging buffers. Both have the same size.
 */
int submit_upload_from(int gpu, const TestBo *from, const TestBo *texture);
int submit_download_to(int gpu, const TestBo *texture, const TestBo *to);

#endif
