#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of tools/vgpu-memtop with QMP servers of their own."""
import copy
import json
import os
import pty
import select
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'tools',
                    'vgpu-memtop')
MIB = 1 << 20
HANG_S = 60

STATS = {
    'resident': {'resources': 3, 'host-bytes': 100 * MIB, 'compressed-bytes': 8 * MIB,
                 'backing-bytes': 0, 'iov-bytes': 0},
    'evicted': {'resources': 0, 'host-bytes': 0, 'compressed-bytes': 0},
    'compressed': {'resources': 1, 'compressed-bytes': 8 * MIB, 'uncompressed-bytes': 64 * MIB,
                   'compressions': 5, 'decompressions': 4},
    'file': {'resources': 3, 'bytes': 12 * MIB, 'writes': 4, 'reads': 1, 'errors': 2},
    'deferred': {'resources': 0, 'host-bytes': 2 * MIB},
    'overhead-bytes': 10 * MIB, 'used-bytes': 120 * MIB, 'host-bytes-limit': 0,
    'target-bytes': 60 * MIB, 'asked-bytes': 60 * MIB, 'pressure': 'some', 'protect-ms': 1000,
    'purges': 7, 'restores': 6, 'errors': 0,
    'stays': {'recently-used': 90 * MIB, 'scanned-out': 10 * MIB, 'busy': 0},
    'contexts': [
        {'id': 1, 'name': 'weston', 'active': False, 'idle-ms': 7200000, 'resources': 2,
         'host-bytes': 20 * MIB, 'compressed-bytes': 8 * MIB, 'deferred-bytes': 0},
        {'id': 2, 'name': 'evil\x1b[2J"\\', 'active': True, 'idle-ms': 3, 'resources': 1,
         'host-bytes': 80 * MIB, 'compressed-bytes': 0, 'deferred-bytes': 2 * MIB},
    ],
}


class FakeQEMU(threading.Thread):
    """A QMP server, with a device with x-reclaim=on and one without."""

    def __init__(self, path, name=None, reclaim=True, greeting=None):
        super().__init__(daemon=True)
        self.name_of_vm, self.reclaim = name, reclaim
        self.greeting = greeting or {'QMP': {'version': {}, 'capabilities': []}}
        self.stats = copy.deepcopy(STATS)
        self.targets = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        self.start()

    def answer(self, command, arguments):
        path = arguments.get('path', '')
        if command == 'query-name':
            return {'name': self.name_of_vm} if self.name_of_vm else {}
        if command == 'qom-list':
            if path == '/machine/peripheral':
                return [{'name': 'type', 'type': 'string'},
                        {'name': 'net0', 'type': 'child<e1000>'},
                        {'name': 'gpu0', 'type': 'child<virtio-gpu-gl-pci>'},
                        {'name': 'gpu1', 'type': 'child<virtio-gpu-pci>'}]
            if 'gpu' in path:
                return [{'name': name, 'type': 'x'} for name in ('reclaim-stats', 'x-reclaim')]
            return [{'name': 'addr', 'type': 'x'}]
        if command == 'qom-get':
            if arguments['property'] == 'x-reclaim':
                return self.reclaim and path.endswith('gpu0')
            return self.stats
        if command == 'qom-set':
            self.targets.append((path, arguments['property'], arguments['value']))
        return {}

    def serve(self, file):
        def send(message):
            file.write(json.dumps(message) + '\n')
            file.flush()
        send(self.greeting)
        for line in file:
            request = json.loads(line)
            # An event may come before any response.
            send({'event': 'RTC_CHANGE', 'data': {}})
            if request['execute'] == 'quit-at-once':
                break
            send({'return': self.answer(request['execute'], request.get('arguments', {}))})

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile('rw') as file:
                try:
                    self.serve(file)
                except (OSError, ValueError):
                    pass


class Memtop(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.servers = []

    def qemu(self, file, *args, **kwargs):
        server = FakeQEMU(self.path(file), *args, **kwargs)
        self.addCleanup(server.listener.close)
        return server

    def path(self, file):
        return os.path.join(self.directory, file)

    def memtop(self, *args, status=0):
        done = subprocess.run([sys.executable, TOOL, *args], capture_output=True, text=True,
                              timeout=HANG_S, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        if status:
            self.assertIn('vgpu-memtop: ', done.stderr)
            self.assertNotIn('Traceback', done.stderr)
        return done.stderr if status else done.stdout

    def test_json(self):
        self.qemu('a.qmp', 'first')
        self.qemu('b.qmp')
        vms = json.loads(self.memtop('--once', '--json', self.path('a.qmp'),
                                     self.path('b.qmp')))['vms']
        self.assertEqual([vm['name'] for vm in vms], ['first', 'b.qmp'])
        self.assertEqual(vms[0]['devices'], [{'path': '/machine/peripheral/gpu0',
                                              'stats': STATS}])

    def test_once(self):
        self.qemu('a.qmp', 'first')
        lines = self.memtop('--once', self.path('a.qmp')).splitlines()
        self.assertEqual(lines[0], 'first')
        # 60 columns for 120 MiB, target at 60.
        self.assertIn('[' + '#' * 30 + '|' + '#' * 19 + '=' * 4 + 'x' + '-' * 5 + '] gpu0  ' +
                      'used 120M', lines[1])
        self.assertIn('resident 100M  = compressed 8.0M  x deferred 2.0M  - overhead 10M',
                      lines[2])
        self.assertEqual(lines[3], '    target 60M, wants 60M, pressure some')
        self.assertIn('stays: recently-used 90M, scanned-out 10M', lines[4])
        self.assertEqual(lines[5], '    file 12M, 4 written, 1 read, 2 failed')
        # The largest context first; what a guest sends is not printed as it is.
        self.assertRegex(lines[7], r'^ +2  evil\?\[2J"\\ +active +80M +0 +2.0M +1$')
        self.assertRegex(lines[8], r'^ +1  weston +120m +20M +8.0M +0 +2$')

    def test_prometheus(self):
        self.qemu('a.qmp', 'fi"rst\\')
        text = self.memtop('--prometheus', self.path('a.qmp'))
        labels = 'vm="fi\\"rst\\\\",device="/machine/peripheral/gpu0"'
        for line in ('vgpu_up{vm="fi\\"rst\\\\"} 1',
                     'vgpu_memory_bytes{%s,part="resident"} %d' % (labels, 100 * MIB),
                     'vgpu_memory_bytes{%s,part="compressed"} %d' % (labels, 8 * MIB),
                     'vgpu_target_bytes{%s} %d' % (labels, 60 * MIB),
                     'vgpu_file_bytes{%s} %d' % (labels, 12 * MIB),
                     'vgpu_file_errors_total{%s} 2' % labels,
                     'vgpu_pressure{%s} 1' % labels,
                     'vgpu_stays_bytes{%s,reason="scanned-out"} %d' % (labels, 10 * MIB),
                     'vgpu_compressions_total{%s} 5' % labels,
                     'vgpu_contexts{%s,state="idle"} 1' % labels):
            self.assertIn(line + '\n', text)
        # Each metric is described once, in front of its lines.
        names = [line.split()[2] for line in text.splitlines() if line.startswith('# TYPE')]
        self.assertEqual(len(names), len(set(names)))
        for line in text.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) vgpu_\w+ .+|vgpu_\w+\{.*\} \d+)$')

    def test_set_target(self):
        servers = [self.qemu('a.qmp'), self.qemu('b.qmp')]
        self.memtop('--set-target', '1.5G', self.path('a.qmp'), self.path('b.qmp'))
        for server in servers:
            self.assertEqual(server.targets, [('/machine/peripheral/gpu0', 'hostmem-target',
                                               1536 * MIB)])
        self.memtop('--set-target', '0', self.path('a.qmp'))
        self.assertEqual(servers[0].targets[-1][2], 0)

    def test_errors(self):
        self.qemu('plain.qmp', reclaim=False)
        self.qemu('no.qmp', greeting=['hello'])
        self.qemu('good.qmp')
        for args, status, why in (
                ([self.path('none.qmp')], 1, 'none.qmp: cannot connect: No such file'),
                ([self.path('plain.qmp')], 1, 'plain.qmp: there is no virtio-gpu device'),
                ([self.path('no.qmp')], 1, 'no.qmp: no QMP server'),
                (['--set-target', 'many', self.path('good.qmp')], 2, "'many' is no size"),
                (['--set-target', '-1', self.path('good.qmp')], 2, "'-1' is no size"),
                (['--set-target', '99E', self.path('good.qmp')], 2, "too large"),
                (['--interval', '0', self.path('good.qmp')], 2, 'no interval'),
                (['--json', '--prometheus', self.path('good.qmp')], 2, 'do not go together'),
                ([], 2, 'SOCKET')):
            with self.subTest(args=args):
                error = self.memtop(*(['--once'] if status == 1 else []), *args, status=status)
                self.assertIn(why, error)
                if status == 1:
                    self.assertEqual(error.count('\n'), 1)
        self.assertIn('no terminal', self.memtop(self.path('good.qmp'), status=1))

    def test_one_of_two_fails(self):
        self.qemu('a.qmp', 'first')
        done = subprocess.run([sys.executable, TOOL, '--json', self.path('a.qmp'),
                               self.path('none.qmp')], capture_output=True, text=True,
                              timeout=HANG_S, check=False)
        self.assertEqual(done.returncode, 1)
        vms = json.loads(done.stdout)['vms']
        self.assertEqual(len(vms[0]['devices']), 1)
        self.assertIn('cannot connect', vms[1]['error'])

    def test_display(self):
        """It draws on a terminal, follows the numbers, and ends with q."""
        server = self.qemu('a.qmp', 'first')
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ['TERM'] = 'xterm'
            os.execv(sys.executable, [sys.executable, TOOL, '--interval', '0.1',
                                      self.path('a.qmp')])
        shown = b''

        def wait_for(text):
            nonlocal shown
            while text not in shown:
                self.assertTrue(select.select([terminal], [], [], HANG_S)[0], shown)
                shown += os.read(terminal, 65536)

        wait_for(b'first')
        wait_for(b'weston')
        server.stats['pressure'] = 'full'
        wait_for(b'full')
        os.write(terminal, b'q')
        try:
            while os.read(terminal, 65536):
                pass
        except OSError:
            pass
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)

    def test_help(self):
        self.assertIn('--set-target', self.memtop('--help'))


if __name__ == '__main__':
    unittest.main()
