"""An afternoon of somebody who trains models: the ways to train and to save that tutorials show.

usage: train_and_save.py FOLDER

Each model is a folder below it with what was saved, the rows it will be asked about (`rows.json`, and `rows.csv` and
`rows.parquet` of a DataFrame), and the library's own answers by method (`expected.json`). `case.json` says what to serve,
what is answered when no method is asked for, and how near an answer has to be.
"""

import gzip
import json
import pickle
import sys
import warnings
from pathlib import Path

import cloudpickle
import joblib
import lightgbm
import mlflow
import numpy as np
import pandas as pd
import skl2onnx
import skops.io
import xgboost
from catboost import CatBoostClassifier, CatBoostRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, train_test_split
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

warnings.filterwarnings("ignore")
FOLDER = Path(sys.argv[1])
METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform"]
# What is added up in doubles in another order, and what the library answers in floats.
NEAR, SINGLE = 1e-8, 1e-5

RANDOM = np.random.default_rng(7)
FLOWERS, SPECIES = load_iris(return_X_y=True)
TRAIN, TEST, KNOWN, _ = train_test_split(FLOWERS, SPECIES, random_state=0)
WINE = load_wine(as_frame=True)
WINES, WINE_ROWS = WINE.data[::2], WINE.data[1::5]
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
BOTH = np.c_[PROGRESS, PROGRESS * 2]
SALES = pd.DataFrame(
    {
        "store": RANDOM.integers(1, 9, 400),
        "category": RANDOM.choice(["books", "garden", "toys"], 400),
        "price": RANDOM.uniform(1, 60, 400).round(2),
        "promotion": RANDOM.integers(0, 2, 400) == 1,
    }
)
SOLD = SALES.price * 2 + SALES.store * 3 + (SALES.category == "toys") * 20 + SALES.promotion * 5
SELLS = SOLD > SOLD.median()
NUMBERS = SALES[["price", "store"]]
CATEGORIES = SALES.assign(category=SALES.category.astype("category"))
GAPS = SALES.mask(RANDOM.random(SALES.shape) < 0.1).astype({"store": float, "price": float})
GAPS["promotion"] = GAPS.promotion.astype(float)
MAILS = ["win money now", "free prize inside", "money money prize", "meeting at noon", "lunch, as always", "minutes of it"]
IS_SPAM = [1, 1, 1, 0, 0, 0]


def save(name, file, write, model, rows, tolerance=NEAR, answer="predict", **case):
    """Saves a model with what it answers; `case` has what else `case.json` says."""
    folder = FOLDER / name
    folder.mkdir()
    write(model, folder / file)
    answers = case.pop("answers", None) or {}
    for method in METHODS if not answers else []:
        if hasattr(model, method):
            answers[method] = plain(getattr(model, method)(rows))
    is_named = isinstance(rows, pd.DataFrame)
    frame = rows if is_named else pd.DataFrame(rows)
    (folder / "rows.json").write_text(frame.to_json(orient="split", double_precision=15))
    if is_named:
        frame.to_csv(folder / "rows.csv", index=False)
        frame.to_parquet(folder / "rows.parquet", index=False)
    case = {"serve": file, "tolerance": tolerance, "answer": answer, "is_named": is_named, "is_declared": False} | case
    (folder / "expected.json").write_text(json.dumps(answers))
    (folder / "case.json").write_text(json.dumps(case))


def plain(values):
    """Values as JSON, which has no infinities."""
    values = np.asarray(values)
    is_finite = values.dtype.kind != "f" or np.isfinite(values).all()
    return values.tolist() if is_finite else [plain(row) if row.ndim else text(row) for row in values]


def text(number):
    return float(number) if np.isfinite(number) else str(number).replace("inf", "Infinity")


def pickled(model, path):
    path.write_bytes(pickle.dumps(model))


def beside(text, write):
    """Writes a `forebay.yaml` too."""

    def write_both(model, path):
        (path.parent / "forebay.yaml").write_text(text)
        write(model, path)

    return write_both


def booster(model, path):
    model.save_model(str(path))


def mixed(last):
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["category"]),
        (StandardScaler(), ["price", "store"]),
        remainder="passthrough",
    )
    return make_pipeline(columns, last)


# As the first page of every tutorial has it.
save("pickle", "model.pkl", pickled, LogisticRegression(max_iter=500).fit(TRAIN, KNOWN), TEST)
save("joblib", "model.joblib", joblib.dump, RandomForestClassifier(20, random_state=0).fit(TRAIN, KNOWN), TEST)
save("compressed", "model.joblib", lambda m, p: joblib.dump(m, p, compress=3), SVC().fit(TRAIN, KNOWN), TEST)
save("gzip", "model.pkl.gz", lambda m, p: pd.to_pickle(m, p), DecisionTreeClassifier(random_state=0).fit(TRAIN, KNOWN), TEST)
save("neighbours", "model.pkl", pickled, KNeighborsClassifier().fit(TRAIN, KNOWN), TEST)
scaled = make_pipeline(StandardScaler(), PCA(2), LogisticRegression()).fit(TRAIN, KNOWN)
save("skops", "model.skops", skops.io.dump, scaled, TEST)
save("cloudpickle", "model.pkl", lambda m, p: p.write_bytes(cloudpickle.dumps(m)), Ridge().fit(DIABETES, PROGRESS), DIABETES[:20])
save("labels", "species.joblib", joblib.dump, LogisticRegression(max_iter=500).fit(TRAIN, load_iris().target_names[KNOWN]), TEST)
save("searched", "searched.pkl", pickled, GridSearchCV(SVC(probability=True, random_state=0), {"C": [1, 10]}).fit(TRAIN, KNOWN), TEST)
save("stacked", "model.pkl", pickled, StackingClassifier([("a", DecisionTreeClassifier(max_depth=2)), ("b", SVC())]).fit(TRAIN, KNOWN), TEST)
save("calibrated", "model.pkl", pickled, CalibratedClassifierCV(SVC()).fit(TRAIN, KNOWN), TEST)
save("texts", "spam.pkl", pickled, make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(MAILS, IS_SPAM), ["free money", "at noon"])
holes = np.where(RANDOM.random((20, 10)) < 0.2, np.nan, DIABETES[:20])
save("gaps", "imputed.pkl", pickled, make_pipeline(SimpleImputer(), LinearRegression()).fit(DIABETES, PROGRESS), holes)
save("clusters", "clusters.joblib", joblib.dump, KMeans(3, n_init=3, random_state=0).fit(TRAIN), TEST)
save("mixture", "mixture.joblib", joblib.dump, GaussianMixture(3, random_state=0).fit(TRAIN), TEST)
save("outliers", "outliers.pkl", pickled, IsolationForest(n_estimators=20, random_state=0).fit(TRAIN), TEST)
save("scaler", "scaler.pkl", pickled, MinMaxScaler().fit(TRAIN), TEST, answer="transform")
save("targets", "two.joblib", joblib.dump, MultiOutputRegressor(Ridge()).fit(DIABETES, BOTH), DIABETES[:20])
save("logarithm", "model.pkl", pickled, TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1).fit(DIABETES, PROGRESS), DIABETES[:20])

# Fitted on a DataFrame, with the columns that people have.
save("names", "wine.pkl", pickled, RandomForestClassifier(20, random_state=0).fit(WINES, WINE.target[::2]), WINE_ROWS)
save("pipeline", "sales.joblib", joblib.dump, mixed(GradientBoostingRegressor(random_state=0)).fit(SALES[:350], SOLD[:350]), SALES[350:])
save("two-targets", "two.pkl", pickled, mixed(LinearRegression()).fit(SALES, np.c_[SOLD, SOLD / 2]), SALES[:20])
selected = make_column_transformer(
    (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), make_column_selector(dtype_exclude="number")),
    (make_pipeline(SimpleImputer(strategy="median"), FunctionTransformer(np.log1p)), make_column_selector(dtype_include="number")),
)
save("selected", "sells.joblib", joblib.dump, make_pipeline(selected, RandomForestClassifier(20, random_state=0)).fit(SALES, SELLS), SALES[:20])
histogram = HistGradientBoostingClassifier(max_iter=20, categorical_features="from_dtype", random_state=0)
save("histogram", "sells.pkl", pickled, histogram.fit(CATEGORIES, SELLS), CATEGORIES[:20])
frequent = make_column_transformer(
    (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["category"]),
    (SimpleImputer(add_indicator=True), ["price", "store", "promotion"]),
)
save("gaps-of-a-table", "sells.pkl", pickled, make_pipeline(frequent, LogisticRegression(max_iter=2000)).fit(GAPS, SELLS), GAPS[:40])
reviews = pd.DataFrame({"text": MAILS, "length": [len(mail) for mail in MAILS]})
review = make_column_transformer((TfidfVectorizer(), "text"), (StandardScaler(), ["length"]))
save("texts-of-a-table", "reviews.pkl", pickled, make_pipeline(review, LogisticRegression()).fit(reviews, IS_SPAM), reviews)

gaps = GAPS.assign(category=GAPS.category.astype("category"))
save("gaps-of-categories", "sells.pkl", pickled, histogram.fit(gaps, SELLS), gaps[:40])
save("booleans", "sells.pkl", pickled, LogisticRegression().fit(SALES[["promotion", "price"]], SELLS), SALES[["promotion", "price"]][:20])
nullable = NUMBERS.astype({"price": "Float64", "store": "Int64"})
save("nullable", "sells.pkl", pickled, HistGradientBoostingClassifier(max_iter=20).fit(nullable, SELLS), nullable[:20])
save("forest-of-two-targets", "two.joblib.xz", joblib.dump, RandomForestRegressor(10, random_state=0).fit(NUMBERS, np.c_[SOLD, SOLD / 2]), NUMBERS[:20])
save("tuned", "tuned.pkl", pickled, TunedThresholdClassifierCV(LogisticRegression()).fit(NUMBERS, SELLS), NUMBERS[:20])

# Not the model alone.
keep = LogisticRegression(max_iter=500).fit(NUMBERS, SELLS)
save("key", "all.pkl", lambda m, p: pickled({"model": m, "trained": "today", "columns": list(NUMBERS)}, p), keep, NUMBERS[:20], serve="all.pkl#model")
save("key-of-keys", "all.joblib", lambda m, p: joblib.dump({"models": [{"best": m}]}, p), keep, NUMBERS[:20], serve="all.joblib#models.0.best")
chances = keep.predict_proba(NUMBERS[:20])
asked = {"predict": (chances[:, 1] >= 0.3).tolist(), "predict_proba": chances.tolist()}
save("threshold", "model.pkl", beside("threshold: 0.3\n", pickled), keep, NUMBERS[:20], answers=asked)
save("method", "model.pkl", beside("method: predict_proba\n", pickled), keep, NUMBERS[:20], answer="predict_proba")

# Of boosters.
classifier = xgboost.XGBClassifier(n_estimators=20, max_depth=3).fit(TRAIN, KNOWN)
softprob = {"predict": classifier.predict_proba(TEST).tolist()}
save("xgboost-json", "model.json", booster, classifier, TEST, SINGLE)
save("xgboost-ubj", "model.ubj", booster, classifier, TEST, SINGLE)
save("xgboost-booster", "booster.json", booster, classifier.get_booster(), TEST, SINGLE, answers=softprob)
save("xgboost-pickle", "model.pkl", pickled, xgboost.XGBRegressor(n_estimators=20).fit(NUMBERS, SOLD), NUMBERS[:20], SINGLE)
save("xgboost-categories", "model.pkl", pickled, xgboost.XGBClassifier(n_estimators=20, enable_categorical=True).fit(CATEGORIES, SELLS), CATEGORIES[:20], SINGLE)
save("xgboost-pipeline", "model.joblib", joblib.dump, mixed(xgboost.XGBClassifier(n_estimators=20)).fit(SALES, SELLS), SALES[:20], SINGLE)
forest = lightgbm.LGBMRegressor(n_estimators=20, verbose=-1).fit(NUMBERS, SOLD)
save("lightgbm-txt", "model.txt", lambda m, p: booster(m.booster_, p), forest, NUMBERS[:20])
save("lightgbm-pickle", "model.pkl", pickled, forest, NUMBERS[:20])
save("lightgbm-categories", "model.pkl", pickled, lightgbm.LGBMClassifier(n_estimators=20, verbose=-1).fit(CATEGORIES, SELLS), CATEGORIES[:20])
quiet = {"iterations": 20, "verbose": False, "allow_writing_files": False}
cats = CatBoostRegressor(cat_features=["category"], **quiet).fit(SALES, SOLD)
save("catboost-cbm", "model.cbm", booster, cats, SALES[:20])
cat = CatBoostClassifier(**quiet).fit(TRAIN, KNOWN)
save("catboost-json", "model.json", lambda m, p: m.save_model(str(p), format="json"), cat, TEST)
save("catboost-labels", "model.cbm", booster, CatBoostClassifier(cat_features=["category"], **quiet).fit(SALES, np.where(SELLS, "yes", "no")), SALES[:20])
told = GAPS.fillna({"category": "none"})
save("catboost-gaps", "model.cbm", booster, CatBoostClassifier(cat_features=["category"], **quiet).fit(told, SELLS), told[:40])
save("xgboost-gaps", "model.json", booster, xgboost.XGBClassifier(n_estimators=20, enable_categorical=True).fit(gaps, SELLS), gaps[:40], SINGLE)
save("lightgbm-gaps", "model.pkl", pickled, lightgbm.LGBMClassifier(n_estimators=20, verbose=-1).fit(gaps, SELLS), gaps[:40])
save("catboost-pickle", "model.pkl", pickled, CatBoostClassifier(**quiet).fit(NUMBERS, SELLS), NUMBERS[:20])


# As MLflow and ONNX keep them.
def logged(flavor, example, **more):
    def write(model, path):
        signature = mlflow.models.infer_signature(example, model.predict(example))
        flavor.save_model(model, path, signature=signature, pip_requirements=["scikit-learn"], **more)

    return write


declared = {"is_declared": True}
as_cloudpickle = {"serialization_format": "cloudpickle"}
save("mlflow", "model", logged(mlflow.sklearn, SALES, **as_cloudpickle), mixed(GradientBoostingRegressor()).fit(SALES, SOLD), SALES[:20], **declared)
save("mlflow-chances", "model", logged(mlflow.sklearn, NUMBERS, pyfunc_predict_fn="predict_proba", **as_cloudpickle), keep, NUMBERS[:20], answer="predict_proba", **declared)
save("mlflow-unsigned", "model", lambda m, p: mlflow.sklearn.save_model(m, p, pip_requirements=[], **as_cloudpickle), keep, NUMBERS[:20])
save("mlflow-xgboost", "model", logged(mlflow.xgboost, NUMBERS), xgboost.XGBRegressor(n_estimators=20).fit(NUMBERS, SOLD), NUMBERS[:20], SINGLE, **declared)
save("mlflow-lightgbm", "model", logged(mlflow.lightgbm, NUMBERS), forest, NUMBERS[:20], **declared)
save("mlflow-catboost", "model", logged(mlflow.catboost, SALES), cats, SALES[:20], **declared)


def converted(model, path):
    options = {"zipmap": False}
    path.write_bytes(skl2onnx.to_onnx(model, TEST[:1].astype(np.float32), options=options).SerializeToString())


singles = TEST.astype(np.float32)
outputs = {"outputs": {"predict": "label", "predict_proba": "probabilities"}}
chances = {"predict": scaled.predict(singles).tolist(), "predict_proba": scaled.predict_proba(singles).tolist()}
save("onnx", "model.onnx", converted, scaled, singles, SINGLE, answers=chances, **outputs)
print(f"ok: {len(list(FOLDER.iterdir()))} models")
