# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Has programs take the virgl driver with a purgeable cache, and all other drivers
# from where they were. Who sets LIBGL_DRIVERS_PATH has chosen already.

if [ -z "${LIBGL_DRIVERS_PATH:-}" ] && [ -d /usr/lib/@MULTIARCH@/virtio-gpu-reclaim/dri ]; then
    LIBGL_DRIVERS_PATH=/usr/lib/@MULTIARCH@/virtio-gpu-reclaim/dri:/usr/lib/@MULTIARCH@/dri
    export LIBGL_DRIVERS_PATH
fi
