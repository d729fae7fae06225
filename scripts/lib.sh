# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What every script here shares: where things live, and how a script talks.
# Sourced, never run.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtio-gpu-reclaim
prog=$(basename "$0")

# say TEXT...: one line of progress.
say() {
    [ ! -t 2 ] || printf '\033[K' >&2
    printf '%s\n' "$*" >&2
}

# die TEXT...: one line that says what is wrong and how to mend it.
die() {
    say "$prog: $*"
    exit 1
}

# usage_if_asked ARG...: print the script's header comment when ARG asks for help.
usage_if_asked() {
    local arg
    for arg; do
        case $arg in
        -h|--help)
            sed -n '/^# Usage:/,/^$/{s/^# \{0,1\}//p}' "$0"
            exit 0
            ;;
        --)
            return 0
            ;;
        esac
    done
}

# step TITLE LOG COMMAND...: run COMMAND with its output in LOG and one line of
# progress here: the title, the seconds so far, the last line of the log. What
# takes under two seconds says nothing.
step() {
    local title=$1 log=$2 start=$SECONDS said=$((SECONDS - 13)) pid rc=0 last
    shift 2
    mkdir -p "$(dirname "$log")"
    # In a process group of its own, so that an interrupt ends all of it.
    set -m
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    set +m
    # shellcheck disable=SC2064
    trap "kill -- -$pid 2>/dev/null; exit 130" INT TERM HUP
    while kill -0 "$pid" 2>/dev/null; do
        if [ -t 2 ]; then
            last=$(tail -n 1 "$log" 2>/dev/null | tr -cd '[:print:]' | cut -c1-60)
            printf '\033[K  %s... %d s  %s\r' "$title" $((SECONDS - start)) "$last" >&2
        elif [ $((SECONDS - said)) -ge 15 ]; then
            say "  $title... $((SECONDS - start)) s"
            said=$SECONDS
        fi
        sleep 0.2
    done
    wait "$pid" || rc=$?
    trap - INT TERM HUP
    [ ! -t 2 ] || printf '\033[K' >&2
    if [ "$rc" -ne 0 ]; then
        say "  $title: failed after $((SECONDS - start)) s"
        return "$rc"
    fi
    if [ $((SECONDS - start)) -ge 2 ]; then
        say "  $title: $((SECONDS - start)) s"
    fi
}

# need_space DIR MIB: stop when the file system of DIR has less than MIB free.
need_space() {
    local dir=$1 mib=$2 free
    mkdir -p "$dir"
    free=$(df -Pm "$dir" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$mib" ] ||
        die "$dir needs $mib MiB of free disk and has $free: free some," \
            "or set XDG_CACHE_HOME (world) or clone elsewhere (build)"
}

# as_root COMMAND...: run COMMAND as root, with sudo if this is not root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null || die "must run as root, or have sudo to run '$1'"
        sudo "$@"
    fi
}

# enter_build: make the world, and have the build directory to ourselves until
# the script ends. The array "world" is the command that runs something there.
enter_build() {
    need_space "$build" 2000
    exec 8>"$build/.lock"
    flock -n 8 || { say "waiting for another build in $build"; flock 8; }
    "${world[@]}"
}

# build_in_world TARGET...: have Meson's TARGETs built, or all.
build_in_world() {
    enter_build
    if [ ! -f "$build/meson/build.ninja" ]; then
        step "configuring" "$build/configure.log" \
            "${world[@]}" meson setup build/meson ||
            die "configuring failed: see $build/configure.log"
    fi
    step "building" "$build/build.log" \
        "${world[@]}" ninja -C build/meson "$@" ||
        die "building failed:" \
            "$(grep -E 'error:|does not apply|failed' "$build/build.log" | head -n 1)" \
            "(log: $build/build.log)"
}
