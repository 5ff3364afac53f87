// Runs models by ONNX Runtime: node run_ort.mjs JOBS.json, with jobs [{model, inputs: [{name, type, dims, file}], out}].
// Writes for each job OUT.json ([{name, type, dims, file}]) with raw little-endian data beside. Needs onnxruntime-node, found
// from the current folder.
import fs from 'fs';
import {createRequire} from 'module';
import path from 'path';

const ort = createRequire(path.join(process.cwd(), 'x.js'))('onnxruntime-node');
const arrays = {
	float32: Float32Array, float64: Float64Array, float16: Uint16Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array,
	int16: Int16Array, uint16: Uint16Array, int32: Int32Array, uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array,
};

function read({type, dims, file}) {
	const bytes = new Uint8Array(fs.readFileSync(file));
	return new ort.Tensor(type, new arrays[type](bytes.buffer, 0, bytes.length / arrays[type].BYTES_PER_ELEMENT), dims);
}

async function run({model, inputs, out}) {
	const session = await ort.InferenceSession.create(model, {executionProviders: ['cpu'], graphOptimizationLevel: 'disabled', logSeverityLevel: 3});
	const result = await session.run(Object.fromEntries(inputs.map(i => [i.name, read(i)])));
	const list = session.outputNames.map((name, k) => {
		const t = result[name], file = `${out}.${k}`;
		fs.writeFileSync(file, Buffer.from(t.data.buffer, t.data.byteOffset, t.data.byteLength));
		return {name, type: t.type, dims: t.dims, file};
	});
	fs.writeFileSync(`${out}.json`, JSON.stringify(list));
}

for (const job of JSON.parse(fs.readFileSync(process.argv[2])))
	try {
		await run(job);
	} catch (e) {
		console.error(`${job.model}: ${e.message}`);
	}
