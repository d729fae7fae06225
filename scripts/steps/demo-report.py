#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: scripts/steps/demo-report.py RESULT.JSON

Print the table of the demo's runs. Exit status 1 if one does not survive on
our stack.
"""
import json
import sys

MIB = 1 << 20
HEAD = '''
scenario  stack      buffers   outcome    OOM  corrupt          buffers  QEMU RssAnon  seconds
                         MiB            kills    pages  purged/retained           MiB
----------------------------------------------------------------------------------------------'''

HOST_HEAD = '''
scenario  stack     QEMU RssAnon   of the idle    wrong  frames/s of the
                             MiB  client's MiB   pixels      busy client
------------------------------------------------------------------------'''


def host_row(run):
    """Return the line of one run of the scenario host."""
    start = '%-9s %-9s ' % ('host', run['device'])
    if run['problem']:
        return start + run['problem']
    host = run['host']
    return start + '%12s %13s %8d %16s' % (
        '%d -> %d' % (host['rss_anon_before'] // MIB, host['rss_anon_after'] // MIB),
        '%d of %d' % ((host['rss_anon_before'] - host['rss_anon_after']) // MIB,
                      host['idle_bytes'] // MIB),
        host['wrong_pixels'],
        '%.1f -> %.1f' % (host['fps_before'], host['fps_after']))


def host_survives(run):
    """Whether the memory of the idle client was returned, and nothing is wrong."""
    return not run['problem'] and not run['host']['wrong_pixels'] and (
        run['device'] == 'stock' or run['host']['host_share'] >= 0.8)


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
    hosts = [run for run in runs if run['scenario'] == 'desktop']
    runs = [run for run in runs if run['scenario'] != 'desktop']
    print(HEAD)
    for run in runs:
        print(row(run))
    if hosts:
        print(HOST_HEAD)
    for run in hosts:
        print(host_row(run))
    print()
    sys.stdout.flush()
    failed = not all(host_survives(run) for run in hosts)
    for run in runs:
        survives, stock = run['outcome'] == 'survives', run['device'] == 'stock'
        failed |= not survives and not stock
        if survives and stock:
            print('%s survives, which was not expected' % run['name'], file=sys.stderr)
    sys.exit(failed)


main()
