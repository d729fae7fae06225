#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Test of packaging/qemu/wrapper.c: what it executes, with which arguments.

Usage: test-qemu-wrapper.py WRAPPER, which executes ./qemu with ./modules.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

WRAPPER = os.path.abspath(sys.argv.pop())
STAMP = '0123456789abcdef0123456789abcdef01234567'
QEMU = '''#!/usr/bin/python3
# qemu_stamp_%s
import json, os, sys
print(json.dumps({'modules': os.environ.get('QEMU_MODULE_DIR'), 'args': sys.argv[1:]}))
''' % STAMP


class WrapperTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        path = os.path.join(self.dir.name, 'qemu')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(QEMU)
        os.chmod(path, 0o755)

    def add_modules(self, stamp):
        os.makedirs(os.path.join(self.dir.name, 'modules', stamp))

    def run_wrapper(self, *args, **env):
        environment = {k: v for k, v in os.environ.items() if k != 'QEMU_MODULE_DIR'}
        result = subprocess.run([WRAPPER, *args], cwd=self.dir.name, check=False,
                                env={**environment, **env}, capture_output=True, text=True)
        if result.returncode:
            return None, result.stderr
        return json.loads(result.stdout), result.stderr

    def assert_stripped(self, before, after):
        """Without modules QEMU gets the arguments @after for @before."""
        ran, _ = self.run_wrapper(*before)
        self.assertEqual(ran['args'], after)

    def test_modules_that_fit(self):
        self.add_modules('f' * 40)
        self.add_modules(STAMP)
        args = ['-device', 'virtio-vga-gl,x-reclaim=on', '-nodefaults']
        ran, message = self.run_wrapper(*args)
        self.assertEqual(ran['modules'], './modules/' + STAMP)
        self.assertEqual(ran['args'], args)
        self.assertEqual(message, '')

    def test_no_modules_that_fit(self):
        self.add_modules('f' * 40)
        ran, message = self.run_wrapper('-device', 'virtio-vga,x-reclaim=on')
        self.assertIsNone(ran['modules'])
        self.assertEqual(ran['args'], ['-device', 'virtio-vga'])
        self.assertEqual(message.count('\n'), 1)
        self.assertIn('virtio-gpu-reclaim-rebuild', message)

    def test_a_part_of_a_stamp_does_not_fit(self):
        self.add_modules(STAMP[1:])
        ran, _ = self.run_wrapper('-device', 'virtio-vga')
        self.assertIsNone(ran['modules'])

    def test_silent_without_virtio_gpu(self):
        ran, message = self.run_wrapper('-device', 'qxl,x-reclaim=on', '-version')
        self.assertEqual(ran['args'], ['-device', 'qxl,x-reclaim=on', '-version'])
        self.assertEqual(message, '')

    def test_users_own_modules(self):
        self.add_modules(STAMP)
        args = ['-device', 'virtio-vga,x-reclaim=on']
        ran, message = self.run_wrapper(*args, QEMU_MODULE_DIR='/elsewhere')
        self.assertEqual(ran, {'modules': '/elsewhere', 'args': args})
        self.assertEqual(message, '')

    def test_options(self):
        self.assert_stripped(
            ['--device', 'virtio-gpu-gl-pci,id=a,,x-reclaim=on,max_hostmem=1G,'
                         'x-reclaim=on,hostmem-target=64M,x-max-contexts=3,xres=640'],
            ['--device', 'virtio-gpu-gl-pci,id=a,,x-reclaim=on,max_hostmem=1G,xres=640'])
        self.assert_stripped(['-device', 'driver=virtio-gpu,x-idle-compress=1'],
                             ['-device', 'driver=virtio-gpu'])
        self.assert_stripped(['-device', 'x-reclaim=on,driver=virtio-gpu,id=a'],
                             ['-device', 'driver=virtio-gpu,id=a'])

    def test_json(self):
        device = {'driver': 'virtio-vga-gl', 'id': 'video0', 'max_outputs': 1,
                  'max_hostmem': 2 ** 40, 'bus': 'pcie.0'}
        ours = {'x-reclaim': True, 'x-reclaim-pressure': 'psi', 'hostmem-target': 2 ** 30}
        ran, _ = self.run_wrapper('-device', json.dumps({**device, **ours}))
        self.assertEqual(json.loads(ran['args'][1]), device)

    def test_json_of_others(self):
        for text in ['{"driver":"qxl","x-reclaim":true}', '{"driver":1,"x-reclaim":true}',
                     '{"driver":null}', '{', '{}', '{"driver":[]}']:
            ran, message = self.run_wrapper('-device', text)
            self.assertEqual(ran['args'], ['-device', text])
            self.assertEqual(message, '')

    def test_global(self):
        self.assert_stripped(
            ['-global', 'virtio-gpu-gl-device.x-reclaim=on', '-global', 'qxl.x-reclaim=on',
             '-global', 'virtio-vga.max_hostmem=1', '-device', 'virtio-vga'],
            ['-global', 'qxl.x-reclaim=on', '-global', 'virtio-vga.max_hostmem=1',
             '-device', 'virtio-vga'])

    def test_odd_arguments(self):
        for args in [[], ['-device'], ['-device', ''], ['-device', ','], ['-global'],
                     ['-global', ''], ['-'], [''], ['-device', 'virtio-gpu,,'],
                     ['-name', '-device', 'virtio-vga,x-y=1']]:
            self.assert_stripped(args, args)

    def test_no_qemu(self):
        os.unlink(os.path.join(self.dir.name, 'qemu'))
        ran, message = self.run_wrapper('-version')
        self.assertIsNone(ran)
        self.assertIn('cannot execute ./qemu: No such file', message)


if __name__ == '__main__':
    unittest.main()
