#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: scripts/steps/demo-report.py RESULT.JSON

Print the table of the demo's runs. Exit status 1 if one does not survive on
our stack.
"""
import json
import statistics
import sys

MIB = 1 << 20
HEAD = '''
scenario  stack      buffers   outcome    OOM  corrupt          buffers  QEMU RssAnon  seconds
                         MiB            kills    pages  purged/retained           MiB
----------------------------------------------------------------------------------------------'''

DESKTOP_HEAD = '''
scenario  stack        in the guest   on the host  a program        killed  frames differ
                        MiB returned  MiB returned  needs MiB                (of them all)
------------------------------------------------------------------------------------------'''

HOST_HEAD = '''
scenario  stack     QEMU RssAnon   of the idle    wrong     frames/s of the  frames/s
                             MiB  client's MiB   pixels  busy client, ratio    of CPU
-------------------------------------------------------------------------------------'''

# Of what idle clients hold; in the guest no more than the program needed.
GUEST_LEAST, HOST_LEAST = 0.9, 0.8


def fall(run, before, after):
    """Return by how many MiB a number of @run fell."""
    return round((run[before] - run[after]) / MIB)


def desktop_row(run):
    """Return the line of one run of the scenario desktop."""
    start = '%-9s %-9s ' % ('desktop', run['device'])
    if run['problem']:
        return start + run['problem']
    return start + '%15s %13s %10s %13s %14s' % (
        '%d of %d' % (round(run['guest_share'] * run['idle_bytes'] / MIB),
                      run['idle_bytes'] // MIB),
        '%d of %d' % (fall(run, 'rss_anon_before', 'rss_anon_after'),
                      run['idle_bytes'] // MIB),
        run['needed_bytes'] // MIB, run['oom_killed'] or 'nobody',
        '%d of %d' % (run['frames_differ'], run['frames']))


def host_row(run):
    """Return the line of one run of the scenario host."""
    start = '%-9s %-9s ' % ('host', run['device'])
    if run['problem']:
        return start + run['problem']
    return start + '%12s %13s %8d %19s %9.2f' % (
        '%d -> %d' % (run['rss_anon_before'] // MIB, run['rss_anon_after'] // MIB),
        '%d of %d' % (fall(run, 'rss_anon_before', 'rss_anon_after'),
                      run['idle_bytes'] // MIB),
        run['wrong_pixels'],
        '%.0f -> %.0f  %.2f' % (statistics.median(run['fps_without']),
                                statistics.median(run['fps_with']), run['fps_ratio']),
        run['cpu_fps_ratio'])


def returned(run):
    """Whether memory of idle clients was returned, and nothing is wrong."""
    if run['problem'] or run['wrong_pixels']:
        return False
    return run['device'] == 'stock' or (
        run['host_share'] >= HOST_LEAST and run.get('guest_share', 1) >= GUEST_LEAST and
        run.get('need_met', True))


def row(run):
    """Return the line of one run."""
    start = '%-9s %-9s ' % (run['scenario'], run['device'])
    if run['problem']:
        return start + run['problem']
    return start + '%9s %9s %6d %8d %16s %13s %8.0f' % (
        '%d/%d' % (run['bo_mib_reached'], run['bo_mib']), run['outcome'],
        run['oom_kills'], run['corrupt_pages'],
        '%d/%d' % (run['purged_bos'], run['retained_bos']),
        '%d -> %d' % (run['host_rss_anon_before_purge'] // MIB,
                      run['host_rss_anon_after_purge'] // MIB),
        run['duration_ms'] / 1000)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding='utf-8') as result:
        runs = json.load(result)['runs']
    runs.sort(key=lambda run: (run['scenario'], run['device'] != 'stock'))
    driven = [run for run in runs if run['scenario'] == 'desktop']
    runs = [run for run in runs if run['scenario'] != 'desktop']
    for head, print_row, name in ((DESKTOP_HEAD, desktop_row, 'desktop'),
                                  (HOST_HEAD, host_row, 'host')):
        named = [run for run in driven if run['name'].startswith(name + '/')]
        if named:
            print(head)
        for run in named:
            print(print_row(run))
    print(HEAD)
    for run in runs:
        print(row(run))
    print()
    sys.stdout.flush()
    failed = not all(returned(run) for run in driven)
    for run in runs:
        survives, stock = run['outcome'] == 'survives', run['device'] == 'stock'
        failed |= not survives and not stock
        if survives and stock:
            print('%s survives, which was not expected' % run['name'], file=sys.stderr)
    sys.exit(failed)


main()
