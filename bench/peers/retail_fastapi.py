"""The retail API as its story has it in Python: FastAPI around a scikit-learn pipeline, one DataFrame per request."""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class PredictionRequest(BaseModel):
    features: dict


class PredictionResponse(BaseModel):
    prediction: float
    model_version: str


@app.post("/predict", response_model=PredictionResponse)
def predict(request: PredictionRequest):
    frame = pd.DataFrame([request.features])
    date = pd.to_datetime(frame["date"])
    frame["day_of_week"] = date.dt.dayofweek
    frame["month"] = date.dt.month
    if "category" not in frame:
        frame["category"] = "food"
    prediction = model.predict(frame[list(model.feature_names_in_)])
    return PredictionResponse(prediction=float(prediction[0]), model_version="v1.0")
