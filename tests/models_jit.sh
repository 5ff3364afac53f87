# label: slow
# The shared models, compiled for this CPU, on one thread and on two: within 1e-4 of the range of their stored outputs.
. "$(dirname "$0")/run_conformance.bash"
if ! ls "$SHARED"/models/*/model.onnx >/dev/null 2>&1; then
	echo "SKIP: ../shared/models is not here"
	exit 77
fi
bad=0
for threads in 1 2; do
	run_conformance models --engine jit --range 1e-4 --threads $threads $(dirname "$SHARED"/models/*/model.onnx) || bad=1
done
exit $bad
