# label: slow
# ONNX Runtime's answers against ours on further inputs, and the same bits from the models that we write back: our own models, the
# shared ones and the architectures of conformance/light.
set -u
. tests/ort/install.bash
models=(models/*/model.onnx)
if [ -d "$SHARED/models" ]; then
	models+=("$SHARED"/models/*/model.onnx "$SHARED"/conformance/light/*.onnx)
else
	echo "SKIP in part: ../shared is not here; our own models only"
fi
here=$(pwd)
full=()
for m in "${models[@]}"; do full+=("$(realpath "$m")"); done
cd "$ort_dir" && $python3 "$here/tests/ort/compare.py" "$WQCC" "${full[@]}"
