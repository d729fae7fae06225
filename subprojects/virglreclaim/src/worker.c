/* SPDX-License-Identifier: MIT */
/* A thread for work that would keep the renderer's thread waiting. */

#include "worker.h"

#include <signal.h>

static void *run_jobs(void *opaque)
{
    struct vr_worker *w = opaque;

    pthread_mutex_lock(&w->lock);
    while (!w->quit) {
        struct vr_job *job = w->first;

        if (!job) {
            pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        w->first = job->next;
        if (!w->first) {
            w->last = &w->first;
        }
        pthread_mutex_unlock(&w->lock);
        job->run(job);
        pthread_mutex_lock(&w->lock);
        job->pending = false;
        pthread_cond_broadcast(&w->changed);
        if (w->done) {
            w->done(w->opaque);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

void vr_worker_init(struct vr_worker *w)
{
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->last = &w->first;
}

void vr_worker_end(struct vr_worker *w)
{
    if (w->started) {
        pthread_mutex_lock(&w->lock);
        w->quit = true;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
}

void vr_worker_set_done(struct vr_worker *w, void (*done)(void *opaque),
                        void *opaque)
{
    w->done = done;
    w->opaque = opaque;
}

/* Signals are for the threads of the program. */
static bool start(struct vr_worker *w)
{
    sigset_t all, old;

    if (!w->started) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        w->started = pthread_create(&w->thread, NULL, run_jobs, w) == 0;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    return w->started;
}

bool vr_worker_begin(struct vr_worker *w, struct vr_job *job)
{
    if (!start(w)) {
        return false;
    }
    pthread_mutex_lock(&w->lock);
    job->pending = true;
    job->next = NULL;
    *w->last = job;
    w->last = &job->next;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return true;
}

bool vr_worker_is_pending(struct vr_worker *w, struct vr_job *job)
{
    bool pending;

    pthread_mutex_lock(&w->lock);
    pending = job->pending;
    pthread_mutex_unlock(&w->lock);
    return pending;
}

void vr_worker_wait(struct vr_worker *w, struct vr_job *job)
{
    pthread_mutex_lock(&w->lock);
    while (job->pending) {
        pthread_cond_wait(&w->changed, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
}
