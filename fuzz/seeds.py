#!/usr/bin/env python3
"""seeds.py - writes the seeds of fuzz/corpus that are made by hand, named by scenario.

Crashes that a fuzzer found stand beside them under names of their own; this script leaves them alone.
"""
import os
import struct

CORPUS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "corpus")


def seed(door, name, data):
    os.makedirs(os.path.join(CORPUS, door), exist_ok=True)
    with open(os.path.join(CORPUS, door, name), "wb") as f:
        f.write(data)


# --- pdu: 48 bytes (RFC 7143 chapter 11) ---

def bhs(op, flags=0x80, b2=0, b3=0, ahs=0, data=0, lun=0, itt=1, rest=b""):
    head = struct.pack(">BBBBB", op, flags, b2, b3, ahs) + data.to_bytes(3, "big")
    return (head + struct.pack(">QI", lun, itt) + rest).ljust(48, b"\0")


def words(*values):
    return struct.pack(">%dI" % len(values), *values)


NONE = 0xFFFFFFFF
READ10 = bytes.fromhex("28000000000000000800")
WRITE10 = bytes.fromhex("2a000000000000000800")
PDUS = {
    "nop-out-ping": bhs(0x40, data=4, rest=words(NONE, 1, 1)),
    "nop-out-answer": bhs(0x40, itt=NONE, rest=words(0x03F00001, 1, 1)),
    "command-read": bhs(0x01, 0xC1, rest=words(4096, 1, 1) + READ10),
    "command-write-immediate-data": bhs(0x01, 0xA1, data=4096, rest=words(4096, 1, 1) + WRITE10),
    "command-with-ahs": bhs(0x01, 0xA1, ahs=2, rest=words(4096, 1, 1) + WRITE10),
    "command-reserved-attribute": bhs(0x01, 0xA7, rest=words(4096, 1, 1) + WRITE10),
    "task-management-abort": bhs(0x42, 0x81, rest=words(2, 1, 1, 2, 0)),
    "task-management-lun-reset": bhs(0x42, 0x85, rest=words(NONE, 1, 1, 0, 0)),
    "login-first": bhs(0x43, 0x87, data=512, lun=0x80000000_00000000, rest=words(0, 1, 0)),
    "login-c-and-t": bhs(0x43, 0xC7, data=8, rest=words(0, 1, 0)),
    "text": bhs(0x04, 0x80, data=16, rest=words(NONE, 1, 1)),
    "data-out-solicited": bhs(0x05, 0x80, data=8192, rest=words(0x00100123, 0, 1, 0, 0, 0x4000)),
    "data-out-unsolicited": bhs(0x05, 0x00, data=8192, rest=words(NONE, 0, 1, 0, 3, 0xFFFFF000)),
    "logout": bhs(0x46, 0x80, rest=words(0, 1, 1)),
    "snack": bhs(0x10, 0x80, rest=words(NONE, 0, 1, 0, 0, 4)),
    "opcode-unknown": bhs(0x1C),
    "opcode-of-the-target": bhs(0x25, 0x81, data=512),
    "length-largest": bhs(0x05, 0x80, ahs=255, data=0xFFFFFF),
    "short": b"\x01\x80",
    "response": bhs(0x21, 0x82, b3=2, data=20, rest=words(0, 5, 6, 7, 0, 0, 4096)),
    "r2t": bhs(0x31, 0x80, rest=words(0x00110123, 5, 6, 7, 1, 0x4000, 0x8000)),
    "reject": bhs(0x3F, 0x80, b2=9, data=48, itt=NONE, rest=words(NONE, 5, 6, 7, 0)),
    "async": bhs(0x32, 0x80, itt=NONE, rest=words(0, 5, 6, 7, 0x01000003, 0x00020005)),
}
for name, data in PDUS.items():
    seed("pdu", name, data)

# --- text: piece length - 1, then the text ---

LOGIN = (b"InitiatorName=iqn.2026-11.com.example:host\0TargetName=iqn.2026-11.io.berth:t\0"
         b"SessionType=Normal\0AuthMethod=None\0")
OPERATIONAL = (b"HeaderDigest=CRC32C,None\0DataDigest=None\0MaxRecvDataSegmentLength=262144\0InitialR2T=No\0"
               b"ImmediateData=Yes\0MaxBurstLength=16776192\0FirstBurstLength=262144\0MaxConnections=1\0"
               b"MaxOutstandingR2T=8\0DataPDUInOrder=Yes\0DataSequenceInOrder=Yes\0DefaultTime2Wait=2\0"
               b"DefaultTime2Retain=0\0ErrorRecoveryLevel=0\0")
TEXTS = {
    "login": b"\xff" + LOGIN,
    "operational": b"\xff" + OPERATIONAL,
    "byte-by-byte": b"\x00" + LOGIN,
    "names": b"\x0fTargetName=eui.02004567A425678D\0TargetName=naa.52004567BA64678D\0TargetName=iqn.bad_name\0"
             b"TargetName=iqn.2026-13.\0TargetName=" + b"iqn.2026-11." + b"x" * 220 + b"\0",
    "no-equals-sign": b"\xffInitiatorName\0",
    "no-end": b"\xffInitiatorName=x",
    "empty-key": b"\xff=x\0",
    "empty-value": b"\xffTargetAlias=\0",
    "long-key": b"\xff" + b"k" * 64 + b"=1\0",
    "value-with-equals-sign": b"\xffX-com.example=a=b\0",
    "numbers": b"\xffMaxBurstLength=0x10000\0MaxBurstLength=99999999999999999999\0MaxBurstLength=-1\0"
               b"FirstBurstLength=511\0MaxOutstandingR2T=0\0MaxBurstLength=1 \0MaxBurstLength=\0",
    "only-ends": b"\x03" + b"\0" * 40,
}
for name, data in TEXTS.items():
    seed("text", name, data)

# --- login: choices, then flags, length, text ---


def request(flags, text=b""):
    return bytes([flags]) + struct.pack(">H", len(text)) + text


DISCOVERY = b"InitiatorName=iqn.2026-11.com.example:host\0SessionType=Discovery\0AuthMethod=None\0"
LOGINS = {
    "straight-to-full-feature": request(0x87, LOGIN + OPERATIONAL),
    "both-stages": request(0x81, LOGIN) + request(0x87, OPERATIONAL),
    "discovery": request(0x81, DISCOVERY) + request(0x87, b"MaxRecvDataSegmentLength=8192\0"),
    "in-pieces": request(0x40, LOGIN[:50]) + request(0x81, LOGIN[50:]) + request(0x44, OPERATIONAL[:33])
                 + request(0x87, OPERATIONAL[33:]),
    "stage-by-stage": request(0x00, LOGIN) + request(0x81) + request(0x04, OPERATIONAL) + request(0x87),
    "no-name": request(0x87, OPERATIONAL),
    "no-target": request(0x81, b"InitiatorName=iqn.2026-11.com.example:host\0"),
    "chap-only": request(0x81, LOGIN.replace(b"None", b"CHAP")),
    "key-twice": request(0x04, LOGIN) + request(0x04, b"MaxBurstLength=512\0") + request(0x04, b"MaxBurstLength=1024\0"),
    "unknown-keys": request(0x81, LOGIN + b"X-com.example.key=1\0Nonsense=2\0") + request(0x87),
    "irrelevant": request(0x81, DISCOVERY) + request(0x87, OPERATIONAL),
    "stage-backwards": request(0x81, LOGIN) + request(0x80),
    "reserved-stage": request(0x8A, LOGIN),
    "t-and-c": request(0xC1, LOGIN),
    "endless": request(0x00, LOGIN) + request(0x00) * 80,
    "not-text": request(0x87, b"\xff\xfe\0\0="),
}
for name, data in LOGINS.items():
    for suffix, choices in (("", 0), ("-wrong-tsih", 1), ("-refused", 2), ("-digests", 4)):
        if not suffix or name in ("both-stages", "discovery"):
            seed("login", name + suffix, bytes([choices]) + data)

# --- cdb: where, Expected Data Transfer Length, CDB, length, data ---

R, W = 0x40, 0x80


def command(cdb, where=0, edtl=0, data=b""):
    return bytes([where]) + struct.pack(">I", edtl) + bytes.fromhex(cdb).ljust(16, b"\0") + struct.pack(">H", len(data)) + data


CDBS = {
    "test-unit-ready": command("00") * 2,
    "inquiry": command("12000000ff", R, 255) + command("12010000ff", R, 255) + command("120183ffff", R, 4096)
               + command("1201b000ff", R, 255) + command("1201b100ff", R, 255) + command("1201b200ff", R, 255)
               + command("12018000ff", R, 255) + command("12007700ff", R, 255),
    "lba-status": command("9e12000000000000000000000018", R, 24) + command("9e12000000000000008000000018", R, 24),
    "capacity": command("25", R, 8) + command("9e1000000000000000000000002000", R, 32),
    "report-luns": command("a00000000000000020000000", R, 8192),
    "mode-sense": command("1a003f00ff", R, 255) + command("5a00080000000000ff00", R, 255),
    "request-sense": command("03000000fc", R, 252),
    "write-read-10": command("00") + command("2a000000000400000800", W, 4096, b"berth") + command("28000000000400000800", R, 4096),
    "write-read-16": command("00") + command("8a00000000000000000300000003", W, 1536, b"x") + command("88080000000000000002000000050000", R, 2560),
    "write-read-6-12": command("00") + command("0a00000101", W, 512, b"six") + command("0800000101", R, 512)
                       + command("aa00000000020000000100", W, 512, b"12") + command("a80800000002000000010000", R, 512),
    "read-only": command("00", 2) + command("2a000000000000000100", W | 2, 512, b"no"),
    "block-4096": command("00", 1) + command("2a000000000000000100", W | 1, 4096, b"4k") + command("28000000000000000200", R | 1, 8192),
    "no-such-unit": command("00", 3) + command("12000000ff", R | 3, 255) + command("28000000000000000100", R | 3, 512),
    "beyond-the-end": command("00") + command("280000000fff00000100", R, 512) + command("2800ffffffff0000ffff00", R, 65536),
    "too-little-room": command("00") + command("28000000000000000800", R, 100) + command("2a000000000000000800", W, 100, b"y"),
    "unmap": command("00") + command("42000000000000001800", W, 24, bytes.fromhex("0016001000000000" "0000000000000000" "0000010000000000")),
    "unmap-bad-lengths": command("00") + command("42000000000000001800", W, 24, b"\xff" * 24),
    "write-same": command("00") + command("41000000000000010000", W, 512, b"same") + command("93080000000000000000000001000000", W, 512)
                  + command("93010000000000000000000001000000", 0, 0),
    "compare-and-write": command("00") + command("89000000000000000000000000010000", W, 1024, b"\0" * 1024)
                         + command("89000000000000000000000000010000", W, 1024, b"\1" * 1024),
    "verify": command("00") + command("2f000000000000000800") + command("2f020000000000000100", W, 512, b"\0")
              + command("8f000000000000000000000000080000"),
    "synchronize": command("00") + command("35000000000000000000") + command("91000000000000000000000000000000"),
    "start-stop": command("00") + command("1b00000000") + command("28000000000000000100", R, 512) + command("1b00000001") + command("1b00000002", 1),
    "supported-opcodes": command("a30c0000000000001000", R, 4096) + command("a30c8028000000000100", R, 256) + command("a30c0188001000000100", R, 256),
    "aborted": command("00") + command("2a000000000000000800", W | 0x20, 4096, b"z"),
    "unknown": command("ff") + command("c0", R, 4096) + command("7f", W, 512),
}
for name, data in CDBS.items():
    seed("cdb", name, data)

# --- copy: which command (bits 0, 1) and unit (bit 2), its parameter list ---
SELF = 0xFFFF


def segment(source_lba, lba, n, kind=2, source=SELF, destination=SELF):
    return struct.pack(">BBHHHHHQQ", kind, 0, 24, source, destination, 0, n, source_lba, lba)


def named(block=512):
    return struct.pack(">BBHBBBB20sI", 0xE4, 0, 0, 1, 3, 0, 8, b"3" * 8, block)


def lid1(cscds=b"", segments=b"", flags=0, inline=0):
    return struct.pack(">BBHIII", 5, flags, len(cscds), 0, len(segments), inline) + cscds + segments


def lid4(cscds=b"", segments=b"", immed=0):
    head = struct.pack(">BBH11xBB3xI18xHHH", 1, 0, 32, immed, 0xFF, 5, len(cscds), len(segments), 0)
    return head + cscds + segments


def token_list(head, *ranges):
    body = b"".join(struct.pack(">QII", lba, n, 0) for lba, n in ranges)
    return struct.pack(">H", len(head) + 2 + len(body)) + head + struct.pack(">H", len(body)) + body


ZERO_TOKEN = struct.pack(">IHH", 0xFFFF0001, 0, 504) + bytes(504)
for name, data in {
    "lid1-inside-the-unit": bytes([0]) + lid1(b"", segment(0, 100, 8)),
    "lid1-overlap": bytes([0]) + lid1(b"", segment(0, 3, 600) + segment(3, 0, 600)),
    "lid1-unit-not-there": bytes([0]) + lid1(named(), segment(0, 100, 8, source=0)),
    "lid1-beyond-the-end": bytes([0]) + lid1(b"", segment(2040, 0, 16)),
    "lid1-other-segment": bytes([0]) + lid1(b"", segment(0, 0, 1, kind=3)),
    "lid1-cut-off": bytes([0]) + lid1(named(), segment(0, 1, 1))[:-5],
    "lid1-4096": bytes([4]) + lid1(b"", segment(0, 10, 8)),
    "lid4": bytes([1]) + lid4(b"", segment(0, 100, 8)),
    "lid4-immediate": bytes([1]) + lid4(b"", segment(0, 100, 8), immed=1),
    "populate": bytes([2]) + token_list(bytes(12), (0, 8), (100, 5)),
    "populate-twice-the-same": bytes([2]) + token_list(bytes(12), (0, 8), (7, 5)),
    "write-zeros": bytes([3]) + token_list(bytes(14) + ZERO_TOKEN + bytes(6), (5, 60)),
}.items():
    seed("copy", name, data)

# --- framer: digests, PDUs (kind and fields), 0xff, receive lengths ---


def write(itt, length, burst, shape=0, immediate=0, unasked=0):
    data = struct.pack(">BBHH", 0, shape, length // 4, burst - 512) + struct.pack(">BH", itt, immediate)
    return data + (struct.pack(">H", unasked) if shape & 0x40 else b"")


def data_out(slot, itt, datasn, offset, length, last=1):
    return struct.pack(">BBBBIBH", 1, slot, itt, datasn, offset, last, length)


def cuts(*lengths):
    return b"\xff" + b"".join(struct.pack(">H", n - 1) for n in lengths)


HONEST = write(1, 65536, 16384) + b"".join(data_out(n, 1, 0, n * 16384, 16384) for n in range(4))
SMALL = write(1, 32768, 32768) + b"".join(data_out(0, 1, n, n * 8192, 8192, n == 3) for n in range(4))
FRAMERS = {
    "one-write-whole": b"\0" + HONEST,
    "one-write-byte-by-byte": b"\0" + write(1, 2048, 1024) + data_out(0, 1, 0, 0, 1024) + data_out(1, 1, 0, 1024, 1024)
                              + cuts(*[1] * 2300),
    "small-pdus": b"\0" + SMALL + cuts(48, 1000, 8192, 8192, 47, 1),
    "small-pdus-digests": b"\3" + SMALL + cuts(52, 1000, 8192, 8192, 47, 1),
    "odd-splits": b"\0" + write(2, 9216, 9216) + data_out(0, 2, 0, 0, 2848, 0) + data_out(0, 2, 1, 2848, 6368) + cuts(100, 2848),
    "immediate-data": b"\0" + write(3, 4096, 4096, 0x40, 4096) * 1 + write(4, 512, 512, 0x40, 512),
    "unsolicited-then-r2t": b"\0" + write(1, 16384, 8192, 0x40, 2048, 2048) + data_out(0xFF, 1, 0, 2048, 2048)
                            + data_out(0, 1, 0, 4096, 8192) + data_out(1, 1, 0, 12288, 4096) + cuts(3000, 3000),
    "several-r2ts": b"\0" + write(1, 65536, 8192, 3) + data_out(0, 1, 0, 0, 8192) + data_out(2, 1, 0, 16384, 8192)
                    + data_out(1, 1, 0, 8192, 8192),
    "fragments": b"\0" + write(5, 65536, 16384, 0x10) + data_out(0, 5, 0, 0, 16384) + cuts(5000, 5000, 5000),
    "forged-tag": b"\0" + write(1, 8192, 8192) + data_out(0x10, 1, 0, 0, 8192) + data_out(0x41, 1, 0, 0, 8192) + data_out(0, 2, 0, 0, 8192),
    "wrong-order": b"\0" + write(1, 8192, 8192) + data_out(0, 1, 1, 0, 4096, 0) + data_out(0, 1, 0, 4096, 4096),
    "overrun": b"\0" + write(1, 4096, 4096) + data_out(0, 1, 0, 0, 8192) + data_out(0, 1, 0, 4092, 8),
    "other-pdus-between": b"\0" + write(1, 8192, 8192) + b"\2\0\1\0" + struct.pack(">H", 100) + data_out(0, 1, 0, 0, 8192) + cuts(60, 60, 8192),
    "raw-header": b"\0" + b"\3" + bhs(0x05, 0x80, rest=words(7, 0, 1, 0, 0, 0)) + b"\0" + struct.pack(">H", 512),
    "long-headers": b"\0" + write(1, 8192, 8192, 0x80) + data_out(0, 1, 0, 0, 8192, 3) + cuts(50, 10, 200),
    "memory-for-half": b"\0" + write(1, 32768, 8192, 0x20) + data_out(0, 1, 0, 0, 8192) + data_out(1, 1, 0, 8192, 8192),
}
for name, data in FRAMERS.items():
    seed("framer", name, data)
