"""A client with as many FTP sessions as it can have, and another client. In the folder of a lab:

    greedy.py VIP ATTACKER HOW        the attacker's own address; HOW: "silent" or "logged-in"
"""

import ftplib
import socket
import sys

SESSIONS = 260
LIMIT = 32
vip, attacker, how = sys.argv[1:]

held = []
for _ in range(SESSIONS):
    try:
        one = socket.create_connection((vip, 21), timeout=5, source_address=(attacker, 0))
        one.recv(200)
        if how == "logged-in":
            for command in (b"USER anonymous\r\n", b"PASS a@b\r\n"):
                one.sendall(command)
                one.recv(200)
        held.append(one)
    except OSError:
        break
if how == "logged-in" and len(held) > LIMIT:
    sys.exit(f"one client has {len(held)} sessions")
try:
    ftp = ftplib.FTP(vip, timeout=20)
    ftp.login()
    got = bytearray()
    ftp.retrbinary("RETR image", got.extend)
except (OSError, EOFError, ftplib.Error) as why:
    sys.exit(f"another client, beside {len(held)} sessions: {why}")
with open("files/image", "rb") as file:
    if bytes(got) != file.read():
        sys.exit("the file has come as another one")
for one in held:
    one.close()
