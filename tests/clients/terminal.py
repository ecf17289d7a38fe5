"""A person at a terminal in front of `forebay top`: FOREBAY HTTP DATA FILE KAFKA.

Starts the pipeline itself, looks at what is on the screen as a terminal would show it, presses keys, changes the size,
takes the server away and gives it back. What must hold at every end: the terminal is as it was.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

FOREBAY, HTTP, DATA, FILE, KAFKA = sys.argv[1:6]
PATIENCE = 30


class Terminal:
    """A pseudo terminal with a program in it, and what it shows."""

    def __init__(self, columns, rows, **variables):
        self.master, slave = pty.openpty()
        self.rows, self.row, self.column = [""] * rows, 0, 0
        # All that came, and what of it is no whole sequence yet.
        self.raw = self.rest = ""
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.size(columns, rows)
        usual = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        environment = {**usual, "TERM": "xterm-256color", **variables}
        # Its terminal in every sense, so that it hears of a change of size.
        own = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.program = subprocess.Popen(
            [FOREBAY, "--http", HTTP, "top"], stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
            preexec_fn=own,
        )

    def size(self, columns, rows):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.rows = (self.rows + [""] * rows)[:rows]

    def read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            self.feed(os.read(self.master, 65536).decode(errors="replace"))

    def feed(self, text):
        """Draws what came: the few sequences that the program may use; any other is an error."""
        self.raw += text
        self.rest += text
        while self.rest:
            found = re.match(r"\x1b\[(\??)([0-9;]*)([A-Za-z])", self.rest)
            if found:
                self.obey(*found.groups())
                self.rest = self.rest[found.end():]
            elif self.rest[0] == "\x1b":
                if len(self.rest) < 16:
                    return
                raise AssertionError(f"an unknown sequence: {self.rest[:40]!r}")
            else:
                plain = re.match(r"[^\x1b]+", self.rest).group()
                control = [c for c in plain if ord(c) < 32 or 127 <= ord(c) < 160]
                assert not control, f"control characters: {plain!r}"
                self.rows[self.row] = self.rows[self.row][: self.column] + plain
                self.column += len(plain)
                self.rest = self.rest[len(plain):]

    def obey(self, private, numbers, letter):
        if private:
            assert numbers in ("1049", "25", "7") and letter in "hl", (numbers, letter)
        elif letter == "H":
            row, column = map(int, numbers.split(";"))
            self.row, self.column = row - 1, column - 1
        elif letter == "J":
            assert numbers == "2"
            self.rows = [""] * len(self.rows)
        else:
            assert letter in "Km", letter

    def text(self):
        return "\n".join(self.rows)

    def until(self, what, holds):
        deadline = time.monotonic() + PATIENCE
        while not holds(self.text()):
            assert time.monotonic() < deadline, f"not in time: {what}\n{self.text()}"
            assert self.program.poll() is None, f"it ended before: {what}\n{self.raw[-2000:]}"
            self.read(0.1)
        print(f"pass  {what}", flush=True)

    def press(self, keys):
        os.write(self.master, keys.encode())

    def ends(self, what):
        """The program ends well, and the terminal is as it was."""
        deadline = time.monotonic() + PATIENCE
        while self.program.poll() is None:
            assert time.monotonic() < deadline, f"it does not end: {what}"
            self.read(0.05)
        self.read(0.2)
        assert self.program.returncode == 0, f"{what}: {self.program.returncode}\n{self.raw[-2000:]}"
        assert termios.tcgetattr(self.slave) == self.before, f"{what}: the line editing is not as it was"
        assert self.raw.startswith("\x1b[?1049h\x1b[?25l"), repr(self.raw[:40])
        assert self.raw.endswith("\x1b[?25h\x1b[?1049l"), f"{what}: {self.raw[-60:]!r}"
        os.close(self.master)
        os.close(self.slave)
        print(f"pass  {what}", flush=True)


def server():
    return subprocess.Popen([FOREBAY, "--data", DATA, "--http", HTTP, "run", FILE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def produce(*lines):
    subprocess.run([FOREBAY, "produce", "--topic", "iot_topic", "--bootstrap", KAFKA], input="\n".join(lines) + "\n", text=True, check=True)


def event(device, temperature):
    name = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) > 126 else c for c in device)
    return f'{{"device_id": "{name}", "temperature": {temperature}, "humidity": 50, "timestamp": {int(time.time())}}}'


HOSTILE = "\x1b[2J\x1b]0;pwned\x07\x9b31m\u202eevil"

run = None
try:
    terminal = Terminal(80, 24)
    terminal.until("before anybody listens it says so", lambda text: "No word from Forebay since" in text and "○ reconnecting" in text)
    run = server()
    terminal.until("it finds the server by itself", lambda text: "Ready, and nothing has been sent yet" in text and "● " in text)
    produce(*(event(f"device_{n}", 40 + n) for n in range(1, 30)), event(HOSTILE, 44))
    terminal.until("devices appear", lambda text: "device_1 " in text and "━━ Devices  30" in text and "temperature °C" in text)
    terminal.until("the ledgers add up", lambda text: "ledgers balance" in text and "alerts/overheat" in text)
    terminal.until("a hostile name is text", lambda text: "[2J" in text and "evil" in text)
    produce(event("device_2", 79.5))
    terminal.until("an alert appears by itself", lambda text: "▲ 1 critical alert: device_2 has 79.5 °C since" in text)
    terminal.press("G")
    terminal.until("the last device is in sight", lambda text: " device_29 " in text and "of 30" in text and "[2J" not in text)
    terminal.press("/device_1\x7f2\r")
    terminal.until("a search finds", lambda text: 'with "device_2"' in text and "device_21 " in text and "device_1 " not in text)
    terminal.press("\x1b")
    terminal.until("and is given up", lambda text: "━━ Devices  30" in text and 'with "' not in text)
    terminal.press("\t")
    terminal.until("another section is chosen", lambda text: "━━ Queries" in text and "━━ Devices" not in text)
    terminal.size(132, 50)
    terminal.until("it takes the room it gets", lambda text: len(text.split("\n")[0]) > 120 and "quit" in text.split("\n")[49])
    run.send_signal(signal.SIGKILL)
    run.wait()
    terminal.until("a lost server is told", lambda text: "No word from Forebay since" in text and "○ reconnecting" in text)
    assert "device_2" in terminal.text(), "what was known stays in sight"
    run = server()
    terminal.until("and found again", lambda text: "▲ 1 critical alert" in text and "● " in text)
    terminal.press("q")
    terminal.ends("q ends it")

    terminal = Terminal(80, 24, NO_COLOR="1")
    terminal.until("without colours", lambda text: "▲ 1 critical alert" in text)
    assert not re.search(r"\x1b\[(?:[0-9]+;)*[34][0-9]", terminal.raw), "there are colours"
    terminal.program.send_signal(signal.SIGTERM)
    terminal.ends("SIGTERM ends it")

    terminal = Terminal(40, 10)
    terminal.until("small", lambda text: "▲ 1 critical alert" in text)
    assert re.search(r"\x1b\[1;31m", terminal.raw), "there are no colours"
    terminal.press("\x03")
    terminal.ends("Ctrl-C ends it")
finally:
    if run:
        run.kill()
        run.wait()
