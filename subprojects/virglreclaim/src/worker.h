/* SPDX-License-Identifier: MIT */
/*
 * A thread for work that would keep the renderer's thread waiting. It calls
 * neither the renderer nor GL, nor the instance's allocator.
 */

#ifndef VIRGLRECLAIM_WORKER_H
#define VIRGLRECLAIM_WORKER_H

#include <pthread.h>
#include <stdbool.h>

/* A piece of work: part of a structure that must stay until it is done. */
struct vr_job {
    void (*run)(struct vr_job *job);
    struct vr_job *next;
    bool pending;               /* begun and not done: with the worker's lock */
};

struct vr_worker {
    pthread_t thread;
    bool started;
    bool quit;                  /* this and the rest: with the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct vr_job *first, **last;
    void (*done)(void *opaque); /* called in the thread after a job; or NULL */
    void *opaque;
};

void vr_worker_init(struct vr_worker *w);
/* Before the first job: have @done called in the thread after each. */
void vr_worker_set_done(struct vr_worker *w, void (*done)(void *opaque),
                        void *opaque);
/* No job may be pending. */
void vr_worker_end(struct vr_worker *w);
/*
 * Run @job in the thread, after those that were begun before. Returns false,
 * with nothing begun, if there can be no thread.
 */
bool vr_worker_begin(struct vr_worker *w, struct vr_job *job);
bool vr_worker_is_pending(struct vr_worker *w, struct vr_job *job);
/* Wait until @job is done. */
void vr_worker_wait(struct vr_worker *w, struct vr_job *job);

#endif
