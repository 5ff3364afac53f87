# label: slow
# The text form of every shared model and case: printed, read, printed.
. tests/roundtrip.bash
[ -d "$SHARED/models" ] || { echo "SKIP: ../shared is not here"; exit 77; }
round_trips "$SHARED"/models/*/model.onnx "$SHARED"/conformance/*/*/model.onnx "$SHARED"/conformance/light/*.onnx
