# The text form of our own models and cases: printed, read, printed.
. tests/roundtrip.bash
round_trips models/*/model.onnx tests/conformance/*/model.onnx
