#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: tools/bench-submit.py DIR

Runs in the build root: run virglreclaim's bench-submit under callgrind, and write
DIR/submit.md: instructions for one stream in the renderer, and what the
library adds to it. Takes half a minute.
"""
import os
import re
import subprocess
import sys

BENCH = 'build/meson/subprojects/virglreclaim/tests/bench-submit'
FRAMES = 5
STATES = ('all resident', '100 resources compressed')


def run(out):
    """Count both states; return the words of a stream."""
    env = dict(os.environ, LIBGL_ALWAYS_SOFTWARE='1', LP_NUM_THREADS='1')
    result = subprocess.run(
        ['valgrind', '-q', '--tool=callgrind',
         '--callgrind-out-file=' + out,
         '--toggle-collect=submit_frames', '--dump-before=submit_frames',
         BENCH, str(FRAMES)],
        env=env, check=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True)
    return int(result.stdout.split()[1])


def inclusive(path, function):
    """Return what @function and all that it calls took."""
    text = subprocess.run(
        ['callgrind_annotate', '--inclusive=yes', '--threshold=100',
         '--auto=no', path],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    counts = re.findall(r'^ *([0-9,]+) .*:%s(?: \[|$)' % function, text, re.M)
    return max(int(count.replace(',', '')) for count in counts)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    out = os.path.join(sys.argv[1], 'submit')
    words = run(out)
    lines = ['| stream of %d words, 50 draws | renderer | library | more |' %
             words, '|---|---:|---:|---:|']
    # Part 1 is what came before, and empty; the last one has no number.
    for state, path in zip(STATES, (out + '.2', out)):
        renderer = inclusive(path, 'virgl_renderer_submit_cmd')
        own = inclusive(path, 'virgl_reclaim_submit') - renderer
        lines.append('| %s | %d | %d | %.2f %% |' % (
            state, renderer / FRAMES, own / FRAMES, 100 * own / renderer))
    with open(os.path.join(sys.argv[1], 'submit.md'), 'w',
              encoding='utf-8') as table:
        table.write('\n'.join(lines) + '\n')


main()
