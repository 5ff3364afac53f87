#!/usr/bin/python3
"""Instructions that kernels of fixed small shapes take, counted by QEMU: the same on any machine, at any load.

    bench/icount.py            writes bench/icount.tsv
    bench/icount.py --check    compares: exit 1 where a count has grown by more than 2 %, or a shape is missing

Needs scripts/setup.sh --cross and python3-onnx. WQCC: the program (build/dev/wqcc).
What is counted is what the model executes: the kernels, their entry, and the runtime's helpers that they call."""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, 'icount.tsv')
WQCC = os.path.abspath(os.environ.get('WQCC', os.path.join(HERE, '..', 'build', 'dev', 'wqcc')))
ENGINES = ['cortex-m4', 'cortex-m55', 'aarch64']
# what of the program is not the model's
RUNNER = {'runner', 'begin', 'reset', '_start', 'io_read', 'io_write', 'io_open', 'io_heap', 'io_stack', 'io_exit', 'io_fail', 'host', 'call',
	'fill', 'checksum', 'allocate', 'guards_whole', 'element_bytes', 'read64', 'write64', 'paint_stack', 'stack_used', 'read_inputs',
	'read_buffer', 'write_outputs', 'check_buffers', 'open', 'fault', '?'}

rng = np.random.default_rng(1)


def weights(*shape):
	return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def case(op, shape, consts=(), **attrs):
	return op, shape, consts, attrs


CASES = {
	'matmul 1x64 64x64': case('MatMul', [1, 64], [weights(64, 64)]),
	'matmul 16x64 64x64': case('MatMul', [16, 64], [weights(64, 64)]),
	'conv 3x3 8x12x12 to 16': case('Conv', [1, 8, 12, 12], [weights(16, 8, 3, 3), weights(16)], pads=[1, 1, 1, 1]),
	'conv 1x1 32x8x8 to 32': case('Conv', [1, 32, 8, 8], [weights(32, 32, 1, 1), weights(32)]),
	'depthwise 3x3 32x12x12': case('Conv', [1, 32, 12, 12], [weights(32, 1, 3, 3), weights(32)], pads=[1, 1, 1, 1], group=32),
	'softmax 16x64': case('Softmax', [16, 64], axis=-1),
	'layer norm 16x64': case('LayerNormalization', [16, 64], [weights(64), weights(64)], axis=-1),
	'gelu by erf 1024': case('Erf', [1024]),
	'relu 1024': case('Relu', [1024]),
	'max pool 2x2 16x12x12': case('MaxPool', [1, 16, 12, 12], kernel_shape=[2, 2], strides=[2, 2]),
	'transpose 32x32': case('Transpose', [32, 32], perm=[1, 0]),
	'reduce mean 16x64': case('ReduceMean', [16, 64], axes=[1]),
}


def write_folder(folder, op, shape, consts, attrs):
	"""A folder of ONNX's backend tests; what the evaluator computes is what is expected."""
	os.makedirs(folder + '/test_data_set_0')
	names = ['w%d' % i for i in range(len(consts))]
	node = helper.make_node(op, ['x'] + names, ['y'], **attrs)
	graph = helper.make_graph([node], 'case', [helper.make_tensor_value_info('x', TensorProto.FLOAT, shape)],
		[helper.make_tensor_value_info('y', TensorProto.FLOAT, None)], [numpy_helper.from_array(w, n) for w, n in zip(consts, names)])
	model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
	model.ir_version = 8
	onnx.save(model, folder + '/model.onnx')
	x = rng.standard_normal(shape).astype(np.float32)
	np.save(folder + '/x.npy', x)
	subprocess.run([WQCC, 'run', folder + '/model.onnx', '--input', 'x=%s/x.npy' % folder, '--output', folder], check=True,
		stdout=subprocess.DEVNULL)
	for name, value in (('input_0', x), ('output_0', np.load(folder + '/y.npy'))):
		with open('%s/test_data_set_0/%s.pb' % (folder, name), 'wb') as f:
			f.write(numpy_helper.from_array(value).SerializeToString())


def count(program, plugin):
	r = subprocess.run([program], env=dict(os.environ, QEMU_OPTIONS='-plugin ' + plugin), stderr=subprocess.PIPE, text=True)
	if r.returncode:
		sys.exit('%s: status %d\n%s' % (program, r.returncode, r.stderr))
	rows = [line.split() for line in r.stderr.splitlines()]
	return sum(int(n) for n, symbol in rows if symbol not in RUNNER)


def measure(tmp):
	plugin = tmp + '/libicount.so'
	subprocess.run(['cc', '-O2', '-shared', '-fPIC', os.path.join(HERE, '..', 'tests', 'cross', 'icount.c'), '-o', plugin], check=True)
	folders = {}
	for name, parts in CASES.items():
		folders[name] = tmp + '/' + name.replace(' ', '_')
		write_folder(folders[name], *parts)
	table = {}
	for engine in ENGINES:
		subprocess.run([WQCC, 'check', '-q', '--engine', engine, '--keep', tmp + '/' + engine, '--range', '1e-4'] + list(folders.values()), check=True,
			stdout=subprocess.DEVNULL)
		for name, folder in folders.items():
			table[name, engine] = count('%s/%s/%s/run' % (tmp, engine, os.path.basename(folder)), plugin)
	return table


def read_table():
	with open(TABLE) as f:
		head, *rows = [line.rstrip('\n').split('\t') for line in f if not line.startswith('#')]
	return {(row[0], engine): int(n) for row in rows for engine, n in zip(head[1:], row[1:])}


def write_table(table):
	with open(TABLE, 'w') as f:
		f.write('# Instructions of one call, f32: bench/icount.py\n' + '\t'.join(['case'] + ENGINES) + '\n')
		for name in CASES:
			f.write('\t'.join([name] + [str(table[name, e]) for e in ENGINES]) + '\n')


def compare(table):
	old, bad = read_table(), 0
	for key, n in table.items():
		was = old.get(key)
		if was is None or n > was * 1.02 or n < was * 0.9:
			bad += 1
			print('%s on %s: %d instructions, %s in the table' % (*key, n, was))
	for key in old.keys() - table.keys():
		bad += 1
		print('%s on %s is in the table alone' % key)
	print('%d passed, %d failed' % (len(table) - bad, bad))
	return bad != 0


with tempfile.TemporaryDirectory() as directory:
	counts = measure(directory)
if sys.argv[1:] == ['--check']:
	sys.exit(compare(counts))
write_table(counts)
