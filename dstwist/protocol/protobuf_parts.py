"""
The parts of binary messages: numbers, lengths, fields and envelopes, from bytes and back.

Always true: for bytes that are no message, a reader raises L{Undecodable} or C{IndexError}. No reader allocates memory
for a length that exceeds the bytes at hand.
"""

from __future__ import annotations

from dstwist.protocol.name_parts import DistinctNames, NameParts, NameReader
from dstwist.protocol.typed import utf8

#: The bytes of the small numbers; C{True} and C{False} are two of them.
SMALL_NUMBERS = [bytes((number,)) for number in range(128)]
_LENGTH_CHARACTERS = [chr(number) for number in range(128)]
# With more names, it is worth checking whether all of them are simple.
_FEW_NAMES = 8


class Undecodable(Exception):
    """
    The bytes are no message. (C{IndexError} means the same: the payload ends within a message.)
    """


def varint(data: bytes, position: int) -> tuple[int, int]:
    """
    A number and the position behind it.
    """
    byte = data[position]
    position += 1
    if byte < 128:
        return byte, position
    number, shift = byte & 0x7F, 7
    while shift < 70:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 128:
            return number, position
        shift += 7
    raise Undecodable


def signed(number: int) -> int:
    """
    The int32 in a number: its low 32 bits. Negative numbers are sent in five bytes or, sign extended, in ten.
    """
    return ((number & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def skip(data: bytes, position: int) -> int:
    """
    The position behind an unknown field.
    """
    tag, position = varint(data, position)
    wire_type = tag & 7
    if tag < 8:
        raise Undecodable  # there is no field 0
    if wire_type == 0:
        return varint(data, position)[1]
    if wire_type == 2:
        length, position = varint(data, position)
    elif wire_type == 1:
        length = 8
    elif wire_type == 5:
        length = 4
    else:
        raise Undecodable  # groups were never used
    if position + length > len(data):
        raise Undecodable
    return position + length


def are_plain(fields: bytes, count: int, names: NameReader) -> bool:
    """
    Whether C{fields}, C{count} of them, are those that L{written_names} makes of the C{names} in them. This is only
    found out if the names are short and ASCII, and none is repeated.
    """
    plain = names.longest < 128 and not names.repeats and fields.isascii()
    return plain and len(fields) == 2 * count + names.characters


def read_envelope(data: bytes) -> tuple[int, bytes, bool]:
    """
    The topic of an envelope, its message, and whether it certainly contains nothing else.
    """
    size = len(data)
    if size > 3 and data[0] == 0x10 and data[1] < 128 and data[2] == 0x1A:  # the usual form
        length, start = varint(data, 3)
        if start + length == size:
            return data[1], data[start:], True
    topic, body, position = 0, b"", 0
    while position < size:
        tag = data[position]
        if tag == 0x10:
            topic, position = varint(data, position + 1)
        elif tag == 0x1A:
            length, start = varint(data, position + 1)
            position = start + length
            if position > size:
                raise Undecodable
            body = data[start:position]
        else:
            position = skip(data, position)
    return signed(topic), body, False


def read_entry(data: bytes) -> tuple[str, int]:
    """
    The name and the version in an entry of a map.
    """
    name, version, position = b"", 0, 0
    while position < len(data):
        tag = data[position]
        if tag == 0x0A:
            length, start = varint(data, position + 1)
            position = start + length
            if position > len(data):
                raise Undecodable
            name = data[start:position]
        elif tag == 0x10:
            version, position = varint(data, position + 1)
        else:
            position = skip(data, position)
    return name.decode("utf-8", "replace"), signed(version)


def written_number(number: int) -> bytes:
    """
    A number as a varint; a negative one takes ten bytes.
    """
    if 0 <= number < 16384:
        return bytes((number & 0x7F | 0x80, number >> 7)) if number > 127 else SMALL_NUMBERS[number]
    number &= 0xFFFFFFFFFFFFFFFF
    digits = bytearray()
    while number > 127:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def sized(content: bytes | bytearray) -> bytes:
    """
    C{content} with its length before it.
    """
    size = len(content)
    return (SMALL_NUMBERS[size] if size < 128 else written_number(size)) + content


def written_names(tag: bytes, names: tuple[str, ...] | NameParts) -> bytes:
    """
    A field with C{tag} for each name.
    """
    if len(names) > _FEW_NAMES:
        if isinstance(names, DistinctNames) and names.fields[:1] == tag:
            return names.fields
        if isinstance(names, NameParts):
            return b"".join(names.encoded(("protobuf", tag), lambda part: written_names(tag, part)))
        # For thousands of users, one text is much faster. It needs names that are short and ASCII; nearly all are.
        head = tag.decode("ascii")
        try:
            text = "".join([f"{head}{_LENGTH_CHARACTERS[len(name)]}{name}" for name in names])
            if text.isascii():
                return text.encode("ascii")
        except IndexError:
            pass
    return b"".join([tag + sized(utf8(name)) for name in names])
