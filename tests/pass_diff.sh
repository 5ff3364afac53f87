# label: slow
# Every pass on every conformance model and on the shared real ones, before and after: inputs at run time and as constants.
: "${PASS_DIFF:?set PASS_DIFF to the program}"
node=$SHARED/conformance/node
[ -d "$node" ] || node=/usr/share/libonnx-testdata/data/node
[ -d "$node" ] || { echo "SKIP: neither ../shared/conformance nor libonnx-testdata is here"; exit 77; }
bad=0
"$PASS_DIFF" "$node"/*/ || bad=1
"$PASS_DIFF" --const "$node"/*/ || bad=1
for set in simple pytorch; do
	[ ! -d "$SHARED/conformance/$set" ] || "$PASS_DIFF" "$SHARED/conformance/$set"/*/ || bad=1
done
for m in "$SHARED"/conformance/light/*.onnx; do
	[ ! -f "$m" ] || "$PASS_DIFF" --dnnl "$m" || bad=1
done
for m in "$SHARED"/models/*/model.onnx; do
	[ ! -f "$m" ] || "$PASS_DIFF" --dnnl "$(dirname "$m")" || bad=1
done
exit $bad
