"""Asks a model with the library it was made with, or with onnxruntime, as `bench/src/ask_model.rs` does with ours.

usage: ask_model.py MODEL ROWS

Each line read is a question, and is answered by a line:

    answers          what the model predicts for all rows
    row SECONDS      CPU seconds of predicting one row, the rows in turns, measured for so long
    rows SECONDS     CPU seconds of predicting all rows at once

Of the ways that a library can be called, this is the fastest in public, with its own type of rows made beforehand, and with
one thread.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd


def scikit_learn(path):
    import joblib

    return joblib.load(path).predict, np.float64


def xgboost(path):
    from xgboost import Booster

    booster = Booster({"nthread": 1}, model_file=path)
    return booster.inplace_predict, np.float32


def lightgbm(path):
    from lightgbm import Booster

    booster = Booster(model_file=path)
    return lambda rows: booster.predict(rows, num_threads=1), np.float64


def catboost(path):
    from catboost import CatBoost

    model = CatBoost().load_model(str(path))
    return lambda rows: model.predict(rows, thread_count=1), np.float32


def onnxruntime(path):
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # It warns at each call when a converter wrote a shape otherwise than it is.
    options.log_severity_level = 3
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name
    return lambda rows: session.run([output], {name: rows})[0], np.float32


LIBRARIES = {
    ".joblib": scikit_learn,
    ".ubj": xgboost,
    ".txt": lightgbm,
    ".cbm": catboost,
    ".onnx": onnxruntime,
}


def seconds_of(call, least_seconds):
    """CPU seconds of a call, of as many as take so long. `call` is told how many there were before it."""
    n_calls = 1
    while True:
        start = time.process_time()
        for index in range(n_calls):
            call(index)
        seconds = time.process_time() - start
        if seconds >= least_seconds:
            return seconds / n_calls
        n_calls = max(n_calls * 2, int(n_calls * least_seconds / max(seconds, 1e-9)))


path = Path(sys.argv[1])
predict, number = LIBRARIES[path.suffix](path)
table = json.loads(Path(sys.argv[2]).read_text())
if table["columns"]:
    rows = pd.DataFrame(table["data"], columns=table["columns"])
else:
    rows = np.array(table["data"], number)
each = [rows[index : index + 1] for index in range(len(rows))]

for line in sys.stdin:
    question, *arguments = line.split()
    if question == "answers":
        answer = np.ravel(predict(rows)).astype(float).tolist()
    elif question == "row":
        answer = seconds_of(lambda index: predict(each[index % len(each)]), float(arguments[0]))
    else:
        answer = seconds_of(lambda _: predict(rows), float(arguments[0]))
    print(json.dumps(answer), flush=True)
