// wasm.mjs MODULE: what wasm.c asks of its host. The module reads in.bin and writes out.bin of the working directory.
import fs from 'node:fs';

const input = fs.readFileSync('in.bin');
const output = fs.openSync('out.bin', 'w');
let at = 0;
let memory;
const bytes = (p, n) => new Uint8Array(memory.buffer, p >>> 0, n >>> 0);
const io = {
	read(p, n) {
		if (at + n > input.length)
			return 0;
		bytes(p, n).set(input.subarray(at, at + n));
		at += n;
		return 1;
	},
	write(p, n) {
		fs.writeSync(output, bytes(p, n));
	},
	message(p) {
		const all = bytes(p, 256);
		process.stderr.write(Buffer.from(all.subarray(0, all.indexOf(0))).toString());
	},
	exit(status) {
		process.exit(status);
	},
};
const { instance } = await WebAssembly.instantiate(fs.readFileSync(process.argv[2]), { io });
memory = instance.exports.memory;
try {
	instance.exports.run();
} catch (e) {
	process.stderr.write(String(e));
	process.exit(99);
}
