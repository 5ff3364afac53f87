# The ONNX backend's simple and pytorch cases from ../shared.
. "$(dirname "$0")/run_conformance.bash"
[ -d "$SHARED/conformance/simple" ] || { echo "SKIP: ../shared/conformance is not here"; exit 77; }
run_conformance simple "$SHARED"/conformance/simple/*/
a=$?
run_conformance pytorch "$SHARED"/conformance/pytorch/*/
b=$?
exit $((a | b))
