#!/bin/sh
# Prints where the wine model answers: the load balancer's address, and the host that leads to the model.
# Nothing is changed.
set -eu

NAMESPACE=${NAMESPACE:-mlflow-kserve-test}
NAME=${NAME:-mlflow-wine-classifier}
FOREBAY=${FOREBAY:-forebay}

eval "$("$FOREBAY" url "isvc/$NAME" --namespace "$NAMESPACE" --env)"
echo "✓ External endpoint: $INGRESS_HOST"
echo "✓ Host Header: $SERVICE_HOSTNAME"
