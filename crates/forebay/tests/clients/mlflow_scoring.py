"""MLflow's own scoring client, and the requests that others send, against `forebay serve`.

usage: mlflow_scoring.py HTTP_ADDRESS, of a server of the retail pipeline that MLflow saved.
"""

import json
import sys

import numpy as np
import pandas as pd
import requests
from fixture import answers_of, refused, rows_of, seen
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

CASE = "mlflow-retail-pipeline"
COLUMNS, ROWS = rows_of(CASE)
FRAME = pd.DataFrame(ROWS, columns=COLUMNS)


def check(predictions, of="predictions"):
    np.testing.assert_allclose(predictions, answers_of(CASE), rtol=1e-12, err_msg=of)
    seen(of)


def check_client(host, port):
    """MLflow's client, as `mlflow models predict` and its evaluation use it."""
    client = ScoringServerClient(host, port)
    client.wait_server_ready(timeout=10)
    assert client.get_version().strip()
    seen("ScoringServerClient: ping and version")
    answer = client.invoke(FRAME)
    check(answer["predictions"], "ScoringServerClient: a DataFrame")
    check(answer.get_predictions()[0], "ScoringServerClient: the answer as a DataFrame")
    check(answer.get_predictions("ndarray"), "ScoringServerClient: the answer as an array")
    check(client.invoke(FRAME, params={"n": 1})["predictions"], "ScoringServerClient: params that are ignored")
    wrong = FRAME.drop(columns=["price"])
    refused(Exception, lambda: client.invoke(wrong), "error code 400", "INVALID_PARAMETER_VALUE", "price")
    seen("ScoringServerClient: a missing column is refused by name")


def check_requests(url):
    """Bodies as tutorials and `mlflow.deployments` clients write them."""

    def post(body, content_type="application/json"):
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        headers = {"Content-Type": content_type, "Host": "retail.example.com"}
        answer = requests.post(f"{url}/invocations", data=data, headers=headers, timeout=10)
        assert answer.headers["content-type"] == "application/json", answer.headers
        return answer

    records = FRAME.to_dict(orient="records")
    split = {"columns": COLUMNS, "data": ROWS}
    forms = {
        "dataframe_split": {"dataframe_split": split},
        "dataframe_split with an index": {"dataframe_split": {**split, "index": list(range(len(ROWS)))}},
        "dataframe_records": {"dataframe_records": records},
        "instances": {"instances": records},
        "inputs": {"inputs": FRAME.to_dict(orient="list")},
        "params": {"dataframe_split": split, "params": {"temperature": 0.5}},
    }
    for name, body in forms.items():
        check(post(body).json()["predictions"], f"/invocations: {name}")
    check(post(FRAME.to_csv(index=False), "text/csv").json()["predictions"], "/invocations: csv")
    check(post(FRAME.to_csv(index=False), "text/csv; charset=utf-8").json()["predictions"], "/invocations: csv in utf-8")
    parquet = "application/vnd.apache.parquet"
    check(post(FRAME.to_parquet(index=False), parquet).json()["predictions"], "/invocations: parquet")
    assert post(FRAME.to_parquet(index=False)[:-9], parquet).status_code == 400
    shuffled = FRAME[COLUMNS[::-1]].to_dict(orient="split")
    check(post({"dataframe_split": shuffled}).json()["predictions"], "/invocations: columns in another order")

    refusals = {
        "two forms": {"dataframe_split": split, "instances": records},
        "none": {},
        "a list": records,
        "broken": "{",
    }
    for name, body in refusals.items():
        answer = post(body)
        error = answer.json()
        assert answer.status_code == 400 and error["error_code"] == "BAD_REQUEST" and error["message"], (name, error)
    seen("/invocations: what is no question has status 400, a code and a message")
    for path in ["/ping", "/health", "/version"]:
        answer = requests.get(url + path, timeout=10)
        assert answer.status_code == 200, path
    assert requests.get(f"{url}/ping", timeout=10).text == "\n"
    seen("/ping, /health and /version")


if __name__ == "__main__":
    host, port = sys.argv[1].split(":")
    check_client(host, int(port))
    check_requests(f"http://{host}:{port}")
