# Sourced: puts onnxruntime-node 1.30.0 into build/ort (once) and goes there; says so and exits 77 where that cannot be.
ort_dir=$(pwd)/build/ort
if [ ! -d "$ort_dir/node_modules/onnxruntime-node" ]; then
	mkdir -p "$ort_dir"
	command -v npm >/dev/null || { echo "SKIP: npm is not here, so there is no ONNX Runtime to compare with"; exit 77; }
	(cd "$ort_dir" && npm install --ignore-scripts --no-audit --no-fund --silent onnxruntime-node@1.30.0) ||
		{ echo "SKIP: onnxruntime-node could not be installed"; exit 77; }
fi
python3=/usr/bin/python3
$python3 -c 'import onnx, numpy' 2>/dev/null || { echo "SKIP: python3-onnx is not here"; exit 77; }
