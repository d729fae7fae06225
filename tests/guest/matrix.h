/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cell of the matrix (docs/devel/matrix.md): GPU clients with one kind of
 * object, memory pressure, and something that happens meanwhile.
 */
#ifndef GUEST_MATRIX_H
#define GUEST_MATRIX_H

#include <stdbool.h>

/*
 * @workload is cache, idle, mixed, clients, churn or leak; @objects are buffers,
 * textures, dumb, blobs or exported; @disturbance is none, reset, kill, rebind,
 * stop, snapshot, swapoff, late or away. Reports "result" and returns whether
 * it could run.
 */
bool matrix_run(const char *workload, const char *objects,
                const char *disturbance);

#endif
