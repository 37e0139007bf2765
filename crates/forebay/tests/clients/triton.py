"""`tritonclient` against `forebay serve`: each call that its clients have and the server answers, over HTTP and gRPC.

usage: triton.py HTTP_ADDRESS GRPC_ADDRESS ADMIN_ADDRESS, of a server of the models `iris`, `labels` and `texts`.
"""

import sys

import grpc
import numpy as np
import tritonclient.grpc
import tritonclient.http
from fixture import answers_of, refused, rows_of, seen
from tritonclient.utils import InferenceServerException

IRIS = np.array(rows_of("iris-svc")[1])
N_ROWS = len(IRIS)


def tensor(of, name, values, datatype, **options):
    made = of.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, **options)
    return made


def check_state(client, protocol):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("iris")
    seen(f"{protocol}: server and models are live and ready")


def check_errors(client, of, protocol):
    def ask(name, values, datatype="FP64", **options):
        return lambda: client.infer(name, [tensor(of, "x", values, datatype)], **options)

    failed = InferenceServerException
    refused(failed, ask("rose", IRIS), "no model is called `rose`", "`iris`")
    refused(failed, ask("iris", IRIS, model_version="9"), "`iris` has no version `9`")
    refused(failed, ask("iris", IRIS[:, :3]), "4 columns")
    wanted = [of.InferRequestedOutput("answer")]
    refused(failed, ask("iris", IRIS, outputs=wanted), "`answer`", "predict")
    refused(failed, lambda: client.get_model_metadata("rose"), "`rose`")
    seen(f"{protocol}: what is wrong is told in words")


def check_repository(client, admin, protocol, names):
    """What one client sees when another changes the models. `names` gives the names and states of an index."""
    failed = InferenceServerException
    refused(failed, lambda: client.unload_model("iris"), "not loaded and unloaded on this port", "http://")
    refused(failed, lambda: client.load_model("iris"), "not loaded and unloaded on this port")
    assert dict(names(client.get_model_repository_index()))["iris"] == "READY"
    admin.unload_model("iris")
    assert dict(names(client.get_model_repository_index()))["iris"] == "UNAVAILABLE"
    assert client.is_model_ready("labels") and not client.is_model_ready("iris")
    admin.load_model("iris")
    assert dict(names(client.get_model_repository_index()))["iris"] == "READY"
    assert client.is_model_ready("iris")
    seen(f"{protocol}: models are listed, and loaded and unloaded on the admin address alone")


def check_admin(address):
    with tritonclient.http.InferenceServerClient(address) as admin:
        failed = InferenceServerException
        refused(failed, lambda: admin.load_model("rose"), "no model `rose`")
        refused(failed, lambda: admin.load_model("iris", config='{"max_batch_size": 8}'), "`config` is not taken")
        admin.unload_model("iris", unload_dependents=True)
        admin.load_model("iris")
        answer = admin.infer("iris", [tensor(tritonclient.http, "x", IRIS, "FP64")])
        assert answer.as_numpy("predict").ravel().tolist() == answers_of("iris-svc")
        seen("admin: models are loaded as they are, and answer")


def check_http(address, admin):
    of = tritonclient.http
    with of.InferenceServerClient(address) as client:
        check_state(client, "http")
        server = client.get_server_metadata()
        assert server["name"] == "forebay" and "binary_tensor_data" in server["extensions"]
        model = client.get_model_metadata("iris")
        assert model["inputs"][0]["datatype"] == "FP64" and model["inputs"][0]["shape"] == [-1, 4]
        seen("http: metadata")

        for is_binary in [True, False]:
            inputs = [tensor(of, "x", IRIS, "FP64", binary_data=is_binary)]
            outputs = [of.InferRequestedOutput("predict", binary_data=is_binary)]
            answer = client.infer("iris", inputs, outputs=outputs, request_id="a")
            assert answer.get_response()["id"] == "a"
            assert ("binary_data_size" in answer.get_output("predict").get("parameters", {})) == is_binary
            assert answer.as_numpy("predict").ravel().tolist() == answers_of("iris-svc")
        seen("http: tensors in bytes and in JSON")

        inputs = [tensor(of, "x", IRIS, "FP64")]
        outputs = [
            of.InferRequestedOutput("predict", binary_data=True),
            of.InferRequestedOutput("predict_proba", binary_data=False),
        ]
        answer = client.infer("labels", inputs, outputs=outputs)
        labels = [label.decode() for label in answer.as_numpy("predict").ravel()]
        assert labels == answers_of("iris-strlabels")
        probabilities = np.array(answers_of("iris-strlabels", "predict_proba"))
        np.testing.assert_allclose(answer.as_numpy("predict_proba"), probabilities, rtol=1e-12)
        seen("http: outputs that were chosen, one in bytes and one in JSON")

        halves = tensor(of, "x", IRIS.astype(np.float16), "FP16", binary_data=True)
        assert client.infer("iris", [halves]).as_numpy("predict").shape == (N_ROWS, 1)
        seen("http: FP16")

        for algorithm in ["gzip", "deflate"]:
            many = np.repeat(IRIS, 100, axis=0)
            answer = client.infer(
                "iris",
                [tensor(of, "x", many, "FP64", binary_data=False)],
                outputs=[of.InferRequestedOutput("predict", binary_data=False)],
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            )
            expected = np.repeat(answers_of("iris-svc"), 100).tolist()
            assert answer.as_numpy("predict").ravel().tolist() == expected
        seen("http: bodies that are compressed both ways, gzip and deflate")

        texts = np.array([["a short text"], ["another"]], dtype=np.object_)
        assert client.infer("texts", [tensor(of, "x", texts, "BYTES")]).as_numpy("predict").shape == (2, 1)
        waiting = [client.async_infer("iris", inputs) for _ in range(20)]
        answers = [answer.get_result().as_numpy("predict").ravel().tolist() for answer in waiting]
        assert answers == [answers_of("iris-svc")] * 20
        seen("http: texts, and 20 requests at once")

        config = client.get_model_config("labels")
        assert config["input"] == [{"name": "input-0", "data_type": "TYPE_FP64", "dims": [-1, 4]}]
        names = {output["name"]: (output["data_type"], output["dims"]) for output in config["output"]}
        assert names["predict_proba"] == ("TYPE_FP64", [-1, 3]) and names["predict"] == ("TYPE_STRING", [-1, 1])
        # What a configuration names can be asked for.
        outputs = [of.InferRequestedOutput(name) for name in names]
        assert client.infer("labels", inputs, outputs=outputs).as_numpy("predict_proba").shape == (N_ROWS, 3)
        everything = client.get_inference_statistics()["model_stats"]
        assert {model["name"] for model in everything} == {"iris", "labels", "texts"}
        [labels] = client.get_inference_statistics("labels")["model_stats"]
        assert labels["inference_count"] == 2 * N_ROWS and labels["execution_count"] == 2
        assert labels["inference_stats"]["success"]["count"] == 2 and labels["last_inference"] > 0
        seen("http: configuration and statistics")

        check_errors(client, of, "http")
        states = lambda index: [(model["name"], model["state"]) for model in index]
        check_repository(client, admin, "http", states)


def check_stream(address):
    """`ModelStreamInfer` with the messages of MLServer, which `tritonclient` has and does not stream."""
    request = tritonclient.grpc.service_pb2.ModelInferRequest(model_name="iris", raw_input_contents=[IRIS.tobytes()])
    request.inputs.add(name="x", datatype="FP64", shape=IRIS.shape)
    with grpc.insecure_channel(address) as channel:
        stream = channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=tritonclient.grpc.service_pb2.ModelInferResponse.FromString,
        )
        answers = list(stream(iter([request] * 5)))
    labels = [np.frombuffer(answer.raw_output_contents[0], dtype=np.int64).tolist() for answer in answers]
    assert labels == [answers_of("iris-svc")] * 5
    seen("grpc: a stream of five requests")


def check_grpc(address, admin):
    of = tritonclient.grpc
    with of.InferenceServerClient(address) as client:
        check_state(client, "grpc")
        server = client.get_server_metadata()
        assert server.name == "forebay" and "binary_tensor_data" in server.extensions
        model = client.get_model_metadata("iris")
        assert model.inputs[0].datatype == "FP64" and list(model.inputs[0].shape) == [-1, 4]
        seen("grpc: metadata")

        inputs = [tensor(of, "x", IRIS, "FP64")]
        answer = client.infer("iris", inputs, request_id="a")
        assert answer.get_response().id == "a"
        assert answer.as_numpy("predict").ravel().tolist() == answers_of("iris-svc")
        outputs = [of.InferRequestedOutput("predict"), of.InferRequestedOutput("predict_proba")]
        answer = client.infer("labels", inputs, outputs=outputs)
        labels = [label.decode() for label in answer.as_numpy("predict").ravel()]
        assert labels == answers_of("iris-strlabels")
        probabilities = np.array(answers_of("iris-strlabels", "predict_proba"))
        np.testing.assert_allclose(answer.as_numpy("predict_proba"), probabilities, rtol=1e-12)
        seen("grpc: tensors, and outputs that were chosen")

        for algorithm in ["gzip", "deflate"]:
            answer = client.infer("iris", inputs, compression_algorithm=algorithm)
            assert answer.as_numpy("predict").ravel().tolist() == answers_of("iris-svc")
        seen("grpc: messages that are compressed, gzip and deflate")

        texts = np.array([["a short text"], ["another"]], dtype=np.object_)
        assert client.infer("texts", [tensor(of, "x", texts, "BYTES")]).as_numpy("predict").shape == (2, 1)
        seen("grpc: texts")

        config = client.get_model_config("labels").config
        assert [list(tensor.dims) for tensor in config.input] == [[-1, 4]]
        assert client.get_model_config("labels", as_json=True)["config"]["output"][0]["data_type"] == "TYPE_STRING"
        before = client.get_inference_statistics("labels").model_stats[0]
        client.infer("labels", inputs)
        after = client.get_inference_statistics("labels").model_stats[0]
        assert after.inference_count == before.inference_count + N_ROWS
        assert after.inference_stats.compute_infer.ns > before.inference_stats.compute_infer.ns
        seen("grpc: configuration and statistics")

        check_stream(address)
        check_errors(client, of, "grpc")
        states = lambda index: [(model.name, model.state) for model in index.models]
        check_repository(client, admin, "grpc", states)


if __name__ == "__main__":
    http_address, grpc_address, admin_address = sys.argv[1:]
    with tritonclient.http.InferenceServerClient(admin_address) as admin:
        check_http(http_address, admin)
        check_grpc(grpc_address, admin)
    check_admin(admin_address)
