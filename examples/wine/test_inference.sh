#!/bin/sh
# Asks the wine model for predictions in MLflow's protocol, through the load balancer.
set -eu
cd "$(dirname "$0")"

NAMESPACE=${NAMESPACE:-mlflow-kserve-test}
NAME=${NAME:-mlflow-wine-classifier}
FOREBAY=${FOREBAY:-forebay}

eval "$("$FOREBAY" url "isvc/$NAME" --namespace "$NAMESPACE" --env)"
echo "POST http://$INGRESS_HOST/invocations (Host: $SERVICE_HOSTNAME)"
answer=$(curl --silent --show-error --fail-with-body \
  --header "Host: $SERVICE_HOSTNAME" \
  --header "Content-Type: application/json" \
  --data @test/input_invocations.json \
  "http://$INGRESS_HOST/invocations")
echo "$answer"
case $answer in
  *'"predictions"'*) echo "✓ two wines rated" ;;
  *) echo "✗ no predictions in the answer" >&2; exit 1 ;;
esac
