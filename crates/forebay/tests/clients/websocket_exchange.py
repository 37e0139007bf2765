"""`websockets` through a load balancer, both as the client and as the server behind it.

usage: websocket_exchange.py PORT HTTP HTTPS HOST AUTHORITY: where the server listens, the addresses of the load balancer, the host that
leads to it, and whom to believe about it over TLS.
"""

import asyncio
import ssl
import sys

from fixture import seen
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import InvalidStatus

MESSAGES = 10_000


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def exchange(url, secure, address):
    ip, port = address.rsplit(":", 1)
    async with connect(url, host=ip, port=int(port), ssl=secure, max_size=None) as socket:
        for n in range(MESSAGES):
            message = f"message {n} " + "x" * (n % 300)
            await socket.send(message)
            assert await socket.recv() == message
        # As many again without waiting for each, and a large one among them.
        async def say():
            for n in range(MESSAGES):
                await socket.send(n.to_bytes(4, "big"))
            await socket.send(bytes(4 << 20))

        saying = asyncio.create_task(say())
        for n in range(MESSAGES):
            assert await socket.recv() == n.to_bytes(4, "big")
        assert len(await socket.recv()) == 4 << 20
        await saying
        pong = await socket.ping(b"there?")
        await pong
    assert socket.close_code == 1000, socket.close_code


async def refused(address, host):
    ip, port = address.rsplit(":", 1)
    try:
        await connect(f"ws://{host}/refused", host=ip, port=int(port))
    except InvalidStatus as problem:
        assert problem.response.status_code == 403, problem.response
        return
    raise AssertionError("what the server refused was opened")


def gate(connection, request):
    return connection.respond(403, "no\n") if request.path == "/refused" else None


async def check(port, clear, secure, host, authority):
    async with serve(echo, "127.0.0.1", int(port), max_size=None, process_request=gate):
        trusting = ssl.create_default_context(cafile=authority)
        await exchange(f"ws://{host}/echo", None, clear)
        await exchange(f"wss://{host}/echo", trusting, secure)
        await asyncio.gather(*(exchange(f"wss://{host}/echo", trusting, secure) for _ in range(2)))
        await refused(clear, host)
    seen(f"websockets: {8 * MESSAGES} messages over ws and wss, and a refusal")


if __name__ == "__main__":
    asyncio.run(check(*sys.argv[1:]))
