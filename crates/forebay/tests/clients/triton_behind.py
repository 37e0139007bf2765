"""`tritonclient` through a load balancer.

usage: triton_behind.py ADDRESS [HOST [AUTHORITY]], of a load balancer in front of servers of the model `iris` that keep
answers; the host that leads to them, and whom to believe about it over TLS.
"""

import sys
import threading

import grpc
import numpy as np
import tritonclient.grpc as triton
from fixture import answers_of, rows_of, seen
from tritonclient.grpc import service_pb2

IRIS = np.array(rows_of("iris-svc")[1])


def check(address, host=None, authority=None):
    request = triton.InferInput("x", list(IRIS.shape), "FP64")
    request.set_data_from_numpy(IRIS)
    # A client of its own, so a connection of its own unless the library shares them.
    options = [("grpc.use_local_subchannel_pool", 1)]
    if host:
        options += [("grpc.default_authority", host), ("grpc.ssl_target_name_override", host)]
    credentials = None
    if authority:
        with open(authority, "rb") as certificates:
            credentials = grpc.ssl_channel_credentials(certificates.read())
    for _ in range(20):
        with triton.InferenceServerClient(address, channel_args=options, creds=credentials) as client:
            assert client.is_server_live() and client.is_model_ready("iris")
            for _ in range(5):
                answer = client.infer("iris", [request])
                assert answer.as_numpy("predict").ravel().tolist() == answers_of("iris-svc")
    streamed(address, options, credentials)
    seen("grpc: 100 requests over 20 connections and a stream through the load balancer")


def streamed(address, options, credentials):
    """Each answer of a stream comes before the next question is asked."""
    question = service_pb2.ModelInferRequest(model_name="iris")
    tensor = question.inputs.add(name="x", datatype="FP64", shape=IRIS.shape)
    tensor.contents.fp64_contents.extend(IRIS.ravel())
    came = threading.Semaphore(0)

    def questions():
        for n in range(10):
            yield question
            assert came.acquire(timeout=10), f"no answer to question {n}"

    opened = grpc.secure_channel(address, credentials, options) if credentials else grpc.insecure_channel(address, options)
    with opened as channel:
        stream = channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )
        answers = 0
        for answer in stream(questions()):
            assert list(answer.outputs[0].contents.int64_contents) == answers_of("iris-svc"), answer
            answers += 1
            came.release()
        assert answers == 10, answers


if __name__ == "__main__":
    check(*sys.argv[1:])
