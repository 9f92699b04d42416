"""Images that hold one tiny program of our own, for which no registry need be asked."""

from __future__ import annotations

import io
import os
import struct
import tarfile

PATH = "/program"
ADDRESS = 0x400000


class NoProgram(Exception):
    """There is none for this machine's processor."""


def image(says: bytes, waits_s: float, code: int) -> bytes:
    """A root file system, as a tar archive, of a program that says something, waits, and ends with that code."""
    program, buffer = _program(os.uname().machine, says, waits_s, code), io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        about = tarfile.TarInfo(PATH.lstrip("/"))
        about.size, about.mode = len(program), 0o755
        archive.addfile(about, io.BytesIO(program))
    return buffer.getvalue()


def _program(machine: str, says: bytes, waits_s: float, exit_code: int) -> bytes:
    """An ELF file: one header, one segment, the code, then how long it waits and what it says."""
    if machine == "x86_64":
        number, code = 62, _x86_64(len(says), exit_code)
    elif machine == "aarch64":
        number, code = 183, _aarch64(len(says), exit_code)
    else:
        raise NoProgram(f"there is no trial program for {machine}")
    header, segment = 64, 56
    body = code + struct.pack("<qq", int(waits_s), int(waits_s % 1 * 1e9)) + says
    size = header + segment + len(body)
    entry = ADDRESS + header + segment
    elf = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    elf += struct.pack("<HHIQQQIHHHHHH", 2, number, 1, entry, header, 0, 0, header, segment, 1, 0, 0, 0)
    elf += struct.pack("<IIQQQQQQ", 1, 5, 0, ADDRESS, ADDRESS, size, size, 0x1000)
    return elf + body


def _x86_64(says: int, exit_code: int) -> bytes:
    """write(1, says), nanosleep(time), exit(code); the time follows, then what it says."""
    length = 64
    code = b"\xb8" + struct.pack("<i", 1) + b"\xbf" + struct.pack("<i", 1)  # mov eax, 1; mov edi, 1
    code += b"\x48\x8d\x35" + struct.pack("<i", length + 16 - (len(code) + 7))  # lea rsi, says
    code += b"\xba" + struct.pack("<i", says) + b"\x0f\x05"  # mov edx, len; syscall
    code += b"\xb8" + struct.pack("<i", 35)  # mov eax, 35
    code += b"\x48\x8d\x3d" + struct.pack("<i", length - (len(code) + 7))  # lea rdi, time
    code += b"\x31\xf6\x0f\x05"  # xor esi, esi; syscall
    code += b"\xb8" + struct.pack("<i", 60) + b"\xbf" + struct.pack("<i", exit_code) + b"\x0f\x05"
    return code.ljust(length, b"\x90")


def _aarch64(says: int, exit_code: int) -> bytes:
    """The same; each instruction has four bytes."""
    length = 4 * 12

    def move(register: int, value: int) -> bytes:
        return struct.pack("<I", 0xD2800000 | value << 5 | register)

    def address(register: int, offset: int) -> bytes:
        return struct.pack("<I", 0x10000000 | (offset & 3) << 29 | (offset >> 2) << 5 | register)

    call = struct.pack("<I", 0xD4000001)
    code = move(8, 64) + move(0, 1)
    code += address(1, length + 16 - len(code)) + move(2, says) + call
    code += move(8, 101)
    code += address(0, length - len(code)) + move(1, 0) + call
    return code + move(8, 93) + move(0, exit_code) + call
