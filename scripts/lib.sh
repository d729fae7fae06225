# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What all scripts share: paths, messages, common options, builds. Sourced by the
# commands in scripts/ and tools/, not run.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtio-gpu-reclaim
prog=$(basename "$0")

# say TEXT...: one line of progress.
say() {
    [ ! -t 2 ] || printf '\033[K' >&2
    printf '%s\n' "$*" >&2
}

# die TEXT...: one line that says what is wrong and how to fix it.
die() {
    say "$prog: $*"
    exit 1
}

# default_release: the Debian release of this system if it is one of those
# that there are build roots of, else the newest one.
default_release() {
    local codename
    codename=$(. /etc/os-release 2>/dev/null && [ "${ID:-}" = debian ] &&
               echo "${VERSION_CODENAME:-}") || true
    if [ -n "$codename" ] && [ -d "$top/scripts/image.d/$codename" ]; then
        echo "$codename"
    else
        echo trixie
    fi
}

# releases: those that there are build roots of. The others are RELEASE-NAME: what
# a host or a guest of that release is made of, in which nothing is built.
releases() {
    (cd "$top/scripts/image.d" && printf '%s\n' * | grep -v -e -)
}

# set_release NAME: check NAME and assign it to "release", and the release's
# build directory to "build".
set_release() {
    [ -n "$1" ] && [ -d "$top/scripts/image.d/$1" ] ||
        die "no release '$1'; there are: $(releases | xargs)"
    release=$1
    build=$top/build/${release%%-*}
}

# usage_if_asked ARG...: print the script's header comment if one ARG asks for help.
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

# The command that runs something in the build root; parse_options adds
# --release and --mirror to it.
chroot=("$top/scripts/chroot")

# parse_options NAMES ARG...: for each --NAME VALUE or --NAME=VALUE in ARG... with
# a NAME from the list NAMES, check VALUE and assign it to the variable NAME.
# All other ARGs are left in the array "rest". The names are
#   release        the Debian release to build for and test on; assigned in any
#                  case, and "build" with it, the release's build directory
#   mirror         passed on to scripts/chroot
#   out            a directory
#   only           one of several things to do
#   output         a directory
#   signed-off-by  a name and an address
#   minutes, seconds, seed, idle-ms, pairs, reroll-count
#                  whole numbers; what has a dash is assigned to the name with _
#   screen         a size in pixels
parse_options() {
    local names=" $1 " name value
    shift
    usage_if_asked "$@"
    rest=()
    while [ $# -gt 0 ]; do
        name=${1%%=*} name=${name#--}
        if [[ $1 != --* || $names != *" $name "* ]]; then
            rest+=("$1")
            shift
            continue
        fi
        case $1 in
        *=*) value=${1#*=} ;;
        *)   [ $# -gt 1 ] || die "--$name takes a value; see --help"
             value=$2
             shift ;;
        esac
        shift
        [ -n "$value" ] || die "--$name takes a value; see --help"
        case $name in
        release) ;;
        mirror)  chroot+=(--mirror "$value") ;;
        minutes|seconds)
                 [[ $value =~ ^[1-9][0-9]*$ ]] ||
                     die "--$name takes a whole number, not '$value'" ;;
        screen)  [[ $value =~ ^[1-9][0-9]*x[1-9][0-9]*$ ]] ||
                     die "--screen takes a size like 1280x800, not '$value'" ;;
        seed|idle-ms|pairs|reroll-count)
                 [[ $value =~ ^[0-9]+$ ]] ||
                     die "--$name takes a number, not '$value'" ;;
        esac
        printf -v "${name//-/_}" %s "$value"
    done
    set_release "${release:-$(default_release)}"
    chroot+=(--release "$release")
}

# no_more_arguments ARG...: stop at what parse_options has left.
no_more_arguments() {
    [ $# -eq 0 ] || die "unknown argument $1; see --help"
}

# make_out DIR: make DIR, the value or the default of --out, if it does not exist.
make_out() {
    mkdir -p "$1" 2>/dev/null && [ -w "$1" ] ||
        die "cannot write to $1; pass --out DIR"
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
            "or set XDG_CACHE_HOME (build root) or clone elsewhere (build)"
}

# may_sudo: can this user become root, with a password or without?
may_sudo() {
    command -v sudo >/dev/null &&
        { sudo -n true 2>/dev/null || { [ -t 0 ] && id -nG | grep -qw sudo; }; }
}

# as_root COMMAND...: run COMMAND as root, with sudo if this is not root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        may_sudo || die "must run as root, or have sudo to run '$1'"
        sudo "$@"
    fi
}

# enter_build: make the build root if there is none, and hold the lock of the
# build directory until leave_build or the end of the script.
enter_build() {
    need_space "$build" 2000
    exec 8>"$build/.lock"
    flock -n 8 || { say "waiting for another build in $build"; flock 8; }
    "${chroot[@]}"
}

# make_desktop_root: make the root of the guest with a desktop if there is none.
make_desktop_root() {
    "${chroot[@]}" --release "$release-desktop" true
}

# leave_build: let others build while the script goes on.
leave_build() {
    exec 8>&-
}

# build_targets TARGET...: build Meson's TARGETs.
build_targets() {
    enter_build
    if [ ! -f "$build/meson/build.ninja" ]; then
        step "configuring" "$build/configure.log" \
            "${chroot[@]}" meson setup build/meson ||
            die "configuring failed: see $build/configure.log"
    fi
    step "building" "$build/build.log" \
        "${chroot[@]}" ninja -C build/meson "$@" ||
        die "building failed:" \
            "$(grep -E 'error:|does not apply|^mesa: |failed' "$build/build.log" | head -n 1 |
               sed "s,/src/build/,$build/,g")" \
            "(log: $build/build.log)"
}
