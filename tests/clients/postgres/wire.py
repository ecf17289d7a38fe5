"""PostgreSQL's protocol 3.0, byte by byte: a client that sends what another client sends, and shows what came back.

Client libraries hide what they send. Where a test is about the very messages of one of them (Npgsql, Grafana's driver), they are
built here. It decodes the binary and the text form of each type by itself, so that neither is trusted because a library takes it.
"""

import datetime
import decimal
import re
import socket
import struct
import uuid

TEXT, BINARY = 0, 1
EPOCH = datetime.datetime(2000, 1, 1)
EPOCH_UTC = EPOCH.replace(tzinfo=datetime.timezone.utc)

# What a client may take each type of a column for.
KINDS = {
    16: "bool", 17: "bytes", 18: "text", 19: "text", 20: "int", 21: "int", 23: "int", 25: "text", 26: "int", 114: "text", 700: "float",
    701: "float", 1042: "text", 1043: "text", 1082: "date", 1114: "timestamp", 1184: "timestamptz", 1186: "interval", 1700: "decimal",
    2950: "text", 3802: "text", 705: "text", 2205: "text", 24: "text", 1009: "array", 1015: "array", 1016: "array", 1007: "array",
    1022: "array", 1000: "array",
}  # fmt: skip
ELEMENTS = {1009: 25, 1015: 1043, 1016: 20, 1007: 23, 1022: 701, 1000: 16}


class Failed(Exception):
    """An ErrorResponse, by its fields (C: SQLSTATE, M: message, P: position)."""

    def __init__(self, fields):
        super().__init__(f"{fields.get('C')}: {fields.get('M')}")
        self.fields = fields
        self.sqlstate = fields.get("C")


class Answer:
    """What one statement brought: columns as (name, type oid, format), rows of decoded values, and the command tag."""

    def __init__(self):
        self.columns, self.rows, self.tag = None, [], None

    @property
    def names(self):
        return [name for name, _, _ in self.columns or []]

    @property
    def kinds(self):
        return [KINDS.get(oid, f"oid {oid}") for _, oid, _ in self.columns or []]


class Connection:
    """One session. `parameters` is what the server said of itself."""

    def __init__(self, host, port, user, database, options=(), ssl_request=False, patience=60):
        self.socket = socket.create_connection((host, port), timeout=patience)
        self.parameters, self.buffer = {}, b""
        if ssl_request:
            self.socket.sendall(struct.pack("!II", 8, 80877103))
            answer = self._exactly(1)
            assert answer == b"N", f"the answer to an SSLRequest without TLS is N, not {answer!r}"
        words = [b"user", user.encode(), b"database", database.encode(), *(word.encode() for pair in options for word in pair)]
        body = struct.pack("!I", 196608) + b"\0".join(words) + b"\0\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        while True:
            kind, body = self.message()
            if kind == b"R":
                assert body == struct.pack("!I", 0), "this client speaks to servers that ask for no password"
            elif kind == b"S":
                name, value = body.rstrip(b"\0").split(b"\0", 1) if b"\0" in body.rstrip(b"\0") else (body.rstrip(b"\0"), b"")
                self.parameters[name.decode()] = value.decode()
            elif kind == b"K":
                self.process, self.secret = struct.unpack("!I", body[:4])[0], body[4:]
            elif kind == b"E":
                raise Failed(fields(body))
            elif kind == b"Z":
                return

    def _exactly(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("the server closed the connection")
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def message(self):
        kind, length = struct.unpack("!cI", self._exactly(5))
        return kind, self._exactly(length - 4)

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))

    def answers(self, ends=1):
        """The answers up to the `ends`-th ReadyForQuery. An error is raised once the session is ready again."""
        found, current, error = [], Answer(), None
        while ends:
            kind, body = self.message()
            if kind == b"T":
                current.columns = row_description(body)
            elif kind == b"D":
                current.rows.append(data_row(body, current.columns))
            elif kind in b"CIs":
                current.tag = body.rstrip(b"\0").decode() if kind == b"C" else {b"I": "", b"s": "suspended"}[kind]
                found.append(current)
                current = Answer()
            elif kind == b"E":
                error = error or Failed(fields(body))
                current = Answer()
            elif kind == b"Z":
                ends -= 1
        if error:
            raise error
        return found

    def simple(self, sql):
        self.send(query(sql))
        return self.answers()

    def extended(self, sql, results=BINARY, before=b"", ends=1):
        """One statement as Npgsql asks it: unnamed statement and portal, described by its portal, one result format for all columns.
        `before` goes out in the same packet, as Npgsql prepends the reset of a pooled connection."""
        self.send(before, parse(sql), bind(results), describe_portal(), execute(), sync())
        return self.answers(ends)[-1]

    def close(self):
        self.send(frame(b"X", b""))
        self.socket.close()


def frame(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def raw(sql):
    return sql if isinstance(sql, bytes) else sql.encode()


def query(sql):
    return frame(b"Q", raw(sql) + b"\0")


def parse(sql, types=()):
    return frame(b"P", b"\0" + raw(sql) + b"\0" + struct.pack(f"!H{len(types)}I", len(types), *types))


def bind(results):
    """No parameters; `results` is the one format of all columns, or None for the short form that means text."""
    formats = struct.pack("!H", 0) if results is None else struct.pack("!HH", 1, results)
    return frame(b"B", b"\0\0" + struct.pack("!HH", 0, 0) + formats)


def describe_portal():
    return frame(b"D", b"P\0")


def execute(rows=0):
    return frame(b"E", b"\0" + struct.pack("!I", rows))


def sync():
    return frame(b"S", b"")


def fields(body):
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


def row_description(body):
    (count,), at, columns = struct.unpack("!H", body[:2]), 2, []
    for _ in range(count):
        end = body.index(b"\0", at)
        name = body[at:end].decode()
        _table, _column, oid, _size, _modifier, form = struct.unpack("!IHIhiH", body[end + 1 : end + 19])
        columns.append((name, oid, form))
        at = end + 19
    return columns


def data_row(body, columns):
    (count,), at, row = struct.unpack("!H", body[:2]), 2, []
    assert count == len(columns), f"a row of {count} values for {len(columns)} columns"
    for _, oid, form in columns:
        (length,) = struct.unpack("!i", body[at : at + 4])
        at += 4
        if length < 0:
            row.append(None)
            continue
        value, at = body[at : at + length], at + length
        row.append(from_binary(oid, value) if form == BINARY else from_text(oid, value.decode()))
    return row


def from_binary(oid, value):
    sizes = {16: ("!?", 1), 20: ("!q", 8), 21: ("!h", 2), 23: ("!i", 4), 26: ("!I", 4), 24: ("!I", 4), 2205: ("!I", 4), 700: ("!f", 4), 701: ("!d", 8)}
    if oid in sizes:
        form, size = sizes[oid]
        assert len(value) == size, f"{len(value)} bytes for oid {oid}"
        return struct.unpack(form, value)[0]
    if oid == 17:
        return bytes(value)
    if oid == 1082:
        return (EPOCH + datetime.timedelta(days=struct.unpack("!i", value)[0])).date()
    if oid in (1114, 1184):
        return (EPOCH_UTC if oid == 1184 else EPOCH) + datetime.timedelta(microseconds=struct.unpack("!q", value)[0])
    if oid == 1700:
        return numeric(value)
    if oid == 2950:
        return str(uuid.UUID(bytes=value))
    if oid == 3802:
        assert value[:1] == b"\1", "jsonb begins with its version"
        return value[1:].decode()
    if oid in ELEMENTS:
        return array(oid, value)
    return value.decode()


def numeric(value):
    digits, weight, sign, scale = struct.unpack("!HhHH", value[:8])
    if sign == 0xC000:
        return decimal.Decimal("NaN")
    found = decimal.Decimal(0)
    with decimal.localcontext() as context:
        context.prec = 200
        for at, digit in enumerate(struct.unpack(f"!{digits}H", value[8:])):
            assert digit < 10_000, "a digit of base 10,000"
            found += decimal.Decimal(digit).scaleb(4 * (weight - at))
        found = found.quantize(decimal.Decimal(1).scaleb(-scale))
    return -found if sign == 0x4000 else found


def array(oid, value):
    dimensions, _nulls, element = struct.unpack("!III", value[:12])
    assert element == ELEMENTS[oid], f"an array of oid {oid} has elements of {element}"
    if dimensions == 0:
        return []
    assert dimensions == 1
    count, at, found = struct.unpack("!I", value[12:16])[0], 20, []
    for _ in range(count):
        (length,) = struct.unpack("!i", value[at : at + 4])
        at += 4
        found.append(None if length < 0 else from_binary(element, value[at : at + length]))
        at += max(length, 0)
    assert at == len(value)
    return found


def from_text(oid, text):
    if oid == 16:
        return {"t": True, "f": False}[text]
    if oid in (20, 21, 23, 26):
        return int(text)
    if oid in (700, 701):
        return float(text)
    if oid == 1700:
        return decimal.Decimal(text)
    if oid == 17:
        return bytes.fromhex(text.removeprefix("\\x"))
    if oid == 1082:
        return datetime.date.fromisoformat(text)
    if oid in (1114, 1184):
        text = re.sub(r"([+-]\d\d)$", r"\1:00", text)
        text = re.sub(r"\.(\d{1,5})(?=$|[+-])", lambda part: "." + part[1].ljust(6, "0"), text)
        moment = datetime.datetime.fromisoformat(text)
        return moment.astimezone(datetime.timezone.utc) if oid == 1184 else moment
    return text
