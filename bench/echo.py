"""The floor of the network endpoint: a ROUTER that speaks CURVE and sends back what comes, on a loop like ours.

`python -m bench.echo PORT SERVER_SECRET_HEX CLIENT_PUBLIC_HEX`; the keys are of the bench's own and live as long.
"""

from __future__ import annotations

import asyncio
import sys

import zmq


def main() -> None:
    port, secret, known = sys.argv[1:]
    asyncio.run(_serve(int(port), bytes.fromhex(secret), bytes.fromhex(known)))


async def _serve(port: int, secret: bytes, known: bytes) -> None:
    context = zmq.Context()
    zap = context.socket(zmq.REP)
    zap.bind("inproc://zeromq.zap.01")
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.CURVE_SERVER, 1)
    router.setsockopt(zmq.CURVE_SECRETKEY, secret)
    router.setsockopt(zmq.ZAP_DOMAIN, b"echo")
    router.bind(f"tcp://127.0.0.1:{port}")
    loop = asyncio.get_running_loop()

    def on_zap() -> None:
        while int(zap.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            request = zap.recv_multipart()
            status = b"200" if request[6] == known else b"400"
            zap.send_multipart([b"1.0", request[1], status, b"", b"client", b""])

    def on_router() -> None:
        while int(router.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            router.send_multipart(router.recv_multipart(zmq.NOBLOCK), zmq.NOBLOCK)

    loop.add_reader(zap.fileno(), on_zap)
    loop.add_reader(router.fileno(), on_router)
    on_zap()
    on_router()
    await asyncio.get_running_loop().create_future()


main()
