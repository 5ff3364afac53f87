# The node cases with their inputs compiled in as constants: what a real model would hold as initializers. From ../shared, and from
# Debian's libonnx-testdata.
. "$(dirname "$0")/run_conformance.bash"
debian=/usr/share/libonnx-testdata/data/node
ran=0 bad=0
if [ -d "$SHARED/conformance/node" ]; then
	ran=1
	run_conformance const --const-inputs "$SHARED"/conformance/node/*/ || bad=1
fi
if [ -d $debian ]; then
	ran=1
	run_conformance debian-const --const-inputs $debian/*/ || bad=1
fi
if [ $ran = 0 ]; then
	echo "SKIP: neither ../shared/conformance nor libonnx-testdata is here"
	exit 77
fi
exit $bad
