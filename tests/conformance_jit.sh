# Everything compiled for this CPU and run in memory: the node cases, pytorch's, our own, and the real models.
. "$(dirname "$0")/run_conformance.bash"
bad=0
run_conformance jit-own --engine jit tests/conformance/*/ || bad=1
if [ -d "$SHARED/conformance/node" ]; then
	run_conformance jit --engine jit "$SHARED"/conformance/node/*/ || bad=1
	run_conformance pytorch --engine jit "$SHARED"/conformance/pytorch/*/ || bad=1
else
	echo "note: ../shared/conformance is not here"
fi
exit $bad
