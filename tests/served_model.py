"""A test double of TensorFlow Serving's REST interface, for one model of `gala_tf.export`'s form.

It is not the real server, which no Python package holds. It speaks the protocol as documented
(https://www.tensorflow.org/tfx/serving/api_rest): metadata; predict in columns; one output bare,
several in an object; errors as {"error": ...} with status 400 or 404.
"""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator

import numpy as np

SIDE, NAMES = 32, ("red", "green", "blue")


def _tensor(dtype, *sizes):
    dims = [{"size": str(size), "name": ""} for size in sizes]
    return {"dtype": dtype, "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": "x:0"}


METADATA = {
    "model_spec": {"name": "colours", "signature_name": "", "version": "3"},
    "metadata": {
        "signature_def": {
            "signature_def": {
                "serving_default": {
                    "inputs": {"images": _tensor("DT_FLOAT", -1, SIDE, SIDE, 3)},
                    "outputs": {
                        "probabilities": _tensor("DT_FLOAT", -1, 3),
                        "attention": _tensor("DT_FLOAT", -1, 2, 2),
                    },
                    "method_name": "tensorflow/serving/predict",
                },
                "class_names": {
                    "inputs": {},
                    "outputs": {"output_0": _tensor("DT_STRING", 3)},
                    "method_name": "tensorflow/serving/predict",
                },
            }
        }
    },
}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/v1/models/colours/metadata":
            return self._say(200, METADATA)
        self._say(404, {"error": f"Malformed request: GET {self.path}"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.broken:
            return self._say(*self.server.broken)
        if self.path != "/v1/models/colours:predict":
            return self._say(404, {"error": "Servable not found for request"})
        if body.get("signature_name") == "class_names":
            return self._say(200, {"outputs": list(NAMES)})
        images = np.array(body["inputs"]["images"], np.float32)
        if images.shape[1:] != (SIDE, SIDE, 3):
            return self._say(
                400, {"error": f"input must have shape [-1,32,32,3], got {images.shape}"}
            )
        time.sleep(self.server.slow_s)
        self.server.sizes.append(len(images))
        mean = images.mean((1, 2)) + 1
        outputs = {
            "probabilities": (mean / mean.sum(1, keepdims=True)).tolist(),
            "attention": np.zeros((len(images), 2, 2)).tolist(),
        }
        self._say(200, {"outputs": outputs})

    def _say(self, status, content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def running() -> Iterator[tuple[str, http.server.HTTPServer]]:
    """(URL of the model, server).

    `server.broken` = (status, body) makes predict fail so, `server.slow_s` makes it late.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.broken, server.sizes, server.slow_s = None, [], 0.0
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/models/colours", server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
