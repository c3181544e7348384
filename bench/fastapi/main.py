"""demo.hello in an envelope or at its URL, with FastAPI."""

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel


class Params(BaseModel):
    name: str
    n: int


class Envelope(BaseModel):
    method: str
    parameters: Params


class Greeting(BaseModel):
    greeting: str
    n: int


class Reply(BaseModel):
    result: Greeting


app = FastAPI()


@app.post("/")
async def rpc(envelope: Envelope) -> Reply:
    if envelope.method != "demo.hello":
        raise HTTPException(400)
    return await hello(envelope.parameters)


@app.post("/demo/hello")
async def hello(params: Params) -> Reply:
    return Reply(result=Greeting(greeting=f"hello {params.name}", n=params.n + 1))
