"""A partner behind TensorFlow Serving's REST interface: URL = http://HOST:8501/v1/models/NAME.

The model is one of `gala_tf.export`: pixels 0..255 in, `probabilities` out, and a signature
`class_names`. Protocol: https://www.tensorflow.org/tfx/serving/api_rest (status, metadata, predict
in columns). One version must be served all through a study: it goes into the partner's hash.
"""

import hashlib
import json
import urllib.error
import urllib.request

import numpy as np

from data_prep.humans.game import partners
from data_prep.humans.game.partners.classes import from_names
from data_prep.humans.game.partners.looking import Looking
from data_prep.humans.game.rules import Rules

TIMEOUT_S = 10.0


def load(argument: str, rules: Rules, timeout_s: float = TIMEOUT_S) -> Looking:
    """`--partner=serving:URL`."""
    url = argument.rstrip("/")
    if "/v1/models/" not in url:
        raise ValueError(
            f"--partner=serving:{argument}: expected http://HOST:8501/v1/models/NAME, "
            "with /versions/N to name one version."
        )
    try:
        network = Serving(url, timeout_s)
    except partners.PartnerFailed as error:
        raise ValueError(f"--partner=serving:{argument}: {error}") from None
    # The service does not show its weights: name, version and signature have to stand for them.
    identity = json.dumps([network.name, network.version, network.metadata], sort_keys=True)
    about = {
        "name": f"{network.name}, version {network.version}",
        "kind": "serving",
        "sha256": hashlib.sha256(identity.encode()).hexdigest(),
    }
    return Looking(network, from_names(network.class_names), rules, about)


class Serving:
    """A served network.

    Attributes:
        side: of its input, px.
        name, version, metadata: what the service says of itself.
        class_names: in the order of its outputs.
    """

    def __init__(self, url: str, timeout_s: float):
        self._url, self._timeout = url, timeout_s
        self.metadata = self._get("/metadata")
        self.name, self.version, signatures = _parts(self.metadata)
        if not {"serving_default", "class_names"} <= set(signatures):
            raise partners.PartnerFailed(
                f"the model has the signatures {', '.join(signatures) or 'none'}; expected "
                "serving_default and class_names, as gala_tf.export writes them."
            )
        ((self._input, tensor),) = signatures["serving_default"]["inputs"].items()
        self.side = int(tensor["tensor_shape"]["dim"][1]["size"])
        names = self._post({"signature_name": "class_names", "inputs": {}})
        # One output stands bare, several in an object.
        self.class_names = tuple(next(iter(names.values())) if isinstance(names, dict) else names)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Of pictures [B, S, S, 3] of 0..255: float32 [B, K]."""
        outputs = self._post({"inputs": {self._input: pixels.tolist()}})
        try:
            found = outputs["probabilities"] if isinstance(outputs, dict) else outputs
            return np.asarray(found, np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise partners.PartnerFailed(f"The service gave no probabilities: {error}") from None

    def _get(self, path):
        return self._ask(urllib.request.Request(self._url + path))

    def _post(self, body):
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url + ":predict", data, headers)
        return self._ask(request).get("outputs")

    def _ask(self, request):
        """The service's JSON. PartnerFailed: it is not there, is slow, refuses, or says no JSON."""
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                found = json.load(response)
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            words = f"{request.full_url} answered {error.code}: {said}"
            raise partners.PartnerFailed(words) from None
        except (OSError, ValueError) as error:  # URLError and timeouts are OSErrors
            raise partners.PartnerFailed(f"{request.full_url} does not answer: {error}") from None
        if not isinstance(found, dict):
            raise partners.PartnerFailed(f"{request.full_url} answered no JSON object.")
        return found


def _parts(metadata):
    """(name, version, signatures) of what /metadata answers."""
    try:
        spec = metadata["model_spec"]
        return spec["name"], spec["version"], metadata["metadata"]["signature_def"]["signature_def"]
    except (KeyError, TypeError) as error:
        words = f"the metadata lack {error}: is it TensorFlow Serving?"
        raise partners.PartnerFailed(words) from None
