"""A scikit-learn model in KServe's own Python server. KServe ships its sklearnserver as an image only; this is the same
library around the same call.

usage: kserve_sklearn.py FOLDER PORT
"""

import sys
from pathlib import Path

import joblib
from kserve import Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response


class SklearnModel(Model):
    def __init__(self, name, path):
        super().__init__(name)
        self.model = joblib.load(path)
        self.ready = True

    def predict(self, payload, headers=None):
        result = self.model.predict(get_predict_input(payload))
        return get_predict_response(payload, result, self.name)


if __name__ == "__main__":
    folder, port = sys.argv[1:]
    model = SklearnModel("iris", Path(folder) / "model.joblib")
    ModelServer(http_port=int(port), enable_grpc=False, workers=1).start([model])
