// Our time against ONNX Runtime's, in turn: medians and their ratio.
//   npm install --ignore-scripts onnxruntime-node@1.30.0      (in a directory of its own; run this from there)
//   [THREADS=1] [ROUNDS=7] [OPTIONS='--engine jit'] node vs_ort.mjs WQCC DIR...     (DIR/model.onnx, DIR/test_data_set_0/input_K.pb)
//
// `wqcc bench DIR --serve` stays alive beside the session of ONNX Runtime; each gives a batch of runs in turn. What the binding for
// node costs a call is timed in the same rounds on a model with the same inputs that does nothing (Identity of the smallest
// input, once for each output) and taken off. The ratio is the median of the rounds' ratios, so that whatever slows the machine for a
// while falls on both. JSON=FILE writes all numbers there.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';

const ort = createRequire(path.join(process.cwd(), 'x.js'))('onnxruntime-node');
const ROUNDS = Number(process.env.ROUNDS ?? 7), THREADS = Number(process.env.THREADS ?? 1);
const ROUND_MS = 150, MOST_RUNS = 500, LEAST_RUNS = 5;
const kinds = { 1: ['float32', Float32Array], 2: ['uint8', Uint8Array], 3: ['int8', Int8Array], 6: ['int32', Int32Array],
	7: ['int64', BigInt64Array], 9: ['bool', Uint8Array], 11: ['float64', Float64Array] };

// ---- protobuf, as much as is needed ----

// TensorProto: dims (1), data_type (2), raw_data (9); float_data (4) and int64_data (7) where there are no raw bytes
function readTensor(file) {
	const b = fs.readFileSync(file), dims = [], values = [];
	let at = 0, type = 0, raw;
	const varint = () => {
		for (let r = 0n, shift = 0n;; shift += 7n) {
			const c = b[at++];
			r |= BigInt(c & 127) << shift;
			if (c < 128)
				return BigInt.asIntN(64, r);
		}
	};
	while (at < b.length) {
		const tag = Number(varint()), field = tag >> 3;
		if ((tag & 7) === 0) {
			const v = varint();
			if (field === 1) dims.push(Number(v));
			else if (field === 2) type = Number(v);
			else values.push(v);
			continue;
		}
		const n = Number(varint()), end = at + n;
		if (field === 1) while (at < end) dims.push(Number(varint()));
		else if (field === 4) for (; at < end; at += 4) values.push(b.readFloatLE(at));
		else if (field === 7) while (at < end) values.push(varint());
		else if (field === 9) raw = b.subarray(at, end);
		at = end;
	}
	const [name, Kind] = kinds[type];
	const data = raw ? new Kind(Uint8Array.from(raw).buffer) : Kind.from(values, Kind === BigInt64Array ? undefined : Number);
	return { type, dims, tensor: new ort.Tensor(name, data, dims) };
}

const varint = n => {
	const out = [];
	for (; n > 127; n = Math.floor(n / 128)) out.push(n % 128 + 128);
	return Buffer.from([...out, n]);
};
const int = (field, n) => Buffer.concat([varint(field * 8), varint(n)]);
const bytes = (field, b) => Buffer.concat([varint(field * 8 + 2), varint(b.length), b]);
const text = (field, s) => bytes(field, Buffer.from(s));

function valueInfo(name, type, dims) {
	const shape = Buffer.concat(dims.map(d => bytes(1, int(1, d))));
	return Buffer.concat([text(1, name), bytes(2, bytes(1, Buffer.concat([int(1, type), bytes(2, shape)])))]);
}

// A model with these inputs and so many outputs, all Identity of its smallest input.
function emptyModel(inputs, nOut) {
	const size = i => i.tensor.data.length;
	const least = inputs.reduce((a, b) => size(b) < size(a) ? b : a);
	const parts = [];
	for (let k = 0; k < nOut; k++)
		parts.push(bytes(1, Buffer.concat([text(1, least.name), text(2, `y${k}`), text(4, 'Identity')])));
	parts.push(text(2, 'empty'));
	for (const i of inputs) parts.push(bytes(11, valueInfo(i.name, i.type, i.dims)));
	for (let k = 0; k < nOut; k++) parts.push(bytes(12, valueInfo(`y${k}`, least.type, least.dims)));
	return Buffer.concat([int(1, 8), bytes(7, Buffer.concat(parts)), bytes(8, int(2, 17))]);
}

// ---- the two sides ----

const open = model => ort.InferenceSession.create(model,
	{ intraOpNumThreads: THREADS, interOpNumThreads: 1, executionProviders: ['cpu'], logSeverityLevel: 4 });

async function timeSession(session, feeds, runs, took) {
	for (let i = 0; i < runs; i++) {
		const begin = process.hrtime.bigint();
		await session.run(feeds);
		took.push(Number(process.hrtime.bigint() - begin) / 1e6);
	}
}

async function server(wqcc, dir) {
	const options = (process.env.OPTIONS ?? '').split(' ').filter(x => x);
	const child = spawn(wqcc, ['bench', dir, '--serve', '--threads', String(THREADS), ...options], { stdio: ['pipe', 'pipe', 'inherit'] });
	const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	const line = async () => {
		const { value, done } = await lines.next();
		if (done)
			throw new Error(`wqcc bench ${dir} ended`);
		return value;
	};
	if (await line() !== 'ready')
		throw new Error(`wqcc bench ${dir} is not ready`);
	return {
		run: async n => {
			child.stdin.write(`${n}\n`);
			return JSON.parse(await line()).median;
		},
		end: () => child.stdin.end(),
	};
}

const median = v => v.sort((x, y) => x - y)[v.length >> 1];
const runsFor = ms => Math.max(LEAST_RUNS, Math.min(MOST_RUNS, Math.round(ROUND_MS / ms)));

async function compare(wqcc, dir) {
	const ours = await server(wqcc, dir);
	const session = await open(path.join(dir, 'model.onnx'));
	const inputs = [], feeds = {};
	session.inputNames.forEach((name, i) => {
		const file = path.join(dir, `test_data_set_0/input_${i}.pb`);
		if (!fs.existsSync(file))
			return;
		const t = readTensor(file);
		inputs.push({ name, ...t });
		feeds[name] = t.tensor;
	});
	const empty = await open(emptyModel(inputs, session.outputNames.length));
	const theirs = [], nothing = [], our = [], rounds = [], warm = [];
	await timeSession(session, feeds, 3, warm);
	await timeSession(empty, feeds, 50, []);
	const theirRuns = runsFor(median(warm)), ourRuns = runsFor(await ours.run(3));
	for (let round = 0; round < ROUNDS; round++) {
		const t = [], n = [];
		await timeSession(session, feeds, theirRuns, t);
		const o = await ours.run(ourRuns);
		await timeSession(empty, feeds, 100, n);
		rounds.push(o / Math.max(median(t) - median(n), 1e-6));
		theirs.push(...t);
		nothing.push(...n);
		our.push(o);
	}
	ours.end();
	const o = median(our), raw = median(theirs), call = median(nothing), t = Math.max(raw - call, 1e-6);
	return { model: path.basename(dir), ours: o, ort: t, ort_raw: raw, ort_call: call, ratio: median(rounds) };
}

const [wqcc, ...dirs] = process.argv.slice(2), all = [];
for (const dir of dirs) {
	try {
		const r = await compare(wqcc, dir);
		all.push(r);
		console.log(`${r.model.padEnd(26)} ours ${r.ours.toFixed(4).padStart(10)} ms   ONNX Runtime ${r.ort.toFixed(4).padStart(10)} ms (and ${
			(r.ort_call * 1e3).toFixed(0)} us a call)   ratio ${r.ratio.toFixed(2)}`);
	} catch (e) {
		console.log(`${path.basename(dir).padEnd(26)} ${e.message}`);
		process.exitCode = 1;
	}
}
if (all.length)
	console.log(`median ratio ${median(all.map(r => r.ratio)).toFixed(2)}, worst ${Math.max(...all.map(r => r.ratio)).toFixed(2)} of ${all.length}`);
if (process.env.JSON)
	fs.writeFileSync(process.env.JSON, JSON.stringify({ threads: THREADS, models: all }, null, 1) + '\n');
