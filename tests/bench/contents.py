# SPDX-License-Identifier: GPL-2.0-or-later
"""What compressing and restoring takes that real programs hold.

virglreclaim's bench-compress replays recordings of what programs draw (tools/
record-frames), and does both with what they hold at the end. The reference is what
zram would do with the same bytes.
"""
import os
import subprocess

from result import row

PROGRAM = 'build/meson/subprojects/virglreclaim/tests/bench-compress'
MIB = 1 << 20


def recordings(directory):
    """Yield name and path of each recording beside @directory, where scripts/bench is."""
    frames = os.path.join(os.path.dirname(directory), 'frames')
    for file in sorted(os.listdir(frames)) if os.path.isdir(frames) else []:
        yield file[:-len('.frames')], os.path.join(frames, file)


def rounds(recording):
    """Run bench-compress; return its columns."""
    run = subprocess.run([PROGRAM, recording], check=True, stdout=subprocess.PIPE,
                         text=True, env=dict(os.environ, LIBGL_ALWAYS_SOFTWARE='1'))
    return list(zip(*([float(field) for field in line.split()]
                      for line in run.stdout.splitlines())))


def rates(total, times):
    """Return MiB/s for each round."""
    return [size / MIB / time for size, time in zip(total, times)]


def compress(directory):
    """Measure all recordings."""
    speed, factor = [], []
    for name, recording in recordings(directory):
        total, ours_in, ours_out, ours, zram_in, zram_out, zram = rounds(recording)
        speed += [row(name + ', compress', rates(total, ours_in), rates(total, zram_in)),
                  row(name + ', restore', rates(total, ours_out), rates(total, zram_out))]
        factor.append(row('%s, %d MiB' % (name, total[0] / MIB),
                          [a / b for a, b in zip(total, ours)],
                          [a / b for a, b in zip(total, zram)]))
    return {'compress': speed, 'compress-factor': factor}
