"""`tritonclient` through a load balancer of connections.

usage: triton_behind.py GRPC_ADDRESS, of a load balancer in front of servers of the model `iris` that keep answers.
"""

import sys

import numpy as np
import tritonclient.grpc as triton
from fixture import answers_of, rows_of, seen

IRIS = np.array(rows_of("iris-svc")[1])


def check(address):
    request = triton.InferInput("x", list(IRIS.shape), "FP64")
    request.set_data_from_numpy(IRIS)
    for _ in range(20):
        # A client of its own, so a connection of its own unless the library shares them.
        options = [("grpc.use_local_subchannel_pool", 1)]
        with triton.InferenceServerClient(address, channel_args=options) as client:
            assert client.is_server_live() and client.is_model_ready("iris")
            for _ in range(5):
                answer = client.infer("iris", [request])
                assert answer.as_numpy("predict").ravel().tolist() == answers_of("iris-svc")
    seen("grpc: 100 requests over 20 connections through the load balancer")


if __name__ == "__main__":
    check(sys.argv[1])
