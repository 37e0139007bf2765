#!/bin/sh
# Asks the wine model for predictions in the Open Inference Protocol (V2), through the load balancer.
set -eu
cd "$(dirname "$0")"

NAMESPACE=${NAMESPACE:-mlflow-kserve-test}
NAME=${NAME:-mlflow-wine-classifier}
MODEL=${MODEL:-wine-quality-elasticnet}
FOREBAY=${FOREBAY:-forebay}

eval "$("$FOREBAY" url "isvc/$NAME" --namespace "$NAMESPACE" --env)"
echo "POST http://$INGRESS_HOST/v2/models/$MODEL/infer (Host: $SERVICE_HOSTNAME)"
answer=$(curl --silent --show-error --fail-with-body \
  --header "Host: $SERVICE_HOSTNAME" \
  --header "Content-Type: application/json" \
  --data @test/input.json \
  "http://$INGRESS_HOST/v2/models/$MODEL/infer")
echo "$answer"
case $answer in
  *'"outputs"'*) echo "✓ two wines rated" ;;
  *) echo "✗ no outputs in the answer" >&2; exit 1 ;;
esac
