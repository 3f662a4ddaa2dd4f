"""An SSH server with SFTP on localhost, for one test: ``ssh_server.py HOST_KEY AUTHORIZED_KEYS``; prints its port."""

import asyncio
import sys

import asyncssh


async def serve(host_key: str, authorized: str) -> None:
    """Serves whoever has an authorised key, until it is stopped."""
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[host_key], authorized_client_keys=authorized, sftp_factory=True
    )
    print(server.get_port(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
