"""What ftplib, or a plain socket, can do and the other clients can't be told to. In the folder of a lab:

    ftp_client.py WHAT ADDRESS HOW [MORE]        HOW: passive or active; an exit code of 0 is success
"""

import ftplib
import os
import socket
import sys
import threading
import time


def session(address, how, kind=ftplib.FTP):
    ftp = kind(address, timeout=60)
    ftp.login()
    ftp.set_pasv(how == "passive")
    # Else ftplib takes the control connection's address for that in the answer.
    ftp.trust_server_pasv_ipv4_address = True
    return ftp


def original(name):
    with open(f"files/{name}", "rb") as file:
        return file.read()


def get(ftp, name, rest=None):
    got = bytearray()
    ftp.retrbinary(f"RETR {name}", got.extend, rest=rest)
    expect(bytes(got) == original(name)[rest or 0:], f"{name} has come as another file")


def put(ftp, name, sent):
    # pure-ftpd lets nobody write over what is there.
    if os.path.exists(f"files/{sent}"):
        os.remove(f"files/{sent}")
    with open(f"files/{name}", "rb") as file:
        ftp.storbinary(f"STOR {sent}", file)
    expect(original(sent) == original(name), f"{name} is another file at the server")


def expect(so, otherwise):
    if not so:
        sys.exit(otherwise)


def transfers(address, how):
    """Several in one session, with all that ftplib has."""
    ftp = session(address, how)
    for name in ["empty", "one", "image"]:
        get(ftp, name)
        put(ftp, name, f"up/{name}")
    get(ftp, "image", rest=700_000)
    expect("image" in ftp.nlst(), "no list")
    ftp.quit()


def both_ways(ftp):
    """A file each way, and the end."""
    get(ftp, "image")
    put(ftp, "image", "up/image")
    ftp.quit()


def tls(address, how):
    ftp = session(address, how, ftplib.FTP_TLS)
    ftp.prot_p()
    both_ways(ftp)


def ccc(address, how):
    """The login in TLS, and the rest in the clear (RFC 4217 §12.3)."""
    ftp = session(address, how, ftplib.FTP_TLS)
    ftp.ccc()
    both_ways(ftp)


def abort(address, how):
    """ABOR in the middle as RFC 959 has it, and the session goes on."""
    ftp = session(address, how)
    ftp.voidcmd("TYPE I")
    data = ftp.transfercmd("RETR long")
    data.recv(1 << 16)
    if "Pure-FTPd" in ftp.getwelcome():
        # It knows no Telnet, and reads on while it sends.
        ftp.sock.sendall(b"ABOR\r\n")
    else:
        ftp.sock.sendall(b"\xff\xf4\xff")
        ftp.sock.sendall(b"\xf2", socket.MSG_OOB)
        ftp.sock.sendall(b"ABOR\r\n")
    while data.recv(1 << 16):
        pass
    data.close()
    answers = [ftp.getmultiline()]
    while answers[-1][:3] not in ("225", "226"):
        answers.append(ftp.getmultiline())
    expect(answers[0][:3] in ("426", "451"), f"the transfer was not aborted: {answers}")
    get(ftp, "image")
    ftp.quit()


def split(address, how):
    """Commands in pieces, each a segment of its own."""
    raw = Raw(address)
    for ends in ["\r\n"], ["\r", "\n"]:
        command, data = raw.data_command(how)
        raw.pieces([*command.rstrip(), *ends])
        raw.transfer(data, "image", lambda: raw.send(b"RETR image\r\n"))
    raw.quit()


def pipelined(address, how):
    """Many commands in a segment, one of them in two."""
    raw = Raw(address)
    for _ in range(3):
        command, data = raw.data_command(how)
        raw.send(f"NOOP\r\n{command}NOOP\r\nRETR image\r\n".encode())
        raw.answers("200")
        raw.transfer(data, "image", lambda: None, noops=1)
        command, data = raw.data_command(how)
        at = len(command) - 4
        raw.pieces([f"NOOP\r\n{command[:at]}", f"{command[at:]}NOOP\r\n"])
        raw.answers("200")
        raw.transfer(data, "image", lambda: raw.send(b"RETR image\r\n"), noops=1)
    raw.quit()


def late(address, how, seconds):
    """Data connections that are opened so long after they were announced, each in a session of its own."""
    def one(command):
        raw = Raw(address)
        if command == "PASV" or command == "EPSV":
            raw.send(f"{command}\r\n".encode())
            answer = raw.answers("22")
            time.sleep(int(seconds))
            data = raw.open(answer)
            raw.send(b"RETR image\r\n")
        else:
            line, waits = raw.active(command)
            raw.send(line.encode())
            raw.answers("200")
            time.sleep(int(seconds))
            raw.send(b"RETR image\r\n")
            data = raw.accept(waits)
        raw.receive(data, "image")
        raw.quit()

    at_once([lambda command=command: one(command) for command in ["PASV", "EPSV", "PORT", "EPRT"]])


def twice(address, how):
    """Two data connections to one passive port, of which the server takes the first."""
    raw = Raw(address)
    raw.send(b"PASV\r\n")
    answer = raw.answers("227")
    data, other = raw.open(answer), raw.open(answer)
    raw.send(b"RETR image\r\n")
    raw.receive(data, "image")
    other.close()
    raw.quit()


def mapped(address, how):
    """A client with one socket for both versions of IP."""
    raw = Raw(address)
    own = raw.control.getsockname()[0]
    waits = socket.create_server((own, 0))
    waits.settimeout(60)
    raw.send(f"EPRT |2|::ffff:{own}|{waits.getsockname()[1]}|\r\n".encode())
    raw.answers("200")
    raw.send(b"RETR image\r\n")
    raw.receive(raw.accept(waits), "image")
    raw.quit()


def unnamed(address, how):
    """Active without PORT: data comes to the control connection's own port."""
    waits, control = socket.socket(), socket.socket()
    for one in waits, control:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.settimeout(60)
    waits.bind(("", 0))
    control.bind(waits.getsockname())
    control.connect((address, 21))
    waits.listen()
    raw = Raw(address, control)
    raw.send(b"RETR image\r\n")
    raw.receive(raw.accept(waits), "image")
    raw.quit()


def at_once(all):
    wrong = []

    def run(one):
        try:
            one()
        except (Exception, SystemExit) as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=run, args=(one,)) for one in all]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(not wrong, "\n".join(wrong))


class Raw:
    """A control connection, logged in, of which each `send` is a segment."""

    def __init__(self, address, control=None):
        self.control = control or socket.create_connection((address, 21), timeout=60)
        self.control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.control.makefile("rb")
        self.answers("220")
        # pure-ftpd asks for no password.
        for command, codes in [("USER anonymous", "23"), ("PASS a@b", "2"), ("TYPE I", "2")]:
            self.send(f"{command}\r\n".encode())
            self.answers(tuple(codes))

    def send(self, data):
        self.control.sendall(data)

    def pieces(self, pieces):
        for piece in pieces:
            self.send(piece.encode())
            time.sleep(0.01)

    def answers(self, code):
        """The last line of the next answer."""
        while True:
            line = self.lines.readline().decode()
            expect(line, f"closed instead of {code}")
            if line[:3].isdigit() and line[3:4] == " ":
                expect(line.startswith(code), f"instead of {code}: {line}")
                return line

    def data_command(self, how):
        """A command for a data connection, and for an active one the socket that waits for it."""
        v6 = self.control.family == socket.AF_INET6
        if how == "passive":
            return ("EPSV\r\n" if v6 else "PASV\r\n"), None
        return self.active("EPRT" if v6 else "PORT")

    def active(self, command):
        """The command by which a client says where it listens, and the socket that does."""
        own = self.control.getsockname()[0]
        waits = socket.create_server((own, 0), family=self.control.family)
        waits.settimeout(60)
        port = waits.getsockname()[1]
        if command == "EPRT":
            return f"EPRT |{2 if ':' in own else 1}|{own}|{port}|\r\n", waits
        return f"PORT {own.replace('.', ',')},{port >> 8},{port & 255}\r\n", waits

    def transfer(self, waits, name, ask, noops=0):
        """Fetches a file after the command for its data connection, and these NOOPs after that, were sent."""
        if waits:
            self.answers("200")
        else:
            data = self.open(self.answers("22"))
        for _ in range(noops):
            self.answers("200")
        ask()
        if waits:
            data = self.accept(waits)
        self.receive(data, name)

    def receive(self, data, name):
        self.answers("1")
        got = b"".join(iter(lambda: data.recv(1 << 16), b""))
        expect(got == original(name), f"{name} has come as another file")
        self.answers("226")

    def open(self, answer):
        if answer.startswith("229"):
            place = (self.control.getpeername()[0], int(answer.split("|||")[1].split("|")[0]))
        else:
            place = ftplib.parse227(answer)
        return socket.create_connection(place, timeout=60)

    def accept(self, waits):
        """It comes from the address that the client knows, and the port below the control's."""
        data, peer = waits.accept()
        address, port = self.control.getpeername()[0], 20
        expect(peer[0] == address and (peer[1] == port or "any-port" in sys.argv),
               f"a data connection from {peer}")
        return data

    def quit(self):
        self.send(b"QUIT\r\n")
        self.answers("221")


def crowd(address, how, size, net):
    """So many sessions at once, each from an address of its own, each with files while all others have theirs."""
    barrier, wrong = threading.Barrier(int(size), timeout=120), []

    def one(n):
        try:
            ftp = ftplib.FTP(address, timeout=120, source_address=(f"{net}{n + 1}", 0))
            ftp.login()
            ftp.set_pasv(n % 2 == 0 if how == "both" else how == "passive")
            ftp.trust_server_pasv_ipv4_address = True
            barrier.wait()
            get(ftp, "image")
            put(ftp, "image", f"up/{n}")
            barrier.wait()
            ftp.quit()
        except (Exception, SystemExit) as error:
            wrong.append(f"{n}: {error!r}")
            barrier.abort()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(int(size))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(not wrong, "\n".join(wrong))


def slow(address, how, seconds):
    """A download that lasts so long, and then another one."""
    ftp = session(address, how)
    ftp.voidcmd("TYPE I")
    end = time.monotonic() + int(seconds)
    with ftp.transfercmd("RETR long") as data, open("files/long", "rb") as file:
        while got := data.recv(1 << 16):
            expect(got == file.read(len(got)), "long has come as another file")
            if time.monotonic() < end:
                time.sleep(0.05)
        expect(not file.read(1), "long has not come as a whole")
    expect(time.monotonic() > end, "long has come too soon")
    ftp.voidresp()
    get(ftp, "image")
    ftp.quit()


def stay(address, how, runs, go_on):
    """A session that makes the file `runs`, and goes on when there is a file `go_on`."""
    ftp = session(address, how)
    get(ftp, "image")
    open(runs, "w").close()
    while not os.path.exists(go_on):
        time.sleep(0.05)
    get(ftp, "image")
    put(ftp, "image", f"up/{runs}")
    ftp.quit()


def abide(address, how, size, net):
    """So many sessions, each from an address of its own, which fetch slowly until there is a file `stop`, and begin with
    another file only while there is one `calm`."""
    def one(n):
        time.sleep(n * 0.2)
        ftp = ftplib.FTP(address, timeout=120, source_address=(f"{net}{n + 1}", 0))
        ftp.login()
        ftp.set_pasv(how == "passive" or n % 2 == 0)
        ftp.trust_server_pasv_ipv4_address = True
        ftp.voidcmd("TYPE I")
        while not os.path.exists("stop"):
            if not os.path.exists("calm"):
                time.sleep(0.05)
                continue
            with ftp.transfercmd("RETR long") as data, open("files/long", "rb") as file:
                while got := data.recv(1 << 13, socket.MSG_WAITALL):
                    expect(got == file.read(len(got)), "long has come as another file")
                    time.sleep(0.1)
                expect(not file.read(1), "long has not come as a whole")
            ftp.voidresp()
            put(ftp, "short", f"up/session-{n}")
        ftp.quit()

    at_once([lambda n=n: one(n) for n in range(int(size))])


def foreign(address, how, other, word):
    """Asks for data to go to another address, which gets it if that is allowed."""
    raw = Raw(address)
    waits = socket.create_server((other, 0))
    waits.settimeout(60)
    port = waits.getsockname()[1]
    for command in [f"PORT {other.replace('.', ',')},{port >> 8},{port & 255}", f"EPRT |1|{other}|{port}|"]:
        raw.send(f"{command}\r\n".encode())
        if word == "allowed":
            raw.answers("200")
            raw.send(b"RETR image\r\n")
            # The line went on as it was, and the server connects as it would without a gate.
            raw.receive(waits.accept()[0], "image")
        else:
            raw.answers("5")
            raw.send(b"NOOP\r\n")
            raw.answers("200")
    raw.quit()


if __name__ == "__main__":
    globals()[sys.argv[1]](*(word for word in sys.argv[2:] if word != "any-port"))
