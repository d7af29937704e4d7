"""Answers over TCP and UDP: who it is, whom it sees, and what it was told.

    echo_server.py NAME PORT ADDRESS...
"""

import socket
import sys
import threading

name, port, addresses = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


def words(peer, said):
    return f"{name} {peer[0]} {peer[1]} ".encode() + said


def connection(stream, peer):
    try:
        while said := stream.recv(65536):
            stream.sendall(words(peer, said))
    except OSError:
        # The client is gone.
        pass
    stream.close()


def tcp(waits):
    while True:
        threading.Thread(target=connection, args=waits.accept(), daemon=True).start()


def udp(waits):
    while True:
        said, peer = waits.recvfrom(65536)
        waits.sendto(words(peer, said), peer)


for address in addresses:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Clients' packets are for one of these addresses, and the answers come from that.
    datagrams = socket.socket(family, socket.SOCK_DGRAM)
    datagrams.bind((address, port))
    streams = socket.create_server((address, port), family=family, backlog=100)
    for serve, waits in [(udp, datagrams), (tcp, streams)]:
        threading.Thread(target=serve, args=(waits,)).start()
