"""Trains the models of `cargo xtask bench models`, and makes rows to ask them about.

usage: make_models.py FOLDER CASE…

Each case is a folder with the file of its library, `model.onnx` where there is a converter, and `rows.json`: 1 000 rows
that no model was trained on, `{"columns": [names] or null, "data": [[…], …]}`. All numbers are whole or fit in 32 bits, so
that every engine is given the same ones. Nothing is left to chance: the same versions make the same files.
"""

import json
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import ElasticNet
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

N_TRAINING, N_ROWS = 4000, 1000


def numbers(n_columns, seed):
    """Rows of numbers, something to learn about them, and further rows."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(N_TRAINING + N_ROWS, n_columns)).astype(np.float32)
    wave = np.sin(rows[:, 2] * 3) + rows[:, 3] * rows[:, 4]
    target = rows[:, 0] * 3 + rows[:, 1] ** 2 + wave + random.normal(size=len(rows)) * 0.1
    return rows[:N_TRAINING], target[:N_TRAINING], rows[N_TRAINING:]


def scikit_learn(folder, estimator, training, target, rows):
    estimator.fit(training, target)
    joblib.dump(estimator, folder / "model.joblib")
    if isinstance(rows, np.ndarray) and not isinstance(estimator, HistGradientBoostingRegressor):
        from skl2onnx import to_onnx

        is_classifier = hasattr(estimator, "classes_")
        options = {id(estimator): {"zipmap": False}} if is_classifier else None
        graph = to_onnx(estimator, rows[:1].astype(np.float32), options=options, target_opset=17)
        (folder / "model.onnx").write_bytes(graph.SerializeToString())
    return rows


def elasticnet(folder):
    return scikit_learn(folder, ElasticNet(alpha=0.5, l1_ratio=0.5), *numbers(11, seed=1))


def svc(folder):
    iris = load_iris()
    random = np.random.default_rng(2)
    flowers = iris.data[random.integers(len(iris.data), size=N_ROWS)]
    rows = (flowers + random.normal(size=flowers.shape) * 0.1).astype(np.float32)
    return scikit_learn(folder, SVC(gamma=0.001, C=100), iris.data, iris.target, rows)


def forest(folder):
    estimator = RandomForestRegressor(100, max_depth=10, random_state=3, n_jobs=1)
    return scikit_learn(folder, estimator, *numbers(20, seed=3))


def forest_classifier(folder):
    training, target, rows = numbers(20, seed=4)
    classes = (target > 0).astype(int) + (target > 3)
    estimator = RandomForestClassifier(100, max_depth=10, random_state=4, n_jobs=1)
    return scikit_learn(folder, estimator, training, classes, rows)


def hist_gradient_boosting(folder):
    estimator = HistGradientBoostingRegressor(max_iter=300, random_state=5)
    return scikit_learn(folder, estimator, *numbers(20, seed=5))


def retail(folder):
    random = np.random.default_rng(6)
    n_rows = N_TRAINING + N_ROWS
    table = pd.DataFrame(
        {
            "store_id": np.arange(n_rows) % 50,
            "product_id": random.integers(100, size=n_rows),
            "price": random.uniform(1, 100, size=n_rows).astype(np.float32).astype(float),
            "promotion": random.integers(2, size=n_rows),
            "day_of_week": random.integers(7, size=n_rows),
            "month": random.integers(1, 13, size=n_rows),
        }
    )
    sales = 200 - table.price + 40 * table.promotion + table.store_id % 7 * 9 + table.day_of_week**2
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["price", "promotion", "day_of_week", "month"]),
            ("shops", OneHotEncoder(sparse_output=False), ["store_id", "product_id"]),
        ]
    )
    estimator = make_pipeline(columns, GradientBoostingRegressor(n_estimators=200, max_depth=4, random_state=6))
    return scikit_learn(folder, estimator, table[:N_TRAINING], sales[:N_TRAINING], table[N_TRAINING:])


def xgboost(folder):
    from onnxmltools import convert_xgboost
    from xgboost import XGBRegressor

    training, target, rows = numbers(20, seed=7)
    estimator = XGBRegressor(n_estimators=500, max_depth=7, random_state=7, n_jobs=1).fit(training, target)
    estimator.get_booster().save_model(folder / "model.ubj")
    return converted(folder, convert_xgboost, estimator, rows)


def lightgbm(folder):
    from lightgbm import LGBMRegressor
    from onnxmltools import convert_lightgbm

    training, target, rows = numbers(20, seed=8)
    estimator = LGBMRegressor(n_estimators=500, num_leaves=63, random_state=8, n_jobs=1, verbose=-1)
    estimator.fit(training, target)
    estimator.booster_.save_model(folder / "model.txt")
    return converted(folder, convert_lightgbm, estimator, rows)


def converted(folder, convert, estimator, rows):
    from onnxmltools.convert.common.data_types import FloatTensorType

    graph = convert(estimator, initial_types=[("X", FloatTensorType([None, rows.shape[1]]))], target_opset=15)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    return rows


def catboost(folder):
    from catboost import CatBoostRegressor

    training, target, rows = numbers(20, seed=9)
    estimator = CatBoostRegressor(iterations=500, depth=6, random_seed=9, thread_count=1, verbose=False)
    estimator.fit(training, target)
    estimator.save_model(str(folder / "model.cbm"))
    estimator.save_model(str(folder / "model.onnx"), format="onnx")
    return rows


CASES = {
    case.__name__.replace("_", "-"): case
    for case in [
        elasticnet,
        svc,
        forest,
        forest_classifier,
        hist_gradient_boosting,
        retail,
        xgboost,
        lightgbm,
        catboost,
    ]
}

for name in sys.argv[2:]:
    folder = Path(sys.argv[1]) / name
    folder.mkdir(parents=True, exist_ok=True)
    rows = CASES[name](folder)
    columns = list(rows.columns) if isinstance(rows, pd.DataFrame) else None
    data = rows.to_numpy(object).tolist() if columns else rows.astype(float).tolist()
    # Written last: a case that has its rows is whole.
    (folder / "rows.json").write_text(json.dumps({"columns": columns, "data": data}))
