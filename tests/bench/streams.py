# SPDX-License-Identifier: GPL-2.0-or-later
"""What reading command streams adds to the renderer, in instructions.

virglreclaim's bench-submit, and bench-replay with recordings of what programs draw
(tools/record-frames), run under callgrind. The reference is the renderer's part.
"""
import os
import re
import subprocess

from contents import recordings
from result import row

TESTS = 'build/meson/subprojects/virglreclaim/tests/'
SCENES = 5
COMPRESSED = 100
# What reads streams, with all that it calls.
READING = ('vr_stream_validate', 'vr_use_restore', 'vr_tracking_read')


def callgrind(out, collect, option, command, **variables):
    """Count what @collect calls; return what the command prints."""
    env = dict(os.environ, LIBGL_ALWAYS_SOFTWARE='1', LP_NUM_THREADS='1', **variables)
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


def parts(path, streams):
    """Return instructions for each of @streams: all, reading, and the renderer's."""
    submit = inclusive(path, 'virgl_reclaim_submit')
    renderer = inclusive(path, 'virgl_renderer_submit_cmd')
    reading = sum(inclusive(path, function) for function in READING)
    return submit / streams, reading / streams, renderer / streams


def label(name, compressed):
    """Return the label of a row."""
    return name + (', %d compressed' % compressed if compressed else '')


def scene(out):
    """Count both states of bench-submit."""
    callgrind(out, 'submit_frames', '--dump-before=submit_frames',
              [TESTS + 'bench-submit', str(SCENES)])
    # Part 1 is what came before, and empty; the last one has no number.
    for compressed, path in ((0, out + '.2'), (COMPRESSED, out)):
        yield label('scene of 50 draws', compressed), parts(path, SCENES)


def replay(name, recording, out):
    """Count the last second of @recording, in both states."""
    for compressed in (0, COMPRESSED):
        path = '%s-%s-%d' % (out, name, compressed)
        streams = int(callgrind(
            path, 'virgl_reclaim_submit', '--instr-atstart=no',
            [TESTS + 'bench-replay', recording, str(compressed)],
            # Other threads rasterize, which is not counted: not at all is faster.
            LP_NO_RAST='1')[0])
        yield label(name, compressed), parts(path, streams)


def overhead(directory):
    """Count the recordings and the scene."""
    os.makedirs(directory, exist_ok=True)
    out = os.path.join(directory, 'submit')
    counted = []
    for name, recording in recordings(directory):
        counted += replay(name, recording, out)
    counted += scene(out)
    return {'overhead': [row(name, [submit], [renderer])
                         for name, (submit, _, renderer) in counted],
            'reading': [row(name, [renderer + reading], [renderer])
                        for name, (_, reading, renderer) in counted]}
