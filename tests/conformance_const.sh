# The node cases with their inputs compiled in as constants: what a real model would hold as initializers. From ../shared, else from
# Debian's libonnx-testdata.
. "$(dirname "$0")/run_conformance.bash"
debian=/usr/share/libonnx-testdata/data/node
if [ -d "$SHARED/conformance/node" ]; then
	run_conformance const --const-inputs "$SHARED"/conformance/node/*/
elif [ -d $debian ]; then
	run_conformance const --const-inputs $debian/*/
else
	echo "SKIP: neither ../shared/conformance nor libonnx-testdata is here"
	exit 77
fi
