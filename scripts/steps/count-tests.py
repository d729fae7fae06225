#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: scripts/steps/count-tests.py TESTLOG.JSON

Count the cases of Meson's log of a test run: the lines of each program's TAP
output, or the program itself when it is one case or ended badly outside a
case. Each case that failed is named, below its program's messages about it. Ends
with 'N passed, N failed, N skipped'; exit status 1 when one failed or none ran.
"""
import json
import re
import sys

POINT = re.compile(r'^(not )?ok\b[^#]*(#\s*skip)?', re.IGNORECASE)

# So many lines before a failure are taken to be about it.
ABOUT = 8


def tell_failures(test):
    """Print the failed cases of one program's record, each with its comments."""
    about = []
    for line in test.get('stdout', '').splitlines():
        if line.startswith(('not ok', 'Bail out!')):
            print('\n'.join(about[-ABOUT:] + [f"{test['name']}: {line}"]))
        about = about + [line] if line.startswith('#') else []


def count(test):
    """Return [passed, failed, skipped] of one program's record."""
    points = [POINT.match(line) for line in test.get('stdout', '').splitlines()]
    points = [p for p in points if p]
    failed = sum(1 for p in points if p[1])
    skipped = sum(1 for p in points if p[2] and not p[1])
    passed = len(points) - failed - skipped
    good = test['result'] in ('OK', 'EXPECTEDFAIL')
    if test['result'] == 'SKIP' and not points:
        skipped = 1
    elif not points and good:
        passed = 1
    elif not good and test['result'] != 'SKIP' and not failed:
        failed = 1
    return [passed, failed, skipped]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    total = [0, 0, 0]
    with open(sys.argv[1], encoding='utf-8') as log:
        for line in log:
            test = json.loads(line)
            tell_failures(test)
            total = [a + b for a, b in zip(total, count(test))]
    print('%d passed, %d failed, %d skipped' % tuple(total))
    sys.exit(1 if total[1] or not total[0] else 0)


main()
