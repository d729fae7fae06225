#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: tools/check-spec.py

Check that each requirement of docs/specs/virtio-gpu-reclaim.rst is tested.
Those on the device are cited, as "spec: Device N", or "spec: Errors N" for those
on errors, in the comment in front of a case of tests/qtest that is in a table of
cases. Those on the driver end with
the names of cases in tests/guest, or with why there are none. Says what is
wrong, a line each; exit status 1 then.
"""
import glob
import os
import re
import sys

SPEC = 'docs/specs/virtio-gpu-reclaim.rst'
problems = []


def requirements(text, title):
    """Return {number: text} of the list below the heading @title."""
    section = text.split('\n%s\n%s\n' % (title, '=' * len(title)), 1)[1]
    section = re.split(r'\n[^\n]+\n={4,}\n', section, maxsplit=1)[0]
    items = re.findall(r'^(\d+)\. (.*?)(?=^\d+\. |^\S[^\n]*\n-{3,}\n|\Z)', section,
                       re.MULTILINE | re.DOTALL)
    numbers = [int(number) for number, _ in items]
    if numbers != list(range(1, len(numbers) + 1)):
        problems.append('%s: %s are numbered %s' % (SPEC, title, numbers))
    for number, item in items:
        if not re.search(r'\b(MUST|SHOULD)\b', item):
            problems.append('%s: %s %s says neither MUST nor SHOULD' %
                            (SPEC, title, number))
    return {int(number): item for number, item in items}


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def citations(kind):
    """Return {number: [names of cases]}; a citation by no case is a problem."""
    cited = {}
    for path in sorted(glob.glob('tests/qtest/virtio-gpu-reclaim-test-*.c')):
        text = read(path)
        names = {function: name for name, function in
                 re.findall(r'\{ "([^"]+)", (test_\w+), ON_', text)}
        comments = re.findall(r'/\*((?:(?!\*/).)*)\*/\n([^\n]*)', text, re.DOTALL)
        for comment, after in comments:
            cite = re.search(r'spec: [^.]*%s ((?:\d+, )*\d+)' % kind, comment)
            if not cite:
                continue
            function = re.match(r'static void (test_\w+)\(', after)
            name = function and names.get(function[1])
            if not name:
                problems.append('%s: "%s" is in front of no case' % (path, cite[0]))
                continue
            for number in cite[1].split(', '):
                cited.setdefault(int(number), []).append(name)
    return cited


def check_cited(text, title, kind):
    """Check that each requirement under @title is cited; return the numbers."""
    wanted = requirements(text, title)
    cited = citations(kind)
    for number in wanted:
        if number not in cited:
            problems.append('%s: no case cites %s %d' % (SPEC, kind, number))
    for number in cited:
        if number not in wanted:
            problems.append('%s %d, which is cited by %s, is not in %s' %
                            (kind, number, ', '.join(cited[number]), SPEC))
    return len(wanted), sum(len(names) for names in cited.values())


def check_driver(text):
    wanted = requirements(text, 'Driver requirements')
    cases = set(re.findall(r'\{ "([^"/]+/[^"]+)", test_\w+,',
                           ''.join(read(p) for p in glob.glob('tests/guest/*.c'))))
    tested = 0
    for number, item in wanted.items():
        last = re.search(r'\((Tested by|Not testable here:)((?:(?!\(Tested|\(Not t).)*)\)\s*\Z',
                         item, re.DOTALL)
        if not last:
            problems.append('%s: Driver %d does not say how it is tested' % (SPEC, number))
            continue
        if last[1] == 'Tested by':
            tested += 1
            for name in re.findall(r'``([^`]+)``', last[2]):
                if name not in cases:
                    problems.append('%s: Driver %d names %s, which is not a case' %
                                    (SPEC, number, name))
    return len(wanted), tested


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
    text = read(SPEC)
    device = check_cited(text, 'Device requirements', 'Device')
    errors = check_cited(text, 'Errors of other commands', 'Errors')
    driver = check_driver(text)
    for problem in problems:
        print(problem)
    print('%d requirements of the device in %d citations, %d on errors in %d, '
          '%d of the driver, %d of them tested' % (device + errors + driver))
    sys.exit(1 if problems else 0)


main()
