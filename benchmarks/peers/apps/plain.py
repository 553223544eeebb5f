"""A plain FastAPI handler: one session, the work in the framework's thread pool, no queue, no bounds."""

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from work import Worker

app = FastAPI()
worker = Worker()


@app.get("/health")
async def health() -> str:
    return "ok"


@app.post("/predict")
async def predict(request: Request) -> Response:
    return Response(await run_in_threadpool(worker.answer, await request.body()), media_type="application/json")
