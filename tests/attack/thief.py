"""Downloads in TLS, and a thief who comes first to where the server waits. In the folder of a lab:

    thief.py VIP THIEF HAS        the thief's own address; HAS: "nothing", or "a-session" that is not in TLS
"""

import ftplib
import socket
import sys

DOWNLOADS = 8
vip, thief, has = sys.argv[1:]
taken = 0


class Session(ftplib.FTP_TLS):
    """One whose ports for data are known to the thief."""

    def makepasv(self):
        global taken
        where = super().makepasv()
        try:
            with socket.create_connection(where, timeout=0.5, source_address=(thief, 0)) as data:
                taken += 1
                data.recv(1)
        except OSError:
            pass
        return where


def download(ftp):
    got = bytearray()
    try:
        ftp.retrbinary("RETR image", got.extend)
    except (OSError, EOFError, ftplib.Error) as why:
        print(why, file=sys.stderr)
    with open("files/image", "rb") as file:
        return bytes(got) == file.read()


if has == "a-session":
    own = ftplib.FTP(vip, timeout=20, source_address=(thief, 0))
    own.login()
ftp = Session(vip, timeout=20)
ftp.login()
ftp.prot_p()
# The thief has 0.5 s each time.
downloads = sum(download(ftp) for _ in range(DOWNLOADS))
if taken or downloads < DOWNLOADS:
    sys.exit(f"{taken} connections are the thief's, {downloads} of {DOWNLOADS} downloads are whole")
