# The real models of ../shared within 1e-4 of their outputs' ranges.
. "$(dirname "$0")/run_conformance.bash"
[ -d "$SHARED/models" ] || { echo "SKIP: ../shared/models is not here"; exit 77; }
run_conformance models --range 1e-4 $(for m in "$SHARED"/models/*/model.onnx; do dirname "$m"; done)
