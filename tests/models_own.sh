# Our own models: the stored outputs of ONNX Runtime within 1e-4 of their range, and the accuracy that models/ claims.
. "$(dirname "$0")/run_conformance.bash"
run_conformance models --range 1e-4 models/digits models/tones models/chars || exit 1
for m in digits tones chars; do
	json=models/$m/accuracy.json
	metric=$(sed -nE 's/.*"metric": *"([^"]+)".*/\1/p' $json)
	want=$(sed -nE 's/^ *"value": *([0-9.]+).*/\1/p' $json)
	got=$("$WQCC" eval models/$m/model.onnx --data models/$m/data.npz --metric "$metric" --batch 20 -O clean | awk '{print $2}')
	echo "$m: $metric $got, claimed $want"
	awk -v a="$got" -v b="$want" 'BEGIN { d = a - b; exit !((d < 0 ? -d : d) <= 0.0006) }' || exit 1
done
