#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: tools/bench-submit.py DIR [NAME=RECORDING...]

Runs in the build root: run virglreclaim's bench-submit under callgrind, and
bench-replay with each RECORDING of tools/record-frames, and write DIR/submit.md:
instructions for a submission in the renderer and in the library, and the share
of reading streams. Takes half a minute, and a minute or two for each recording.
"""
import os
import re
import subprocess
import sys

TESTS = 'build/meson/subprojects/virglreclaim/tests/'
FRAMES = 5
COMPRESSED = 100
# What reads streams, with all that it calls.
READING = ('vr_stream_validate', 'vr_use_restore', 'vr_tracking_read')


def callgrind(out, collect, option, command):
    """Count what @collect calls; return what the command prints."""
    # Other threads rasterize, which is not counted: not at all is faster.
    env = dict(os.environ, LIBGL_ALWAYS_SOFTWARE='1', LP_NUM_THREADS='1',
               LP_NO_RAST='1')
    return subprocess.run(
        ['valgrind', '-q', '--tool=callgrind', '--callgrind-out-file=' + out,
         '--toggle-collect=' + collect, option] + command,
        env=env, check=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True).stdout.split()


def inclusive(path, function):
    """Return what @function and all that it calls took."""
    text = subprocess.run(
        ['callgrind_annotate', '--inclusive=yes', '--threshold=100',
         '--auto=no', path],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    counts = re.findall(r'^ *([0-9,]+) .*:%s(?: \[|$)' % function, text, re.M)
    return max((int(count.replace(',', '')) for count in counts), default=0)


def row(name, words, compressed, path, streams):
    """Return the line of the table for the counts of @streams submissions."""
    submit = inclusive(path, 'virgl_reclaim_submit')
    renderer = inclusive(path, 'virgl_renderer_submit_cmd')
    reading = sum(inclusive(path, function) for function in READING)
    return '| %s | %d | %d | %d | %d | %d | %.2f %% |' % (
        name, words / streams, compressed, renderer / streams,
        reading / streams, (submit - renderer - reading) / streams,
        100 * reading / submit)


def scene(out):
    """Count both states of bench-submit."""
    words = int(callgrind(out, 'submit_frames', '--dump-before=submit_frames',
                          [TESTS + 'bench-submit', str(FRAMES)])[1])
    # Part 1 is what came before, and empty; the last one has no number.
    return [row('scene of 50 draws', words * FRAMES, compressed, path, FRAMES)
            for compressed, path in ((0, out + '.2'), (COMPRESSED, out))]


def replay(name, recording, out):
    """Count the last second of @recording, in both states."""
    lines = []
    for compressed in (0, COMPRESSED):
        path = '%s-%s-%d' % (out, name, compressed)
        streams, words = map(int, callgrind(
            path, 'virgl_reclaim_submit', '--instr-atstart=no',
            [TESTS + 'bench-replay', recording, str(compressed)]))
        lines.append(row(name, words, compressed, path, streams))
    return lines


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith('-'):
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    out = os.path.join(sys.argv[1], 'submit')
    lines = ['| submissions | words | compressed | renderer | reading | '
             'else in the library | reading, of all |',
             '|---|---:|---:|---:|---:|---:|---:|']
    lines += scene(out)
    for argument in sys.argv[2:]:
        name, recording = argument.split('=', 1)
        lines += replay(name, recording, out)
    with open(out + '.md', 'w', encoding='utf-8') as table:
        table.write('\n'.join(lines) + '\n')


main()
