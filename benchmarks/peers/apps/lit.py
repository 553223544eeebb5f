"""LitServe: batches of up to eight, or, with PEER_WORKERS above 1, single images in several processes."""

import os
from typing import Annotated

import litserve as ls
import numpy as np
from fastapi import Depends, Request, Response
from work import Worker


async def raw_body(request: Request) -> bytes:
    """The image as it was sent; LitServe itself reads forms and JSON only."""
    return await request.body()


class SegmentApi(ls.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        self.worker = Worker()

    def decode_request(self, request: Annotated[bytes, Depends(raw_body)]) -> tuple[np.ndarray, np.ndarray]:
        return self.worker.decode(request)

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="application/json")


class BatchApi(SegmentApi):
    def batch(self, inputs: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
        return inputs

    def predict(self, inputs: list[tuple[np.ndarray, np.ndarray]]) -> list[bytes]:
        answers = self.worker.predict_each([image for _, image in inputs])
        return [self.worker.finish(*pair, answer) for pair, answer in zip(inputs, answers, strict=True)]

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        return output


class SingleApi(SegmentApi):
    def predict(self, pair: tuple[np.ndarray, np.ndarray]) -> bytes:
        return self.worker.finish(*pair, self.worker.predict(pair[1][np.newaxis])[0])


if __name__ == "__main__":
    workers = int(os.environ["PEER_WORKERS"])
    api = BatchApi(max_batch_size=8, batch_timeout=0.003) if workers == 1 else SingleApi()
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=False)
    server.run(host="127.0.0.1", port=int(os.environ["PEER_PORT"]), generate_client_file=False, log_level="warning")
