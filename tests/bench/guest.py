# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions that a guest answers: tests/guest/bench.c measures, in rounds."""
from result import measure, row

MIB = 1 << 20


def in_guest(name):
    """Boot the guest for @name; return its measurements."""
    return measure('virtio-gpu-vm-bench', name)


def rates(lines, what, kind):
    """Return MiB/s of each round."""
    return [line['bytes'] / MIB / (line['us'] / 1e6) for line in lines
            if (line['what'], line['kind']) == (what, kind)]


def evict(_):
    """What leaves under pressure, and what comes back."""
    lines = in_guest('evict')
    anonymous = {what: rates(lines, what, 'anonymous') for what in ('evict', 'refault')}
    return {
        'evict': [row('96 MiB held, 64 MiB too many', rates(lines, 'evict', 'bo'),
                      anonymous['evict'])],
        'refault': [row('by mapping', rates(lines, 'refault', 'bo'), anonymous['refault']),
                    row('by transfer', rates(lines, 'retransfer', 'bo'),
                        anonymous['refault'])],
    }


def capacity(_):
    """What there is room for."""
    lines = in_guest('capacity')
    wrong = sum(line['wrong_pages'] for line in lines)
    if wrong:
        raise RuntimeError('%d pages have wrong contents' % wrong)
    sizes = {kind: [line['bytes'] / MIB for line in lines if line['kind'] == kind]
             for kind in ('bo', 'anonymous')}
    return {'capacity': [row('256 MiB of RAM, 1 GiB of swap', sizes['bo'],
                             sizes['anonymous'])]}


def latency(_):
    """The longest that a page took."""
    lines = in_guest('latency')
    worst = {kind: [line['worst_us'] / 1000 for line in lines if line['kind'] == kind]
             for kind in ('cache', 'purgeable', 'idle', 'anonymous')}
    return {'latency': [row('purgeable BOs, cache', worst['purgeable'], worst['cache']),
                        row('idle BOs, cache', worst['idle'], worst['cache']),
                        row('idle BOs, anonymous memory', worst['idle'],
                            worst['anonymous'])]}


def size_name(size):
    """Return @size in its unit."""
    return '%d MiB' % (size / MIB) if size >= MIB else '%d KiB' % (size / 1024)


def purge(_):
    """Commands and waits to purge 1 GiB, and to close it."""
    ours, stock = ({line['size']: line for line in in_guest(name)}
                   for name in ('purge', 'close'))
    rows = []
    for what in ('waits', 'commands'):
        rows += [row('%s, %s' % (what, size_name(size)), [ours[size][what]],
                     [stock[size][what]]) for size in sorted(ours)]
    return {'purge': rows,
            'purge-time': [row(size_name(size), [ours[size]['us'] / 1e6],
                               [stock[size]['us'] / 1e6]) for size in sorted(ours)]}
