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


def row(run):
    """Return the line of one run."""
    start = '%-9s %-9s ' % (run['scenario'], run['driver'])
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
    runs.sort(key=lambda run: (run['scenario'], run['driver'] != 'stock'))
    print(HEAD)
    for run in runs:
        print(row(run))
    print()
    sys.stdout.flush()
    failed = False
    for run in runs:
        survives, stock = run['outcome'] == 'survives', run['driver'] == 'stock'
        failed |= not survives and not stock
        if survives and stock:
            print('%s survives, which was not expected' % run['name'], file=sys.stderr)
    sys.exit(failed)


main()
