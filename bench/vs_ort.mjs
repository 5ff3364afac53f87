// Evaluation on one thread against ONNX Runtime's, in turn: medians and their ratio.
//   npm install --ignore-scripts onnxruntime-node@1.30.0      (in a directory of its own; run this from there)
//   [PIPELINE=opt] node vs_ort.mjs ENGINE_BENCH DIR...                       (DIR/model.onnx, DIR/test_data_set_0/input_K.pb)
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const ort = createRequire(path.join(process.cwd(), 'x.js'))('onnxruntime-node');
const ROUNDS = 5, RUNS = 12;
const kinds = { 1: ['float32', Float32Array], 2: ['uint8', Uint8Array], 3: ['int8', Int8Array], 6: ['int32', Int32Array],
	7: ['int64', BigInt64Array], 9: ['bool', Uint8Array], 11: ['float64', Float64Array] };

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
	const data = raw ? new Kind(Uint8Array.from(raw).buffer) : Kind.from(values);
	return new ort.Tensor(name, data, dims);
}

const median = v => v.sort((x, y) => x - y)[v.length >> 1];
const [bench, ...dirs] = process.argv.slice(2);
for (const dir of dirs) {
	const s = await ort.InferenceSession.create(path.join(dir, 'model.onnx'),
		{ intraOpNumThreads: 1, interOpNumThreads: 1, executionProviders: ['cpu'], logSeverityLevel: 4 });
	const feeds = {};
	s.inputNames.forEach((name, i) => {
		const file = path.join(dir, `test_data_set_0/input_${i}.pb`);
		if (fs.existsSync(file)) feeds[name] = readTensor(file);
	});
	const theirs = [], ours = [];
	await s.run(feeds);
	for (let round = 0; round < ROUNDS; round++) {
		for (let i = 0; i < RUNS; i++) {
			const begin = process.hrtime.bigint();
			await s.run(feeds);
			theirs.push(Number(process.hrtime.bigint() - begin) / 1e6);
		}
		const out = execFileSync(bench, [dir, String(RUNS), '1', process.env.PIPELINE ?? ''], { stdio: ['ignore', 'pipe', 'ignore'] });
		ours.push(JSON.parse(out).median);
	}
	const o = median(ours), t = median(theirs);
	console.log(`${path.basename(dir).padEnd(24)} ours ${o.toFixed(3).padStart(9)} ms   ONNX Runtime ${t.toFixed(3).padStart(9)} ms   ratio ${(o / t).toFixed(2)}`);
}
