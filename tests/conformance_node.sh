# The ONNX backend's node cases: from ../shared, else from Debian's libonnx-testdata.
. "$(dirname "$0")/run_conformance.bash"
debian=/usr/share/libonnx-testdata/data/node
if [ -d "$SHARED/conformance/node" ]; then
	run_conformance node "$SHARED"/conformance/node/*/
elif [ -d $debian ]; then
	run_conformance node $debian/*/
else
	echo "SKIP: neither ../shared/conformance nor libonnx-testdata is here"
	exit 77
fi
