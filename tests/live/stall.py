#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A connection on loopback whose reader begins half a second late: how long its writer had to wait, as the kernel tells the writer itself
(struct tcp_info: tcpi_rwnd_limited, tcpi_sndbuf_limited, in microseconds)."""
import socket
import struct
import threading
import time

LIMITED_AT = 176  # of two numbers of 64 bits
BYTES = 32 << 20


def read_late(listener):
    peer, _ = listener.accept()
    time.sleep(0.5)
    while peer.recv(1 << 20):
        pass


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    reader = threading.Thread(target=read_late, args=(listener,))
    reader.start()
    client = socket.create_connection(listener.getsockname())
    client.sendall(bytes(BYTES))
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LIMITED_AT + 16)
    print("rwnd_us %d\nsndbuf_us %d" % struct.unpack_from("QQ", info, LIMITED_AT))
    client.close()
    reader.join()


main()
