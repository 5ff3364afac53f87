# The ONNX backend's node cases: those of ../shared, and the older ones of Debian's libonnx-testdata, which any machine can have.
. "$(dirname "$0")/run_conformance.bash"
debian=/usr/share/libonnx-testdata/data/node
ran=0 bad=0
if [ -d "$SHARED/conformance/node" ]; then
	ran=1
	run_conformance node "$SHARED"/conformance/node/*/ || bad=1
fi
if [ -d $debian ]; then
	ran=1
	run_conformance debian $debian/*/ || bad=1
fi
if [ $ran = 0 ]; then
	echo "SKIP: neither ../shared/conformance nor libonnx-testdata is here"
	exit 77
fi
exit $bad
