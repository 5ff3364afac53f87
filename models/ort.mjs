// node ort.mjs model.onnx: one tensor per line in (JSON, data as base64), the model's first output per line out.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import path from 'node:path';

const require = createRequire(path.resolve(process.env.ORT_HOME ?? '.', 'from.js'));
const ort = require('onnxruntime-node');
const { version } = require('onnxruntime-node/package.json');
const arrays = { float32: Float32Array, int64: BigInt64Array };

const session = await ort.InferenceSession.create(process.argv[2], { intraOpNumThreads: 1 });
const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');
say({ version: `onnxruntime-node ${version}` });

for await (const line of createInterface({ input: process.stdin })) {
  const { type, dims, data } = JSON.parse(line);
  const bytes = new Uint8Array(Buffer.from(data, 'base64'));  // a copy: Buffer's own may not be aligned
  const x = new ort.Tensor(type, new arrays[type](bytes.buffer), dims);
  const y = (await session.run({ [session.inputNames[0]]: x }))[session.outputNames[0]];
  const out = Buffer.from(y.data.buffer, y.data.byteOffset, y.data.byteLength);
  say({ type: y.type, dims: y.dims, data: out.toString('base64') });
}
