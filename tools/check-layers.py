#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: tools/check-layers.py [DIR]

Check that the files of the device model in DIR (default: hw/display/virtio-gpu-reclaim) depend on
each other in one direction: neither what they include nor what they call may
form a circle. A file is a .c with the .h of the same name; it depends on
another one if it includes the other's header, or names a function or variable
that the other one defines with external linkage. What is called through a table
of functions, as backends and their events are, is no dependency: that is what
such tables are for.

Static functions must carry the prefix virtio_gpu_, so that a name in a backtrace
says where it belongs.

In the guest driver (subprojects/linux) check that drm_gem_shmem_reclaim knows no
driver: its files include headers of the kernel's core and of DRM's alone, and none
of the names of a driver is in them. Nor does one driver know another.

Prints the files in layers, the lowest first, or what is wrong; exit status 1
then.
"""
import glob
import graphlib
import os
import re
import sys

FILES = 'virtio-gpu-*.[ch]'
PREFIX = 'virtio_gpu_'

KERNEL = 'subprojects/linux'
SHARED = 'drm_gem_shmem_reclaim'
SHARED_INCLUDES = r'<(linux|asm)/(?!virtio)|<drm/drm_|<trace/define_trace\.h>|"%s' % SHARED
DRIVERS = {'virtio': r'virtio|virtgpu|virtqueue|vgdev', 'vgem': 'vgem', 'panfrost': 'panfrost'}


def strip(text):
    """Return C without comments and strings, which name other files freely."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"',
                  lambda m: m[0] if m[0].startswith('"virtio-gpu') else ' ', text,
                  flags=re.DOTALL)


def definitions(text):
    """Return {name: is_static} of functions and variables at file scope."""
    found = {}
    # A definition ends its head with '{' or ' =' and begins a line.
    for match in re.finditer(r'^((?:[A-Za-z_][\w \t*]*[\s*])?)([A-Za-z_]\w*)'
                             r'(\((?:[^(){};]|\([^()]*\))*\)\s*\{|(?:\[\w*\])?\s*=\s*[\w{&"(])',
                             text, re.MULTILINE):
        head, name = match[1], match[2]
        if head.strip() and not re.search(r'\b(return|else|typedef|struct\s*$)', head):
            found[name] = 'static' in head.split()
    return found


def check_kernel():
    """Return what is wrong with the layers of the guest driver."""
    drm = os.path.join(KERNEL, 'drivers/gpu/drm')
    owners = {path: None for where in (drm, os.path.join(KERNEL, 'include/drm'))
              for path in glob.glob(os.path.join(where, SHARED + '*.[ch]'))}
    if not owners:
        sys.exit('%s: there are no files %s' % (drm, SHARED))
    for name in os.listdir(drm):
        if os.path.isdir(os.path.join(drm, name)):
            if name not in DRIVERS:
                return ['%s: tools/check-layers.py does not know its names' % name]
            owners.update({path: name for path in glob.glob(os.path.join(drm, name, '*.[ch]'))})
    problems = []
    for path, owner in sorted(owners.items()):
        with open(path, encoding='utf-8') as f:
            text = re.sub(r'/\*.*?\*/|//[^\n]*', ' ', f.read(), flags=re.DOTALL)
        for name, words in DRIVERS.items():
            found = re.search(words, text, re.IGNORECASE)
            if name != owner and found:
                problems.append('%s: %s belongs to %s' % (path, found[0], name))
        for header in re.findall(r'#include\s+(\S+)', text):
            if not owner and not re.match(SHARED_INCLUDES, header):
                problems.append('%s: includes %s' % (path, header))
    return problems


def main():
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
    where = sys.argv[1] if len(sys.argv) == 2 else 'hw/display/virtio-gpu-reclaim'
    texts, problems = {}, check_kernel()
    for path in glob.glob(os.path.join(where, FILES)):
        with open(path, encoding='utf-8') as f:
            name = os.path.splitext(os.path.basename(path))[0]
            texts[name] = texts.get(name, '') + strip(f.read()) + '\n'
    if not texts:
        sys.exit('%s: there are no files %s' % (where, FILES))

    owner = {}
    for name, text in texts.items():
        for symbol, is_static in definitions(text).items():
            if is_static:
                if not symbol.startswith(PREFIX) and not symbol.startswith('vmstate_' + PREFIX):
                    problems.append('%s: static %s lacks the prefix %s' % (name, symbol, PREFIX))
            else:
                owner[symbol] = name
    graph = {}
    for name, text in texts.items():
        needs = {os.path.splitext(h)[0] for h in re.findall(r'#include "(virtio-gpu[^"]*)"', text)}
        needs |= {owner[word] for word in set(re.findall(r'\w+', text)) if word in owner}
        graph[name] = {n for n in needs if n in texts and n != name}

    sorter = graphlib.TopologicalSorter(graph)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        problems.append('circle: ' + ' -> '.join(reversed(error.args[1])))
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    layer = 1
    while sorter.is_active():
        ready = sorter.get_ready()
        print('%d  %s' % (layer, '  '.join(sorted(ready))))
        sorter.done(*ready)
        layer += 1


main()
