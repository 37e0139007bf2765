"""A notebook that asks a model over HTTP with `requests` and with curl, as people write it, and on the command line.

usage: ask_a_model.py HTTP_ADDRESS FOREBAY FOLDER, with the rows and answers that `train_and_save.py` left in the folder.
"""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np
import requests

URL, FOREBAY, FOLDER = f"http://{sys.argv[1]}", sys.argv[2], Path(sys.argv[3])
ROWS, EXPECTED, CASE = (json.loads((FOLDER / f"{file}.json").read_text()) for file in ["rows", "expected", "case"])
MODEL, FILES = FOLDER / CASE["serve"], sorted(FOLDER.glob("rows.*"))
COLUMNS, DATA = ROWS["columns"], ROWS["data"]
RECORDS = [dict(zip(COLUMNS, row)) for row in DATA]
SPLIT = {"dataframe_split": ROWS}
JSON = {"content-type": "application/json"}
ASKED, DIFFERENCES = [], []


def compare(what, got, expected):
    """Keeps what differs, so that one run shows all of it."""
    ASKED.append(what)
    try:
        if got == expected:
            return
        # JSON has no infinities: V1 writes `null`, as for what is no number.
        got, expected = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
        expected = np.where(np.isinf(expected), np.where(np.isinf(got), expected, np.nan), expected)
        np.testing.assert_allclose(got, expected, rtol=CASE["tolerance"], atol=CASE["tolerance"])
        assert np.shape(got) == np.shape(expected), (np.shape(got), np.shape(expected))
    except (AssertionError, TypeError, ValueError) as problem:
        DIFFERENCES.append(f"{what}: {problem}\n  got {str(got)[:200]}\n  expected {str(expected)[:200]}")


def ask(what, path, of, expected, **how):
    """Asks, and compares what the answer has at `of`."""
    answer = requests.post(URL + path, timeout=60, **how)
    if not answer.ok:
        return compare(what, f"{answer.status_code} {answer.text}", expected)
    if warning := answer.headers.get("x-forebay-warning"):
        DIFFERENCES.append(f"{what}: warns {warning}")
    answer = answer.json()
    if of == "outputs":
        output = answer["outputs"][0]
        # As MLServer says it, what is one value a row is a column.
        shape = output["shape"][:1] if output["shape"][1:] == [1] and np.ndim(expected) == 1 else output["shape"]
        answer = {of: np.reshape(output["data"], shape).tolist()}
    compare(what, answer[of], expected)


def tensors(metadata):
    """The rows as the metadata asks for them."""
    begin = 0
    for tensor in metadata["inputs"]:
        width = tensor["shape"][1] if len(tensor["shape"]) > 1 else 1
        data = [value for row in DATA for value in row[begin : begin + width]]
        if tensor["datatype"].startswith("FP"):
            data = [value if value is None else float(value) for value in data]
        shape = [len(DATA), width][: len(tensor["shape"])]
        yield {"name": tensor["name"], "datatype": tensor["datatype"], "shape": shape, "data": data}
        begin += width


info = requests.get(f"{URL}/model-info", timeout=60).json()
name = info["name"]
v1, v2 = f"/v1/models/{quote(name)}:predict", f"/v2/models/{quote(name)}"
metadata = requests.get(URL + v2, timeout=60).json()
compare("the methods of the model's own", sorted(set(EXPECTED) - set(info["methods"])), [])
# A single column has a name in any case: nothing can be confused.
if len(COLUMNS) > 1:
    compare("whether it has names", isinstance(info["signature"]["inputs"], list), CASE["is_named"])
compare("whether they were declared", info["signature"]["declared"], CASE["is_declared"])
compare("the default method", info["default_method"], CASE["answer"])

answer = EXPECTED[CASE["answer"]]
inputs = list(tensors(metadata))
ask("V1", v1, "predictions", answer, json={"instances": DATA})
ask("V2", f"{v2}/infer", "outputs", answer, json={"inputs": inputs})
if len(COLUMNS) == 1:
    ask("V1, values alone", v1, "predictions", answer, json={"instances": [value for (value,) in DATA]})
if not CASE["is_declared"]:
    ask("MLflow, instances", "/invocations", "predictions", answer, json={"instances": DATA})
    ask("MLflow, inputs", "/invocations", "predictions", answer, json={"inputs": DATA})
if CASE["is_named"]:
    columns = {column: [row[place] for row in DATA] for place, column in enumerate(COLUMNS)}
    turned = [dict(reversed(record.items())) for record in RECORDS]
    ask("MLflow, a DataFrame", "/invocations", "predictions", answer, json=SPLIT)
    ask("MLflow, records", "/invocations", "predictions", answer, json={"dataframe_records": RECORDS})
    ask("MLflow, columns", "/invocations", "predictions", answer, json={"inputs": columns})
    ask("V1, records", v1, "predictions", answer, json={"instances": turned})
    table, file = (FOLDER / "rows.csv").read_text(), (FOLDER / "rows.parquet").read_bytes()
    ask("MLflow, CSV", "/invocations", "predictions", answer, data=table, headers={"content-type": "text/csv"})
    parquet = {"content-type": "application/vnd.apache.parquet"}
    ask("MLflow, Parquet", "/invocations", "predictions", answer, data=file, headers=parquet)
    ask("many", "/batch-predict", "predictions", answer, json={"instances": turned})
    ask("one", "/predict", "prediction", answer[0], json={"features": turned[0]})
else:
    ask("MLflow, a DataFrame without names", "/invocations", "predictions", answer, json={"dataframe_split": {"data": DATA}})
    ask("many", "/batch-predict", "predictions", answer, json={"instances": DATA})
    ask("one", "/predict", "prediction", answer[0], json={"features": DATA[0]})

for method, answer in EXPECTED.items():
    what = f"{method} of"
    ask(f"{what} V1 by the query", f"{v1}?method={method}", "predictions", answer, json={"instances": DATA})
    ask(f"{what} V1 by the body", v1, "predictions", answer, json={"instances": DATA, "method": method})
    parameters = {"inputs": inputs, "parameters": {"method": method}}
    ask(f"{what} V2 by its parameters", f"{v2}/infer", "outputs", answer, json=parameters)
    outputs = {"inputs": inputs, "outputs": [{"name": CASE.get("outputs", {}).get(method, method)}]}
    ask(f"{what} V2 by its outputs", f"{v2}/infer", "outputs", answer, json=outputs)
    body = SPLIT if CASE["is_named"] else {"instances": DATA}
    by_params = body | {"params": {"predict_method": method}}
    ask(f"{what} MLflow", "/invocations", "predictions", answer, json=by_params)
    rows = RECORDS if CASE["is_named"] else DATA
    ask(f"{what} many", "/batch-predict", "predictions", answer, json={"instances": rows, "method": method})
    ask(f"{what} one", "/predict", "prediction", answer[0], json={"features": rows[0], "method": method})
    curl = ["curl", "--silent", "--show-error", "--header", "content-type: application/json", "--data", "@-"]
    said = subprocess.run([*curl, f"{URL}/invocations?method={method}"], input=json.dumps(body), capture_output=True, text=True)
    compare(f"{what} curl", json.loads(said.stdout).get("predictions", said.stdout), answer)
    for file in FILES:
        command = [FOREBAY, "model", "predict", MODEL, "--input", file, "--method", method]
        said = subprocess.run(command, capture_output=True, text=True)
        got = json.loads(said.stdout)[method] if said.returncode == 0 else said.stderr
        compare(f"{what} the command line, {file.name}", got, answer)

for file in FILES:
    command = [FOREBAY, "model", "verify", MODEL, "--input", file, "--expected", FOLDER / "expected.json"]
    said = subprocess.run([*command, "--tolerance", str(CASE["tolerance"])], capture_output=True, text=True)
    compare(f"verified, {file.name}", said.stdout + said.stderr if said.returncode else "", "")

wrong = requests.post(f"{URL}/invocations", json={"instances": [[]]}, timeout=60)
compare("a row of nothing", (wrong.status_code, "$.instances" in wrong.json()["message"]), (400, True))
if DIFFERENCES:
    sys.exit("\n".join(DIFFERENCES))
print(f"ok: {name}, {len(ASKED)} answers")
